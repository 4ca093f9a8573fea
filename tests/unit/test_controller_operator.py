"""The parts put together: reading everything at the start, repairing what watches missed, telling whether it lives."""

import asyncio
import copy
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.kube import SETTINGS, Clock, FakeKube, job_body, refusal, schedule_body
from tests.unit.scrapes import scrape
from trending.controller.kube import JsonObject, Kube
from trending.controller.listing import NotListedError
from trending.controller.operator import NotReadyError, Operator
from trending.controller.settings import Settings
from trending.controller.store import Key

HOURLY = Key("default", "hourly")


@asynccontextmanager
async def started(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch, settings: Settings = SETTINGS
) -> AsyncIterator[tuple[Operator, asyncio.Event]]:
    async def connect(**_: str) -> Kube:
        return kube

    monkeypatch.setattr(Kube, "connect", connect)
    stop = asyncio.Event()
    operator = Operator(settings, stop=stop)
    try:
        await operator.start()
        yield operator, stop
    finally:
        await operator.close()


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube(Clock("09:30"))


async def test_it_knows_everything_before_it_decides_anything(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.apply(schedule_body())
    kube.put_job(job_body("hourly-1"))
    async with started(kube, monkeypatch) as (operator, stop):
        assert operator.store.keys() == [HOURLY]
        assert [job.name for job in operator.store.jobs(HOURLY)] == ["hourly-1"]
        assert await operator.why_not_live() is None
        assert await operator.why_not_ready() is None
    assert kube.closed
    assert not operator.failed, "to be told to stop is no failure"
    assert not stop.is_set()


@pytest.mark.parametrize("namespaces", [(), ("a", "b")], ids=["everywhere", "some namespaces"])
async def test_while_it_leads_it_is_told_of_pods_that_fail(
    namespaces: tuple[str, ...], kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[str | None] = []
    told: asyncio.Queue[JsonObject] = asyncio.Queue()

    async def failing(_: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        watched.append(namespace)
        try:
            yield {"type": "ADDED", "object": {"metadata": {"name": "p1", "resourceVersion": "7"}}}
            await asyncio.Event().wait()
        finally:
            watched.remove(namespace)

    monkeypatch.setattr(kube, "watch_failed_pods", failing)
    monkeypatch.setattr("trending.controller.reconcile.Reconciler.pod_failed", lambda _, pod: told.put_nowait(pod))
    async with started(kube, monkeypatch, replace(SETTINGS, watch_namespaces=namespaces)) as (operator, _):
        async with asyncio.timeout(1):
            for _ in namespaces or (None,):
                await told.get()
        assert watched == list(namespaces or (None,))
        assert await operator.why_not_live() is None
    assert watched == []


def test_there_is_one_operator_however_many_schedules_kopf_keeps_a_memo_of() -> None:
    operator = Operator(SETTINGS, stop=asyncio.Event())
    assert copy.copy(operator) is operator


async def test_a_job_whose_deletion_no_watch_told_is_forgotten_though_it_was_the_only_one(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.put_job(job_body("hourly-1"))
    async with started(kube, monkeypatch) as (operator, _):
        kube.remove_job("hourly-1")
        await operator.resync()
        assert operator.store.jobs(HOURLY) == []


async def test_a_schedule_whose_deletion_no_watch_told_is_forgotten_though_it_was_the_only_one(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.apply(schedule_body(suspend=True))
    async with started(kube, monkeypatch) as (operator, _):
        kube.remove_schedule()
        await operator.resync()
        assert operator.store.keys() == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(404, "is not installed: install the chart, or `trending crd | kubectl apply -f -`", id="no CRD"),
        pytest.param(403, "cannot be listed: the service account may not", id="no rights"),
    ],
)
async def test_a_cluster_that_is_not_ready_is_told_with_what_is_missing(
    status: int, told: str, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        raise refusal(status, "the service account may not")

    monkeypatch.setattr(kube, "schedules", refused)
    with pytest.raises(NotReadyError, match=told.replace("|", r"\|")):
        async with started(kube, monkeypatch):
            pass
    assert kube.closed


@pytest.mark.parametrize("name", ["scheduler", "resync"])
async def test_when_a_task_dies_the_process_is_told_to_stop(
    name: str, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(
        *{
            "scheduler": ("trending.controller.scheduler.Scheduler.run", dies),
            "resync": ("trending.controller.operator.Operator._resync_for_ever", dies),
        }[name]
    )
    async with started(kube, monkeypatch) as (operator, stop):
        async with asyncio.timeout(1):
            await stop.wait()
        assert operator.failed
        assert await operator.why_not_live() == f"the {name} task is dead"
        assert await operator.why_not_ready() == "the process is stopping"


async def test_an_operator_that_has_not_listed_anything_lives_and_is_not_ready() -> None:
    operator = Operator(SETTINGS, stop=asyncio.Event())
    assert await operator.why_not_live() is None
    assert await operator.why_not_ready() == "nothing has been listed yet"


async def test_a_scheduler_that_does_not_go_round_is_not_live(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(kube, monkeypatch) as (operator, _):
        await asyncio.sleep(0)
        monkeypatch.setattr("trending.controller.scheduler._STUCK_SECONDS", -1.0)
        assert await operator.why_not_live() == "the scheduler task is stuck"
        assert await operator.why_not_ready() == "the scheduler task is stuck"


async def test_while_the_api_server_does_not_answer_it_is_live_and_not_ready(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> JsonObject:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("trending.controller.operator._ANSWER_SECONDS", 0.01)
    async with started(kube, monkeypatch) as (operator, _):
        monkeypatch.setattr(kube, "get_version", hangs)
        assert await operator.why_not_live() is None
        assert await operator.why_not_ready() == "the API server does not answer: TimeoutError"


async def test_when_everything_was_last_listed_is_a_metric(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(kube, monkeypatch) as (operator, _):

        def listed_at() -> float:
            return scrape(operator.metrics).value("trending_listed_timestamp_seconds") or 0.0

        first = listed_at()
        assert first == pytest.approx(time.time(), abs=60)
        kube.forbidden.add("")
        with pytest.raises(NotListedError):
            await operator.resync()
        assert listed_at() == first
        kube.forbidden.clear()
        await operator.resync()
        assert listed_at() > first


async def test_listing_anew_goes_on_after_it_failed(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = asyncio.Semaphore(0)
    original = kube.schedules

    def unreliable(_: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        listed.release()
        if times := next(answers):
            raise times
        return original()

    answers = iter(
        [None, refusal(500), OSError("connection reset"), TimeoutError(), ValueError("cut off"), *[None] * 1000]
    )
    monkeypatch.setattr(kube, "schedules", unreliable)
    async with started(kube, monkeypatch, replace(SETTINGS, resync_seconds=0.001)) as (operator, _):
        async with asyncio.timeout(2):
            for _ in range(7):
                await listed.acquire()
        assert await operator.why_not_live() is None
