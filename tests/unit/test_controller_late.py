"""What starts when after a downtime: what is on time at once, what is late in turns, nothing past its deadline."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.kube import at, schedule_body
from tests.unit.test_controller_reconcile import World, job_at
from trending.controller.late import A_SECOND, BURST, LateStarts
from trending.schedule.decision import Decision, decide
from trending.schedule.observed import Schedule


class Backlog:
    """Hourly schedules that are all looked at as the seconds go by."""

    def __init__(self, count: int, *, now: str, **spec: Any) -> None:
        self.seconds = 0.0
        self.late = LateStarts(timer=lambda: self.seconds)
        self.begin = at(now)
        self.waiting = [self._schedule(f"hourly-{number}", **spec) for number in range(count)]
        self.started: list[float] = []

    @staticmethod
    def _schedule(name: str, **spec: Any) -> Schedule:
        body = schedule_body(**spec)
        body["metadata"] |= {"name": name, "uid": name}
        return Schedule.from_object(body)

    @property
    def now(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)

    def look(self, schedule: Schedule) -> Decision:
        return self.late.hold(schedule, decide(schedule, [], self.now), self.now)

    def look_at_all(self) -> None:
        """Look at each that waits, and count those that start."""
        held = [schedule for schedule in self.waiting if not self.look(schedule).starts]
        self.started += [self.seconds] * (len(self.waiting) - len(held))
        self.waiting = held


def test_what_is_on_time_starts_at_once_however_many() -> None:
    backlog = Backlog(1000, now="09:00:29")
    backlog.look_at_all()
    assert len(backlog.started) == 1000


def test_a_backlog_starts_a_hundred_at_once_and_then_twenty_a_second() -> None:
    backlog = Backlog(300, now="09:10")
    while backlog.waiting:
        backlog.look_at_all()
        backlog.seconds += 0.5
    first = backlog.started.count(0.0)
    assert first == BURST
    assert len(backlog.started) == 300
    assert backlog.started[-1] == pytest.approx((300 - BURST) / A_SECOND, abs=0.5)
    for second in range(1, 10):
        assert sum(second <= start < second + 1 for start in backlog.started) == A_SECOND


def test_each_has_a_turn_of_its_own_that_it_keeps_however_often_it_is_looked_at() -> None:
    backlog = Backlog(120, now="09:10")
    backlog.look_at_all()
    last = backlog.waiting[-1]
    turns = {backlog.look(last).wake for _ in range(50)}
    assert turns == {at("09:10:01")}


def test_a_single_late_start_does_not_wait() -> None:
    backlog = Backlog(1, now="09:40")
    backlog.look_at_all()
    assert backlog.started == [0.0]


def test_what_would_pass_its_deadline_while_it_waits_does_not_wait() -> None:
    backlog = Backlog(1000, now="09:10", startingDeadlineSeconds=620)
    backlog.look_at_all()
    # The deadline is in 20 seconds: by then the burst and 400 more have had their turns.
    assert len(backlog.started) == pytest.approx(1000 - A_SECOND * 20, abs=1)
    backlog.seconds = 19.96
    backlog.look_at_all()
    assert backlog.waiting == []


def test_a_run_by_hand_waits_for_none() -> None:
    backlog = Backlog(300, now="09:10")
    backlog.look_at_all()
    body = schedule_body()
    body["metadata"]["annotations"] = {"trending.dev/requestedAt": "now"}
    assert backlog.look(Schedule.from_object(body)).starts


def test_one_that_waits_says_so_and_is_looked_at_when_its_turn_comes() -> None:
    backlog = Backlog(101, now="09:10")
    backlog.look_at_all()
    [last] = backlog.waiting
    decision = backlog.look(last)
    assert (decision.action, decision.started, decision.replaces, decision.events) == ("skip", None, (), ())
    assert decision.because == "Slot 2026-11-23T09:00:00Z is late, as others are: it waits for its turn."
    assert decision.next_schedule_time == at("09:00")
    assert decision.wake == at("09:10") + timedelta(seconds=1 / A_SECOND)


async def test_a_pass_leaves_a_late_slot_for_its_turn_and_starts_it_then() -> None:
    world = World()
    world.kube.apply(schedule_body())
    await world.look()
    seconds = 0.0
    world.reconciler._late = LateStarts(timer=lambda: seconds)
    world.reconciler._late._next = seconds + 10
    writes = await world.look("09:10")
    assert writes["create_job"] == 0
    assert world.wake == at("09:10:10") + timedelta(seconds=1 / A_SECOND)
    seconds = 10.05
    await world.look("09:10:11")
    assert world.kube.job_names == [job_at("09:00")]
