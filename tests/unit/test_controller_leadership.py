"""The election, in virtual time: candidates on a network that delays, refuses and loses what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import wraps
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.kube import Clock, FakeKube, at, refusal
from tests.unit.virtual_time import run_in_virtual_time
from trending.controller.kube import JsonObject, Kube
from trending.controller.leadership import Leadership, NotLeaderError, Periods, seconds_since_boot

PERIODS: Final = Periods()
FAILOVER: Final = PERIODS.lease + PERIODS.retry
SLACK: Final = 0.01
"""Virtual time is exact but for the last digits of a float."""


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        run_in_virtual_time(test(*arguments, **named))

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


class Network(Kube):
    """One candidate's way to the API server, and what befalls it there."""

    def __init__(self, server: FakeKube) -> None:
        self.server = server
        self.there = 0.0
        self.back = 0.0
        self.cut = False
        self.deaf = False
        self.refuse = 0

    async def get_lease(self, namespace: str, name: str) -> JsonObject:
        return await self._carry(lambda: self.server.get_lease(namespace, name))

    async def create_lease(self, body: JsonObject) -> JsonObject:
        return await self._carry(lambda: self.server.create_lease(body))

    async def replace_lease(self, body: JsonObject) -> JsonObject:
        return await self._carry(lambda: self.server.replace_lease(body))

    async def _carry(self, call: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        await asyncio.sleep(self.there)
        if self.cut:
            await asyncio.Event().wait() if self.there else None
            raise OSError("network is unreachable")
        if self.refuse:
            raise refusal(self.refuse, "no")
        answer = await call()
        if self.deaf:
            raise ConnectionResetError("the answer is lost")
        await asyncio.sleep(self.back)
        return answer


class Candidate:
    """A controller that stands by and leads in turn; `terms` says from when on."""

    def __init__(self, server: FakeKube, name: str) -> None:
        self.network = Network(server)
        self.leadership = Leadership(
            kube=self.network, namespace="trending-system", name="trending-operator", identity=name, clock=now
        )
        self.terms: list[float] = []
        self.led = asyncio.Event()
        self.task = asyncio.create_task(self._campaign())

    async def _campaign(self) -> None:
        while True:
            await self.leadership.acquire()
            self.terms.append(now())
            self.led.set()
            await self.leadership.hold()

    async def die(self) -> None:
        """End as by kill -9: nothing is given back."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def stop(self) -> None:
        """End as by SIGTERM."""
        await self.die()
        await self.leadership.release()


def lease_of(server: FakeKube) -> JsonObject:
    return server._leases["trending-system", "trending-operator"]


@pytest.fixture
def server() -> FakeKube:
    return FakeKube(Clock("09:00"))


@virtual
async def test_the_first_leads_and_the_second_stands_by(server: FakeKube) -> None:
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    second = Candidate(server, "b")
    await asyncio.sleep(300)
    assert (first.leadership.holds(), second.leadership.holds()) == (True, False)
    assert (len(first.terms), second.terms) == (1, [])
    first.leadership.check()
    with pytest.raises(NotLeaderError, match="b does not hold the Lease trending-system/trending-operator any more"):
        second.leadership.check()
    assert second.leadership.is_informed()


@virtual
async def test_the_lease_says_who_holds_it_since_when_and_how_often_it_changed_hands(server: FakeKube) -> None:
    first = Candidate(server, "a")
    first.leadership._now = lambda: at("10:00")
    await asyncio.sleep(1)
    assert lease_of(server)["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": round(PERIODS.lease),
        "acquireTime": "2026-11-23T10:00:00.000000Z",
        "renewTime": "2026-11-23T10:00:00.000000Z",
        "leaseTransitions": 0,
    }
    first.leadership._now = lambda: at("10:00:02.5")
    await asyncio.sleep(2)
    spec = lease_of(server)["spec"]
    assert (spec["acquireTime"], spec["renewTime"]) == ("2026-11-23T10:00:00.000000Z", "2026-11-23T10:00:02.500000Z")
    second = Candidate(server, "b")
    await first.stop()
    await asyncio.sleep(3)
    assert (lease_of(server)["spec"]["holderIdentity"], lease_of(server)["spec"]["leaseTransitions"]) == ("b", 1)
    assert second.leadership.holds()


@virtual
async def test_a_leader_that_dies_is_followed_within_twelve_seconds(server: FakeKube) -> None:
    first, second = Candidate(server, "a"), Candidate(server, "b")
    await asyncio.sleep(60.7)
    leader, other = (first, second) if first.terms else (second, first)
    await leader.die()
    killed = now()
    await asyncio.sleep(FAILOVER)
    assert PERIODS.lease - PERIODS.retry - SLACK < other.terms[0] - killed < FAILOVER + SLACK


@virtual
async def test_a_leader_that_is_told_to_stop_is_followed_at_the_next_look(server: FakeKube) -> None:
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    second = Candidate(server, "b")
    await asyncio.sleep(60)
    await first.stop()
    assert not first.leadership.holds()
    await asyncio.sleep(PERIODS.retry + SLACK)
    assert second.leadership.holds()


@virtual
async def test_a_renewal_on_its_way_does_not_keep_the_lease_from_being_given_back(server: FakeKube) -> None:
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    original = server.replace_lease

    async def late(body: JsonObject) -> JsonObject:
        server.replace_lease = original  # type: ignore[method-assign]
        renewed = await original({**body, "spec": {**body["spec"], "holderIdentity": "a"}})
        assert renewed["spec"]["holderIdentity"] == "a"
        return await original(body)

    server.replace_lease = late  # type: ignore[method-assign]
    await first.stop()
    assert "holderIdentity" not in lease_of(server)["spec"]


@pytest.mark.parametrize("silent", [True, False], ids=["nothing comes back", "refused at once"])
@virtual
async def test_a_leader_cut_off_stops_before_another_may_begin(server: FakeKube, silent: bool) -> None:
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    second = Candidate(server, "b")
    await asyncio.sleep(60)
    first.network.cut, first.network.there = True, SLACK if silent else 0.0
    while first.leadership.holds():
        assert not second.leadership.holds()
        await asyncio.sleep(0.1)
    stopped = now()
    await second.led.wait()
    assert now() - stopped > PERIODS.lease - PERIODS.renew - 0.2


@virtual
async def test_a_leader_that_was_paused_knows_at_once_that_it_may_lead_no_more(server: FakeKube) -> None:
    """Its clock goes on while it is stopped, and it asks its clock and nobody else."""
    skew = 0.0
    first = Candidate(server, "a")
    first.leadership._clock = lambda: now() + skew
    await asyncio.sleep(1)
    assert first.leadership.holds()
    skew = PERIODS.renew
    with pytest.raises(NotLeaderError):
        first.leadership.check()


@virtual
async def test_a_renewal_whose_answer_was_lost_counts(server: FakeKube) -> None:
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    for _ in range(5):
        first.network.deaf = True
        await asyncio.sleep(PERIODS.retry)
        first.network.deaf = False
        await asyncio.sleep(PERIODS.retry)
    assert first.leadership.holds()
    assert len(first.terms) == 1


@virtual
async def test_a_leader_whose_lease_is_taken_or_deleted_by_hand_stops_at_its_next_renewal(server: FakeKube) -> None:
    for do in (lambda: lease_of(server)["spec"].update(holderIdentity="kubectl"), server._leases.clear):
        first = Candidate(server, "a")
        await first.led.wait()
        do()
        if server._leases:
            server._versioned(lease_of(server))
        await asyncio.sleep(PERIODS.retry + SLACK)
        assert not first.leadership.holds() or len(first.terms) > 1
        await first.die()
        server._leases.clear()


@virtual
async def test_a_lease_that_the_chart_made_with_nothing_in_it_is_taken_and_stays_when_it_is_applied_again(
    server: FakeKube,
) -> None:
    body: JsonObject = {"metadata": {"namespace": "trending-system", "name": "trending-operator"}}
    await server.create_lease(body)
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    assert first.leadership.holds()
    lease_of(server)["metadata"]["labels"] = {"app.kubernetes.io/version": "2"}
    server._versioned(lease_of(server))
    await asyncio.sleep(60)
    assert first.leadership.holds()
    assert len(first.terms) == 1
    assert lease_of(server)["metadata"]["labels"] == {"app.kubernetes.io/version": "2"}


@virtual
async def test_two_that_come_at_once_make_one_leader(server: FakeKube) -> None:
    candidates = [Candidate(server, name) for name in "abc"]
    for candidate in candidates:
        candidate.network.there = candidate.network.back = 0.1
    await asyncio.sleep(3)
    assert [candidate.leadership.holds() for candidate in candidates].count(True) == 1


@virtual
async def test_the_one_that_waits_goes_by_what_the_holder_promised(server: FakeKube) -> None:
    """As it must while a new release with other periods is rolled out."""
    first = Candidate(server, "a")
    first.leadership._periods = Periods(lease=60, renew=40, retry=5)
    await asyncio.sleep(1)
    second = Candidate(server, "b")
    await asyncio.sleep(60)
    await first.die()
    await asyncio.sleep(50)
    assert second.terms == []
    await asyncio.sleep(15)
    assert second.leadership.holds()


@virtual
async def test_a_wall_clock_that_is_wrong_by_hours_is_no_matter(server: FakeKube) -> None:
    first = Candidate(server, "a")
    first.leadership._now = lambda: at("03:00") + timedelta(seconds=now())
    await asyncio.sleep(1)
    second = Candidate(server, "b")
    second.leadership._now = lambda: at("23:00") + timedelta(seconds=now())
    await asyncio.sleep(60)
    assert (first.leadership.holds(), second.leadership.holds()) == (True, False)


@virtual
async def test_what_keeps_it_from_the_lease_is_told_once_and_makes_it_uninformed(
    server: FakeKube, caplog: pytest.LogCaptureFixture
) -> None:
    candidate = Candidate(server, "a")
    candidate.network.refuse = 403
    await asyncio.sleep(60)
    assert [record.getMessage() for record in caplog.records] == [
        "the Lease trending-system/trending-operator cannot be read or written: no"
    ]
    assert not candidate.leadership.is_informed()
    candidate.network.refuse = 0
    await asyncio.sleep(PERIODS.retry)
    assert candidate.leadership.is_informed()
    assert candidate.leadership.holds()


def test_its_clock_goes_on_and_is_not_the_walls() -> None:
    before = seconds_since_boot()
    assert before <= seconds_since_boot() < 1e9, "seconds since 1970 are more"


FAULTS: Final = st.fixed_dictionaries(
    {
        "who": st.integers(0, 2),
        "what": st.sampled_from(["cut", "deaf", "slow", "refuse", "die", "stop"]),
        "delay": st.floats(0, 12),
        "seconds": st.floats(0.1, 30),
    }
)


@settings(max_examples=50, deadline=None)
@given(st.lists(FAULTS, max_size=12))
def test_whatever_befalls_them_never_do_two_lead_and_afterwards_one_does(faults: list[dict[str, Any]]) -> None:
    run_in_virtual_time(_befall(faults))


async def _befall(faults: list[dict[str, Any]]) -> None:
    server = FakeKube(Clock("09:00"))
    candidates = [Candidate(server, name) for name in "abc"]
    watch = asyncio.create_task(_watch(candidates))
    for number, fault in enumerate(faults):
        who = fault["who"]
        candidate = candidates[who]
        network = candidate.network
        if fault["what"] in ("die", "stop"):
            await (candidate.die() if fault["what"] == "die" else candidate.stop())
            candidates[who] = Candidate(server, f"{'abc'[who]}{number}")
        elif fault["what"] == "slow":
            network.there, network.back = fault["delay"], fault["delay"] / 2
        elif fault["what"] == "refuse":
            network.refuse = 500
        else:
            setattr(network, fault["what"], True)
        await asyncio.sleep(fault["seconds"])
        if number % 2:
            _heal(network)
    for candidate in candidates:
        _heal(candidate.network)
    # A request that is on its way when all is well again may take as long as it did.
    await asyncio.sleep(FAILOVER + PERIODS.renew)
    assert [candidate.leadership.holds() for candidate in candidates].count(True) == 1
    watch.cancel()
    (ended,) = await asyncio.gather(watch, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended


def _heal(network: Network) -> None:
    network.there = network.back = 0.0
    network.cut = network.deaf = False
    network.refuse = 0


async def _watch(candidates: list[Candidate]) -> None:
    """Look four times a second whether two lead."""
    while True:
        leaders = [candidate.leadership.identity for candidate in candidates if candidate.leadership.holds()]
        assert len(leaders) <= 1, f"{leaders} lead at {now()}"
        await asyncio.sleep(0.25)
