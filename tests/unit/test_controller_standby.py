"""A controller that takes part in an election, in virtual time: it stands by, leads, loses the lead, gives it back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from tests.unit.kube import SETTINGS, Clock, FakeKube, job_body, refusal, schedule_body
from tests.unit.test_controller_leadership import now, virtual
from trending.controller.answers import UnreadableError
from trending.controller.kube import JsonObject, Kube
from trending.controller.leadership import NotLeaderError
from trending.controller.operator import Operator
from trending.controller.patience import UnreachableError
from trending.controller.settings import Settings
from trending.controller.store import Key
from trending.schedule.observed import Schedule

HOURLY: Final = Key("default", "hourly")
LEASE: Final = ("trending-system", "trending-operator")
ELECTING: Final = replace(SETTINGS, leader_election=True, namespace=LEASE[0])


class Cluster(FakeKube):
    """An API server with a schedule whose first slot is due."""

    def __init__(self) -> None:
        super().__init__(Clock("09:30"))
        self.apply(schedule_body(immediate=True))
        self.cut = False
        self.changes: list[str | None] = []
        """Who held the Lease, one after another; None where nobody did."""

    def give_lease_to(self, holder: str) -> None:
        """Have somebody hold the Lease, as of now."""
        body = self._leases.get(LEASE, {"metadata": {"namespace": LEASE[0], "name": LEASE[1]}})
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 10, "renewTime": str(now())}
        self._leases[LEASE] = self._versioned({**body, "spec": spec})

    @property
    def holder(self) -> str | None:
        """Who holds the Lease."""
        held: str | None = self._leases.get(LEASE, {}).get("spec", {}).get("holderIdentity")
        return held

    async def replace_lease(self, body: JsonObject) -> JsonObject:
        if self.cut:
            raise OSError("network is unreachable")
        answer = await super().replace_lease(body)
        if self.changes[-1:] != [self.holder]:
            self.changes.append(self.holder)
        return answer

    async def watch_jobs(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:  # noqa: ARG002 (as Kube has it)
        if "watch_jobs" in self.refuse:
            raise self.refuse["watch_jobs"]
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
        await asyncio.Event().wait()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@asynccontextmanager
async def started(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, settings: Settings = ELECTING
) -> AsyncIterator[Operator]:
    async def connect(**_: str) -> Kube:
        return cluster

    monkeypatch.setattr(Kube, "connect", connect)
    operator = Operator(settings, stop=asyncio.Event(), clock=now)
    await operator.start()
    try:
        yield operator
    finally:
        await operator.close()


@virtual
async def test_alone_it_leads_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(1)
        assert len(cluster.job_names) == 1
        assert cluster.holder == "controller-0"
        assert await operator.why_not_live() is None
        assert await operator.why_not_ready() is None


@virtual
async def test_standing_by_it_is_ready_knows_what_there_is_and_writes_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        for _ in range(100):
            cluster.give_lease_to("another")
            await asyncio.sleep(5)
        operator.store.put_job(job_body("hourly-1"))
        assert (operator.store.keys(), cluster.writes, cluster.holder) == ([HOURLY], [], "another")
        assert await operator.why_not_live() is None
        assert await operator.why_not_ready() is None


@virtual
async def test_its_turn_come_it_lists_everything_before_it_decides(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its watches told it nothing of the edit that takes the due slot away."""
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        cluster.apply(schedule_body(immediate=True, suspend=True))
        await asyncio.sleep(13)
        assert cluster.holder != "another"
        held = operator.store.schedule(HOURLY)
        assert held
        assert held.spec.suspend
        assert cluster.job_names == []


@virtual
async def test_its_turn_come_runs_that_are_asked_for_go_before_slots_that_are_due(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody waits for the one; nobody saw the other's minute."""
    asked = schedule_body(suspend=True)
    asked["metadata"] |= {"name": "zzz", "uid": "u2", "annotations": {"trending.dev/requestedAt": "now"}}
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch, settings=replace(ELECTING, workers=1)):
        cluster.apply(asked)
        await asyncio.sleep(13)
        assert [name.partition("-")[0] for name in cluster.job_names] == ["zzz", "hourly"]


