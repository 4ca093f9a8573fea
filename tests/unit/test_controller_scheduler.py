"""When a schedule is looked at: on a change, at the time it named, again after a failure, and never twice at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import pytest

from tests.unit.kube import Clock
from trending.controller.patience import UnreachableError
from trending.controller.ready import Urgency
from trending.controller.scheduler import Scheduler, utc_now
from trending.controller.store import Key

A, B, C, D = (Key("default", name) for name in "abcd")
PULSE = Key("test", "pulse")


class Looks:
    """A scheduler, and what it looked at when. Time passes as the clock says, but for what that was set by."""

    def __init__(self, clock: Clock, *, workers: int) -> None:
        self.clock = clock
        self.set_by = 0.0
        self.seen: list[tuple[Key, datetime]] = []
        self.does: dict[Key, Callable[[], Awaitable[datetime | None]]] = {}
        self.scheduler = Scheduler(
            self._look_at,
            workers=workers,
            clock=clock,
            jitter=lambda: 0.0,
            timer=lambda: clock().timestamp() - self.set_by,
        )
        self._pulses = asyncio.Semaphore(0)

    async def _look_at(self, key: Key) -> datetime | None:
        if key == PULSE:
            self._pulses.release()
            return None
        self.seen.append((key, self.clock()))
        return await self.does[key]() if key in self.does else None

    async def settle(self) -> None:
        """Wait until all that is due now has been begun, and has ended unless it waits for something."""
        for _ in range(3):
            self.scheduler.touch(PULSE)
            async with asyncio.timeout(2):
                await self._pulses.acquire()
        for _ in range(5):
            await asyncio.sleep(0)

    def set_clock(self, seconds: float) -> None:
        """Have somebody set the clock, without any time passing."""
        self.set_by += seconds
        self.clock.advance(seconds)

    async def touch(self, *keys: Key) -> None:
        for key in keys:
            self.scheduler.touch(key)
        await self.settle()

    @property
    def keys(self) -> list[Key]:
        return [key for key, _ in self.seen]


@asynccontextmanager
async def running(*, workers: int = 4) -> AsyncIterator[Looks]:
    looks = Looks(Clock("09:00"), workers=workers)
    task = asyncio.create_task(looks.scheduler.run())
    try:
        yield looks
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Gate:
    """A pass that waits until it is let through, counting how many wait."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.cancelled = 0
        self.entered = asyncio.Semaphore(0)
        self.ended = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.release()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.inside -= 1
            self.ended.set()


async def test_a_change_is_looked_at_at_once_and_once() -> None:
    async with running() as looks:
        await looks.touch(A, A, B)
        assert looks.keys == [A, B]


async def test_passes_of_one_schedule_never_overlap_and_a_change_meanwhile_is_looked_at_after() -> None:
    async with running() as looks:
        gate = looks.does[A] = Gate()
        await looks.touch(A)
        await looks.touch(A)
        assert (gate.inside, gate.most) == (1, 1)
        gate.open.set()
        await looks.settle()
        assert (gate.most, looks.keys) == (1, [A, A])


async def test_passes_of_several_schedules_run_side_by_side_up_to_the_workers() -> None:
    async with running(workers=2) as looks:
        gate = Gate()
        looks.does = dict.fromkeys((A, B, C), gate)
        for key in (A, B, C):
            looks.scheduler.touch(key)
        async with asyncio.timeout(2):
            for _ in range(2):
                await gate.entered.acquire()
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.inside == 2
        gate.open.set()
        await looks.settle()
        assert (gate.most, looks.keys) == (2, [A, B, C])


async def test_a_schedule_is_looked_at_again_when_the_time_has_come_that_it_named() -> None:
    async with running() as looks:
        times = iter([looks.clock() + timedelta(minutes=5)])

        async def name_a_time() -> datetime | None:
            return next(times, None)

        looks.does[A] = name_a_time
        await looks.touch(A)
        looks.clock.advance(299)
        await looks.settle()
        assert looks.keys == [A]
        looks.clock.advance(1)
        await looks.settle()
        assert looks.keys == [A, A]
        looks.clock.advance(86400)
        await looks.settle()
        assert looks.keys == [A, A], "the second pass named no time"


async def test_a_later_pass_takes_back_the_time_that_an_earlier_one_named() -> None:
    async with running() as looks:
        times = iter([looks.clock() + timedelta(minutes=5), looks.clock() + timedelta(minutes=9)])

        async def name_a_time() -> datetime | None:
            return next(times, None)

        looks.does[A] = name_a_time
        await looks.touch(A)
        await looks.touch(A)
        looks.clock.advance(301)
        await looks.settle()
        assert looks.keys == [A, A]
        looks.clock.advance(240)
        await looks.settle()
        assert looks.keys == [A, A, A]


