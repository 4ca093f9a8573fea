"""The watches of Jobs and failed pods: what they take up, where they go on, what they do when cut or too far behind."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.unit.kube import Clock, FakeKube, job_body, refusal
from trending.controller.kube import JsonObject
from trending.controller.store import Key, Store
from trending.controller.watching import FailedPodWatch, JobWatch, Pace

HOURLY = Key("default", "hourly")


def event(kind: str, name: str = "", *, version: int, uid: str = "j1") -> JsonObject:
    if kind == "BOOKMARK":
        return {"type": kind, "object": {"kind": "Job", "metadata": {"resourceVersion": str(version)}}}
    return {"type": kind, "object": job_body(name, uid=uid, version=version)}


def expired() -> JsonObject:
    return {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


class Streams(FakeKube):
    """An API server whose watches tell what the test wants, one stream after another; an error ends its stream."""

    def __init__(self, *streams: list[JsonObject | Exception]) -> None:
        super().__init__(Clock("09:00"))
        self.streams = list(streams)
        self.asked: list[tuple[str, str | None]] = []
        self.lists = 0
        self.over = asyncio.Event()

    async def jobs(self, namespace: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        self.lists += 1
        async for page in super().jobs(namespace):
            yield page

    async def watch_jobs(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        self.asked.append((version, namespace))
        if not self.streams:
            self.over.set()
            await asyncio.Event().wait()
        for told in self.streams.pop(0):
            if isinstance(told, Exception):
                raise told
            yield told


class World:
    def __init__(self, *streams: list[JsonObject | Exception], lasting: float = 300.0) -> None:
        """Each stream lasts so many seconds."""
        self.kube = Streams(*streams)
        self.store = Store(changed=lambda _: None)
        self.pauses: list[float] = []
        times = itertools.count(step=lasting)
        pace = Pace(sleep=self._sleep, chance=lambda: 1.0, timer=lambda: next(times))
        self.watch = JobWatch(kube=self.kube, store=self.store, pace=pace)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, *, since: str = "5") -> list[str]:
        """Watch until all streams have been told; return the names of the Jobs that are known then."""
        self.watch.version = since
        task = asyncio.create_task(self.watch.run())
        async with asyncio.timeout(5):
            await self.kube.over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [job.name for job in self.store.jobs(HOURLY)]


@pytest.mark.parametrize("well", [[event("BOOKMARK", version=6)], []], ids=["an event", "a stream that lasts"])
async def test_since_when_and_by_what_it_is_cut_is_known_until_a_watch_goes_well(
    well: list[JsonObject | Exception],
) -> None:
    told: list[str | None] = []
    world = World(
        [refusal(403, "not allowed")], [refusal(403, "not allowed")], [refusal(403, "not allowed")], well, lasting=10
    )
    original = world.kube.watch_jobs

    def watch_jobs(version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        told.append(world.watch.why_cut(for_seconds=25))
        return original(version, namespace)

    world.kube.watch_jobs = watch_jobs  # type: ignore[method-assign]
    await world.run()
    assert told == [
        None,
        None,
        "Jobs cannot be watched, for 40 s now: not allowed",
        "Jobs cannot be watched, for 60 s now: not allowed",
        None,
    ]


async def test_jobs_that_come_change_and_go_are_taken_up() -> None:
    world = World(
        [
            event("ADDED", "hourly-1", version=11),
            event("ADDED", "hourly-2", version=12, uid="j2"),
            event("MODIFIED", "hourly-2", version=13, uid="j2"),
            event("DELETED", "hourly-1", version=14),
        ]
    )
    assert await world.run() == ["hourly-2"]


async def test_a_stream_that_ends_is_followed_by_one_from_the_last_version_that_was_told() -> None:
    world = World([event("ADDED", "hourly-1", version=11)], [event("BOOKMARK", version=90)], [])
    await world.run()
    assert world.kube.asked == [("5", None), ("11", None), ("90", None), ("90", None)]
    assert (world.kube.lists, world.pauses) == (0, [])


async def test_a_stream_that_ends_as_soon_as_it_is_opened_is_not_opened_again_at_once() -> None:
    """A proxy may do so, for as long as it likes."""
    world = World([], [], [event("BOOKMARK", version=11)], lasting=0.1)
    await world.run()
    assert world.kube.asked == [("5", None), ("5", None), ("5", None), ("11", None)]
    assert (world.kube.lists, world.pauses) == (0, [0.5, 1])


@pytest.mark.parametrize(
    "cut", [aiohttp.ClientPayloadError("cut"), TimeoutError(), refusal(503), ConnectionResetError()], ids=repr
)
async def test_a_stream_that_is_cut_goes_on_after_a_pause_without_a_new_list(cut: Exception) -> None:
    world = World([event("ADDED", "hourly-1", version=11), cut], [event("ADDED", "hourly-2", version=12, uid="j2")])
    assert await world.run() == ["hourly-1", "hourly-2"]
    assert world.kube.asked[1] == ("11", None)
    assert (world.kube.lists, world.pauses) == (0, [0.5])


async def test_while_nothing_answers_the_pauses_grow_up_to_half_a_minute_and_begin_anew_after_an_event() -> None:
    down: list[list[JsonObject | Exception]] = [[aiohttp.ClientConnectionError("refused")] for _ in range(8)]
    world = World(*down, [event("BOOKMARK", version=11), TimeoutError()])
    await world.run()
    assert world.pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.5]


@pytest.mark.parametrize("told", [expired(), refusal(410)], ids=["in the stream", "as the answer"])
async def test_where_the_past_is_forgotten_all_jobs_are_listed_anew_and_those_gone_are_forgotten(told: Any) -> None:
    world = World([event("ADDED", "hourly-1", version=11), told])
    world.kube.put_job(job_body("hourly-2", uid="j2"))
    assert await world.run() == ["hourly-2"]
    assert world.kube.lists == 1
    assert world.kube.asked[1] == (str(world.kube._version), None)
    assert world.pauses == []


async def test_without_a_version_it_lists_first() -> None:
    world = World([])
    world.kube.put_job(job_body("hourly-1"))
    assert await world.run(since="") == ["hourly-1"]


async def test_another_error_in_the_stream_is_waited_out() -> None:
    world = World([{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is away"}}])
    await world.run()
    assert world.pauses == [0.5]
    assert world.kube.lists == 0


@pytest.mark.parametrize(
    "trouble",
    [
        ValueError("a line\nthat is too long"),
        {"type": "ADDED", "object": {}},
        {"type": "ERROR", "object": {"kind": "Status"}},
        event("ADDED", "hourly-1", version=11) | {"object": {**job_body("hourly-1", version=11), "status": 5}},
    ],
    ids=["a line too long", "an object of none", "an error without a code", "a Job that is none"],
)
async def test_whatever_goes_wrong_is_told_in_a_line_and_waited_out(
    trouble: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world = World([trouble], [event("ADDED", "hourly-2", version=12, uid="j2")])
    assert await world.run() == ["hourly-2"]
    assert world.pauses == [0.5]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("the watch of Jobs was cut: ")
    assert told.isprintable()


async def test_an_event_that_cannot_be_taken_up_does_not_come_again_before_all_that_follow_it() -> None:
    bad = {"type": "ADDED", "object": {**job_body("hourly-1", version=11), "status": 5}}
    world = World([bad])
    await world.run()
    assert [version for version, _ in world.kube.asked] == ["5", "11"]


class FailedPods(FakeKube):
    """An API server whose watch of failed pods tells these events, each stream after a version of its own."""

    def __init__(self, *streams: list[JsonObject]) -> None:
        super().__init__(Clock("09:00"))
        self.streams = list(streams)
        self.asked: list[tuple[str, str | None]] = []
        self.over = asyncio.Event()

    async def watch_failed_pods(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        self.asked.append((version, namespace))
        for told in self.streams.pop(0):
            yield told
        if not self.streams:
            self.over.set()
            await asyncio.Event().wait()


def pod_event(kind: str, name: str, version: int) -> JsonObject:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


async def test_pods_are_told_as_they_fail_from_the_present_on_and_again_after_the_past_is_forgotten() -> None:
    gone = pod_event("DELETED", "a", 1005)
    kube = FailedPods([pod_event("ADDED", "a", 1002), gone, expired()], [pod_event("MODIFIED", "b", 1009)])
    told: list[str] = []
    watch = FailedPodWatch(kube=kube, namespace="default", tell=lambda pod: told.append(pod["metadata"]["name"]))
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await kube.over.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == ["a", "b"]
    assert kube.asked == [("1000", "default")] * 2