@virtual
async def test_what_was_counted_of_schedules_that_went_while_it_stood_by_is_forgotten(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(1)
        body = schedule_body()
        kept = Schedule.from_object(body)
        gone = Schedule.from_object({**body, "metadata": {**body["metadata"], "name": "gone", "uid": "u2"}})
        for schedule in (kept, gone):  # as if that one were deleted while another led
            operator.metrics.tallies.of(schedule).wal_bytes = 7
        cluster.cut = True
        await asyncio.sleep(9)
        cluster.cut = False
        await asyncio.sleep(5)
        assert operator.decides()
        assert [operator.metrics.tallies.peek(schedule).wal_bytes for schedule in (kept, gone)] == [7, 0]


@virtual
async def test_when_it_cannot_renew_it_writes_nothing_more_and_stands_by(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.apply(schedule_body(suspend=True))
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(1)
        cluster.cut = True
        await asyncio.sleep(9)
        cluster.writes.clear()
        cluster.apply(schedule_body(immediate=True))
        await operator.resync()
        await asyncio.sleep(60)
        assert (cluster.writes, cluster.job_names) == ([], [])
        assert await operator.why_not_live() is None, "a new process would do no better"
        with pytest.raises(NotLeaderError):
            cluster.before_writing()
        cluster.cut = False
        await asyncio.sleep(5)
        assert len(cluster.job_names) == 1


@virtual
async def test_told_to_stop_it_lets_a_pass_come_to_its_end_and_then_gives_the_lease_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cluster.create_job

    async def slow(manifest: JsonObject) -> JsonObject:
        await asyncio.sleep(2)
        assert cluster.holder, "given back while something is written"
        return await original(manifest)

    monkeypatch.setattr(cluster, "create_job", slow)
    async with started(cluster, monkeypatch):
        await asyncio.sleep(1)
        assert cluster.job_names == []
    assert len(cluster.job_names) == 1
    assert cluster.status()["activeCount"] == 1
    assert cluster.holder is None


@virtual
async def test_the_lease_is_given_back_before_the_process_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(1)
        operator.stop()
        await operator._stop.wait()
        assert cluster.holder is None
        assert not operator.failed
        assert await operator.why_not_live() is None
        assert await operator.why_not_ready() == "the process is stopping"


@virtual
async def test_a_pass_that_does_not_end_keeps_nobody_waiting_for_long(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: JsonObject) -> JsonObject:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(cluster, "create_job", hangs)
    async with started(cluster, monkeypatch):
        await asyncio.sleep(1)
        told = now()
    assert now() - told < 6
    assert cluster.holder is None


@virtual
async def test_a_scheduler_that_dies_takes_the_process_with_it_and_gives_the_lease_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_: object) -> None:
        await asyncio.sleep(1)
        raise RuntimeError("a bug")

    monkeypatch.setattr("trending.controller.scheduler.Scheduler.run", dies)
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(3)
        assert operator.failed
        assert await operator.why_not_live() == "the leadership task is dead"
    assert cluster.holder is None


@virtual
async def test_one_that_can_neither_read_nor_write_the_lease_is_not_ready(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(cluster, monkeypatch) as operator:
        cluster.cut = True
        await asyncio.sleep(30)
        assert await operator.why_not_ready() == "the Lease can be neither read nor written"


FORBIDDEN: Final = "schedules and Jobs cannot be listed: the service account may not"


@virtual
async def test_one_that_cannot_list_when_its_turn_has_come_is_not_ready_and_gives_the_lease_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Role is taken away while it stands by."""
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        cluster.forbidden.add("")
        await asyncio.sleep(13)
        assert cluster.holder == "controller-0"
        assert await operator.why_not_ready() == f"everything has to be listed before it leads: {FORBIDDEN}"
        assert await operator.why_not_live() is None
        await asyncio.sleep(20)
        assert cluster.changes == ["controller-0", None]
        assert await operator.why_not_ready() == f"everything has to be listed before it leads: {FORBIDDEN}"
        assert await operator.why_not_live() is None, "a new process would do no better"
        cluster.forbidden.clear()
        await asyncio.sleep(10)
        assert await operator.why_not_ready() is None
        assert (cluster.holder, len(cluster.job_names)) == ("controller-0", 1)


@virtual
@pytest.mark.parametrize(
    "error", [UnreadableError("no list"), KeyError("uid"), ValueError("x"), TypeError("y")], ids=repr
)
async def test_whatever_keeps_it_from_listing_takes_no_process_with_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        well = cluster.schedules

        def unwell(_: str | None = None) -> None:
            raise error

        monkeypatch.setattr(cluster, "schedules", unwell)
        await asyncio.sleep(33)
        assert await operator.why_not_live() is None
        assert cluster.changes == ["controller-0", None]
        monkeypatch.setattr(cluster, "schedules", well)
        await asyncio.sleep(10)
        assert len(cluster.job_names) == 1


@virtual
async def test_one_that_gets_no_answer_gives_the_lease_back_though_the_periodic_listing_hangs_as_well(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About the worst that can be: seconds of refusals, then a listing that waits for another, and gets no answer."""
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        cluster.forbidden.add("")
        await asyncio.sleep(13)
        assert cluster.holder == "controller-0"
        await asyncio.sleep(6)

        async def no_answer(_: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
            await asyncio.sleep(30)
            if operator.decides():
                yield [], "0"
            raise UnreachableError("the API server does not answer: TimeoutError")

        monkeypatch.setattr(cluster, "schedules", no_answer)
        periodic = asyncio.create_task(operator.resync())
        await asyncio.sleep(62)
        assert cluster.changes == ["controller-0", None]
        await asyncio.gather(periodic, return_exceptions=True)


@virtual
async def test_one_that_cannot_list_leaves_the_lead_to_another_that_can(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch) as operator:
        cluster.forbidden.add("")
        await asyncio.sleep(33)
        assert cluster.changes == ["controller-0", None]
        for _ in range(20):
            cluster.give_lease_to("another")
            await asyncio.sleep(5)
        cluster.forbidden.clear()
        for _ in range(4):
            cluster.give_lease_to("another")
            await asyncio.sleep(5)
        assert (cluster.holder, cluster.job_names, operator.decides()) == ("another", [], False)
        assert await operator.why_not_ready() is None


@virtual
async def test_an_api_server_that_lets_nobody_list_does_not_have_the_lead_change_hands_for_ever(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has tried for a while, and then the first that can list leads."""
    cluster.give_lease_to("another")
    async with (
        started(cluster, monkeypatch, settings=replace(ELECTING, instance="a")) as one,
        started(cluster, monkeypatch, settings=replace(ELECTING, instance="b")) as other,
    ):
        cluster.forbidden.add("")
        await asyncio.sleep(600)
        assert sorted(filter(None, cluster.changes)) == ["a", "b"]
        assert cluster.changes[-1:] == [None]
        cluster.forbidden.clear()
        await asyncio.sleep(10)
        assert {"a": one, "b": other}[str(cluster.holder)].decides()


@virtual
async def test_a_moment_in_which_nothing_can_be_listed_changes_no_leader(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.give_lease_to("another")
    async with started(cluster, monkeypatch):
        cluster.forbidden.add("")
        await asyncio.sleep(15)
        cluster.forbidden.clear()
        await asyncio.sleep(2)
        assert len(cluster.job_names) == 1
        assert cluster.changes == ["controller-0"]


@virtual
async def test_a_leader_whose_rights_are_taken_away_is_not_ready_from_the_second_listing_that_fails_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(1)
        cluster.forbidden.add("")
        await asyncio.sleep(2 * ELECTING.resync_seconds - 10)
        assert await operator.why_not_ready() is None, "that may have been a moment"
        await asyncio.sleep(20)
        told = await operator.why_not_ready()
        assert told
        assert re.fullmatch(rf"everything was last listed 6[01]\d s ago: {FORBIDDEN}", told)
        assert await operator.why_not_live() is None
        assert operator.decides(), "what it knows it goes on with"
        cluster.forbidden.clear()
        await asyncio.sleep(30)
        assert await operator.why_not_ready() is None


@virtual
async def test_one_namespace_that_may_not_be_read_is_told_in_the_log_and_all_of_them_make_it_not_ready(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(ELECTING, watch_namespaces=("default", "team-a"))
    async with started(cluster, monkeypatch, settings=settings) as operator:
        cluster.forbidden.add("team-a")
        await asyncio.sleep(3 * settings.resync_seconds)
        assert await operator.why_not_ready() is None
        cluster.forbidden.add("default")
        await asyncio.sleep(3 * settings.resync_seconds)
        assert "no namespace of TRENDING_WATCH_NAMESPACES can be read: default: " in str(await operator.why_not_ready())


@virtual
async def test_watches_of_jobs_that_are_all_refused_make_it_not_ready(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they would tell comes with the next listing, minutes late."""
    cluster.refuse["watch_jobs"] = refusal(403, "the service account may not")
    async with started(cluster, monkeypatch) as operator:
        await asyncio.sleep(2 * ELECTING.resync_seconds - 10)
        assert await operator.why_not_ready() is None
        await asyncio.sleep(20)
        told = await operator.why_not_ready()
        assert told
        assert re.fullmatch(r"Jobs cannot be watched, for 6[01]\d s now: the service account may not", told)
        assert await operator.why_not_live() is None
        del cluster.refuse["watch_jobs"]
        await asyncio.sleep(31)
        assert await operator.why_not_ready() is None


def connection(address: str) -> Kube:
    client, configuration = cast("Any", ApiClient), cast("Any", Configuration)  # these have no types
    return Kube(client(configuration(host=address)))


async def test_what_is_called_before_writing_keeps_each_write_from_being_sent_and_no_read() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.json_response({"metadata": {"name": "x"}, "items": []})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        kube = connection(str(server.make_url("/")).rstrip("/"))
        job: JsonObject = {"metadata": {"namespace": "default", "name": "x", "resourceVersion": "1"}}
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: kube.create_job(job),
            lambda: kube.delete_job("default", "x", uid="u"),
            lambda: kube.replace_status(job),
            lambda: kube.create_event(job),
        ]

        def refuse() -> None:
            raise NotLeaderError("no")

        for write in writes:
            await write()
        assert sorted(asked) == ["DELETE", "POST", "POST", "PUT"]
        asked.clear()
        kube.before_writing = refuse
        for write in writes:
            with pytest.raises(NotLeaderError):
                await write()
        assert asked == []
        await kube.get_job("default", "x")
        assert asked == ["GET"]
        await kube.close()