async def test_times_that_were_taken_back_are_not_kept_until_they_come() -> None:
    async with running() as looks:
        far = looks.clock() + timedelta(days=300)
        named: list[datetime] = []

        async def name_a_time() -> datetime | None:
            named.append(far if len(named) % 2 else looks.clock() + timedelta(hours=1))
            return named[-1]

        looks.does[A] = name_a_time
        for _ in range(400):
            await looks.touch(A)
        assert len(looks.scheduler._heap) < 100
        assert named[-1] == far
        looks.clock.advance(300 * 86400)
        await looks.settle()
        assert len(looks.keys) == 401, "the last one holds"


async def test_it_wakes_by_itself_at_the_time_named() -> None:
    looked = asyncio.Event()
    named = utc_now() + timedelta(milliseconds=20)
    times = [named]

    async def look_at(_: Key) -> datetime | None:
        if times:
            return times.pop()
        woken.append(utc_now())
        looked.set()
        return None

    woken: list[datetime] = []
    scheduler = Scheduler(look_at, workers=1, clock=utc_now)
    task = asyncio.create_task(scheduler.run())
    scheduler.touch(A)
    async with asyncio.timeout(2):
        await looked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert woken[0] >= named


async def test_a_clock_that_is_set_forward_is_noticed_without_any_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trending.controller.scheduler._LONGEST_NAP_SECONDS", 0.002)
    async with running() as looks:
        again = asyncio.Event()
        tomorrow = looks.clock() + timedelta(days=1)

        async def name_a_time() -> datetime | None:
            if looks.clock() >= tomorrow:
                again.set()
                return None
            return tomorrow

        looks.does[A] = name_a_time
        await looks.touch(A)
        assert not again.is_set()
        looks.clock.advance(86400)
        async with asyncio.timeout(2):
            await again.wait()


@pytest.mark.parametrize("error", [None, RuntimeError("the API server is down")], ids=["a time named", "a back-off"])
async def test_a_clock_that_is_set_back_puts_nothing_off(error: Exception | None) -> None:
    """What waits by the time that it was before would wait for as much longer."""
    async with running() as looks:

        async def name_a_time() -> datetime | None:
            if error:
                raise error
            return looks.clock() + timedelta(seconds=60)

        looks.does[A] = name_a_time
        await looks.touch(A)
        looks.set_clock(-3600)
        await looks.settle()
        assert looks.keys == [A, A]
        looks.clock.advance(60)
        await looks.settle()
        assert looks.keys == [A, A, A], "as the clock says now"


async def test_a_clock_that_is_set_back_during_a_pass_has_another_one_follow() -> None:
    async with running() as looks:
        gate = looks.does[A] = Gate()
        await looks.touch(A)
        looks.set_clock(-3600)
        await looks.settle()
        gate.open.set()
        await looks.settle()
        assert looks.keys == [A, A]


async def test_what_waits_by_a_clock_that_is_set_back_goes_behind_what_is_urgent() -> None:
    async with running(workers=1) as looks:

        async def name_a_time() -> datetime | None:
            return looks.clock() + timedelta(days=1)

        looks.does = {A: name_a_time}
        await looks.touch(A)
        gate = looks.does[D] = Gate()
        looks.scheduler.touch(D)
        async with asyncio.timeout(2):
            await gate.entered.acquire()
        looks.set_clock(-3600)
        looks.scheduler.touch(B, Urgency.DUE)
        await asyncio.sleep(0)
        assert looks.scheduler.depth == 2
        looks.scheduler.touch(C, Urgency.REQUESTED)
        gate.open.set()
        await looks.settle()
        assert looks.keys[:5] == [A, D, C, B, A]


@pytest.mark.parametrize("seconds", [-0.5, 3600])
async def test_a_clock_that_is_corrected_a_little_or_set_forward_has_nothing_looked_at_before_its_time(
    seconds: float,
) -> None:
    async with running() as looks:

        async def name_a_time() -> datetime | None:
            return looks.clock() + timedelta(days=1)

        looks.does[A] = name_a_time
        await looks.touch(A)
        looks.set_clock(seconds)
        await looks.settle()
        assert looks.keys == [A]


async def test_a_pass_that_fails_is_tried_again_ever_later_and_the_others_go_on() -> None:
    async with running() as looks:
        start = looks.clock()

        async def fail() -> None:
            raise RuntimeError("the API server is down")

        looks.does[A] = fail
        await looks.touch(A)
        while looks.clock() < start + timedelta(seconds=130):
            looks.clock.advance(1)
            await looks.settle()
        seconds = [(time - start).total_seconds() for _, time in looks.seen]
        assert seconds == [0, 1, 3, 7, 15, 31, 63, 123], "1, 2, 4 .. 32 seconds later, then every minute"
        await looks.touch(B)
        assert looks.keys[-1] == B


async def test_while_nothing_answers_it_is_tried_every_few_seconds_so_that_no_slot_waits_long_once_it_does() -> None:
    async with running() as looks:
        start = looks.clock()

        async def fail() -> None:
            raise UnreachableError("connection refused")

        looks.does[A] = fail
        await looks.touch(A)
        while looks.clock() < start + timedelta(seconds=20):
            looks.clock.advance(1)
            await looks.settle()
        assert [(time - start).total_seconds() for _, time in looks.seen] == [0, 1, 3, 7, 11, 15, 19]


async def test_what_failed_together_does_not_come_again_together() -> None:
    chances = iter([0.0, 0.5, 1.0])
    async with running() as looks:
        looks.scheduler._jitter = lambda: next(chances)

        async def fail() -> None:
            raise RuntimeError("the API server is down")

        looks.does = dict.fromkeys((A, B, C), fail)
        await looks.touch(A, B, C)
        looks.does = {}
        seen: list[list[Key]] = []
        for _ in range(3):
            looks.clock.advance(1 if not seen else 0.125)
            await looks.settle()
            seen.append(looks.keys[3:])
        assert seen == [[A], [A, B], [A, B, C]]


async def test_where_all_workers_are_busy_a_request_goes_first_then_what_is_due_then_what_changed() -> None:
    async with running(workers=1) as looks:
        times = iter([looks.clock() + timedelta(seconds=1)])

        async def name_a_time() -> datetime | None:
            return next(times, None)

        looks.does[B] = name_a_time
        await looks.touch(B)
        gate = looks.does[D] = Gate()
        looks.scheduler.touch(D)
        async with asyncio.timeout(2):
            await gate.entered.acquire()
        looks.scheduler.touch(A)
        looks.clock.advance(1)
        looks.scheduler.touch(C, Urgency.REQUESTED)
        assert looks.scheduler.depth == 2
        assert looks.scheduler.is_pressed()
        gate.open.set()
        await looks.settle()
        assert looks.keys == [B, D, C, B, A]
        assert not looks.scheduler.is_pressed()


async def test_after_a_success_failures_count_from_the_beginning() -> None:
    async with running() as looks:
        start = looks.clock()
        fails = iter([True, True, False, True])

        async def sometimes_fail() -> None:
            if next(fails, False):
                raise RuntimeError("the API server is down")

        looks.does[A] = sometimes_fail
        await looks.touch(A)
        for _ in range(10):
            looks.clock.advance(0.5)
            await looks.settle()
        await looks.touch(A)
        for _ in range(10):
            looks.clock.advance(0.5)
            await looks.settle()
        assert [(time - start).total_seconds() for _, time in looks.seen] == [0, 1, 3, 5, 6]


async def test_a_pass_that_hangs_is_ended_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trending.controller.scheduler._LONGEST_PASS_SECONDS", 0.002)
    async with running() as looks:
        gate = looks.does[A] = Gate()
        looks.scheduler.touch(A)
        async with asyncio.timeout(2):
            await gate.ended.wait()
        assert gate.cancelled == 1
        looks.clock.advance(1)
        await looks.settle()
        assert looks.keys == [A, A]


async def test_it_is_alive_while_it_goes_round_and_no_longer_when_it_is_stuck() -> None:
    async with running(workers=1) as looks:
        gate = looks.does[A] = Gate()
        await looks.settle()
        looks.clock.advance(170)
        assert looks.scheduler.is_alive()
        await looks.settle()
        looks.clock.advance(170)
        assert looks.scheduler.is_alive(), "it went round at 170"
        looks.scheduler.touch(A)
        looks.scheduler.touch(B)
        async with asyncio.timeout(2):
            await gate.entered.acquire()
            await asyncio.sleep(0)
        looks.clock.advance(181)
        assert not looks.scheduler.is_alive(), "it waits for a worker since 340"
        gate.open.set()
        await looks.settle()
        assert looks.scheduler.is_alive()


async def test_when_it_is_told_to_stop_no_pass_is_left_behind() -> None:
    looks = Looks(Clock("09:00"), workers=4)
    gate = Gate()
    looks.does = {A: gate, B: gate}
    task = asyncio.create_task(looks.scheduler.run())
    await looks.touch(A, B)
    assert gate.inside == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (gate.inside, gate.cancelled) == (0, 2)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_each_schedules_wait_for_its_pass_is_told() -> None:
    waited: list[float] = []
    entered, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def look_at(_: Key) -> None:
        entered.release()
        await go_on.wait()

    scheduler = Scheduler(look_at, workers=1, clock=Clock("09:00"), waited=waited.append)
    task = asyncio.create_task(scheduler.run())
    try:
        for key in (A, B):
            scheduler.touch(key)
        async with asyncio.timeout(5):
            await entered.acquire()
            assert (len(waited), scheduler.depth) == (1, 1)
            scheduler.touch(A)  # while it is being looked at
            await asyncio.sleep(0.05)
            go_on.set()
            await entered.acquire()
            await entered.acquire()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert len(waited) == 3
    assert waited[1] >= 0.05
