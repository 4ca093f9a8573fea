"""Spread and minInterval, as tables: a schedule and the time -> what to do, for which slot, and when next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.schedules import at, job, schedule, written
from trending.api.status import LastRun
from trending.schedule.decision import Decision, decide
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule
from trending.schedule.spread import offset_of

SECOND = timedelta(seconds=1)
OFFSET = timedelta(minutes=7, seconds=13)
"""Of the schedule default/hourly with spread 28m3s: it starts at 7m13s past."""


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def spread(**spec: Any) -> Schedule:
    return schedule(spread="28m3s", **spec)


@pytest.mark.parametrize(
    ("seen", "now", "action", "slot", "following"),
    [
        pytest.param(spread(), "09:00", "wait", None, "09:07:13", id="not due at the slot's instant"),
        pytest.param(spread(), "09:07:12", "wait", None, "09:07:13", id="not due before its offset has passed"),
        pytest.param(spread(), "09:07:13", "start", "09:00", "10:07:13", id="due from slot + offset on"),
        pytest.param(spread(), "11:20", "start", "11:00", "12:07:13", id="of several only the newest"),
        pytest.param(spread(), "12:03", "start", "11:00", "12:07:13", id="the slot of noon has not come yet"),
        pytest.param(
            spread(created="09:03"), "09:08", "wait", None, "10:07:13", id="a slot before creation never comes"
        ),
        pytest.param(spread(immediate=True), "08:31", "wait", None, "08:37:13", id="immediate: its slot comes as late"),
        pytest.param(spread(immediate=True), "08:37:13", "start", "08:30", "09:07:13", id="immediate: and then starts"),
        pytest.param(
            spread(startingDeadlineSeconds=60), "09:08:12", "start", "09:00", "10:07:13", id="within the deadline"
        ),
        pytest.param(
            spread(startingDeadlineSeconds=60), "09:08:13", "skip", "09:00", "10:07:13", id="past the deadline"
        ),
        pytest.param(
            spread(schedule="30 * * * *", status=written(last_schedule_time=at("09:00"))),
            "10:31",
            "wait",
            None,
            "11:37:13",
            id="edited after the slot's instant and before its offset: the slot is not caught up",
        ),
        pytest.param(
            spread(schedule="30 * * * *", status=written(last_schedule_time=at("09:00"))),
            "10:29:59",
            "wait",
            None,
            "10:37:13",
            id="edited before the slot's instant: it comes",
        ),
        pytest.param(
            spread(schedule="@every 90m", status=written(expression="@every 90m", last_schedule_time=at("10:00"))),
            "11:37:13",
            "start",
            "11:30",
            "13:07:13",
            id="every: counts from slot to slot",
        ),
        pytest.param(spread(suspend=True), "11:20", "none", None, None, id="suspended"),
        pytest.param(
            spread(status=written(next_schedule_time=None, last_schedule_time=at("08:00"))),
            "10:03",
            "start",
            "09:00",
            "10:07:13",
            id="resumed before a slot's offset has passed: the one before is caught up",
        ),
    ],
)
def test_a_slot_comes_due_so_much_later_than_its_instant(
    seen: Schedule, now: str, action: str, slot: str | None, following: str | None
) -> None:
    decision = decide(seen, [], at(now))
    assert (decision.action, decision.scheduled_time, decision.next_schedule_time) == (
        action,
        at(slot) if slot else None,
        at(following) if following else None,
    )


class TestSpread:
    def test_names_and_scheduled_time_stay_the_slots(self) -> None:
        decision = decide(spread(), [], at("09:08"))
        assert decision.started is not None
        assert (decision.job, decision.scheduled_time) == (slot_job_name("hourly", at("09:00")), at("09:00"))
        assert (decision.due_time, decision.started.last_schedule_time) == (at("09:07:13"), at("09:00"))

    def test_the_controller_is_woken_when_the_slot_comes_due(self) -> None:
        assert decide(spread(), [], at("09:01")).wake == at("09:07:13")

    def test_the_offset_hangs_on_namespace_and_name_alone_and_is_below_the_spread(self) -> None:
        """A new release of the operator must not move it: ticks would be run twice apart or together."""
        assert offset_of("default", "hourly", timedelta(minutes=28, seconds=3)) == OFFSET
        assert offset_of("discovery", "hourly", timedelta(minutes=10)) == timedelta(minutes=3, seconds=32)
        assert offset_of("default", "hourly", timedelta(0)) == timedelta(0)
        minutes = timedelta(minutes=10)
        offsets = [offset_of("default", f"s{number}", minutes) for number in range(600)]
        assert all(timedelta(0) <= offset < minutes and not offset.microseconds for offset in offsets)
        minute = [sum(offset // timedelta(minutes=1) == n for offset in offsets) for n in range(10)]
        assert min(minute) > 30, "600 schedules lie about evenly over ten minutes"

    def test_a_slot_missed_is_told_by_its_name_and_only_from_its_deadline_on(self) -> None:
        seen = spread(startingDeadlineSeconds=60, status=written(last_schedule_time=at("08:00")))
        assert decide(seen, [], at("09:05")).missed == 0
        decision = decide(seen, [], at("09:09"))
        assert (decision.missed, decision.progress.last_missed_time, told(decision)) == (
            1,
            at("09:00"),
            ["MissSchedule"],
        )

    def test_slots_during_a_suspension_are_not_missed_and_the_next_one_comes_though_its_instant_has_passed(
        self,
    ) -> None:
        strict = spread(
            startingDeadlineSeconds=60, status=written(next_schedule_time=None, last_schedule_time=at("08:00"))
        )
        decision = decide(strict, [], at("11:03"))
        assert (decision.action, decision.missed, decision.next_schedule_time) == ("skip", 0, at("11:07:13"))
        then = replace(
            strict, status=written(since="10:55:47", last_schedule_time=at("08:00"), next_schedule_time=at("11:07:13"))
        )
        assert decision.progress.schedule_since == then.status.schedule_since
        assert decide(then, [], at("11:07:13")).scheduled_time == at("11:00")

    def test_a_request_serves_only_a_slot_that_has_come_due(self) -> None:
        early = decide(spread(requested="now", status=written(last_schedule_time=at("09:00"))), [], at("10:05"))
        late = decide(spread(requested="now", status=written(last_schedule_time=at("09:00"))), [], at("10:08"))
        assert early.started is not None
        assert late.started is not None
        assert (early.started.last_schedule_time, early.next_schedule_time) == (at("09:00"), at("10:07:13"))
        assert (late.started.last_schedule_time, late.next_schedule_time) == (at("10:00"), at("11:07:13"))

    def test_a_request_found_after_a_crash_served_only_a_slot_that_had_come_due(self) -> None:
        seen = spread(requested="now", status=written(last_schedule_time=at("09:00")))
        decision = decide(seen, [job("10:05", ended="10:06", request="now")], at("10:08"))
        assert (decision.action, decision.scheduled_time) == ("start", at("10:00"))

    @pytest.mark.parametrize(
        ("expression", "spread_", "accepted"),
        [
            ("0 * * * *", "59m59s", True),
            ("0 * * * *", "1h", False),
            ("*/15 8-18 * * *", "15m", False),
            ("0,1 0 * * *", "59s", True),
            ("0,1 0 * * *", "1m", False),
            ("@every 90m", "1h29m59s", True),
            ("@every 90m", "90m", False),
        ],
    )
    def test_it_is_less_than_the_shortest_time_between_two_slots(
        self, expression: str, spread_: str, accepted: bool
    ) -> None:
        decision = decide(schedule(schedule=expression, spread=spread_), [], at("08:45"))
        assert decision.action == ("wait" if accepted else "none")
        if not accepted:
            assert decision.refusal is not None
            assert decision.reason == "InvalidSchedule"
            assert "spec.spread: " in decision.refusal.message
            assert "write less than" in decision.refusal.message


# minInterval


def gated(ended: str | None = "09:50", *, started: str = "09:00", told: str | None = None, **spec: Any) -> Schedule:
    """Start 90 minutes after the end of the last successful run at the earliest."""
    status = written(
        expression=spec.get("schedule", "0 * * * *"),
        last_schedule_time=at(started),
        last_successful_time=at(ended) if ended else None,
        last_missed_time=at(told) if told else None,
    )
    return schedule(minInterval="90m", status=status, **spec)


@pytest.mark.parametrize(
    ("seen", "now", "action", "slot", "following"),
    [
        pytest.param(gated(None), "10:00", "start", "10:00", "11:00", id="nothing has succeeded yet"),
        pytest.param(gated("08:30"), "10:00", "start", "10:00", "11:00", id="as long ago as that"),
        pytest.param(gated(), "10:00", "skip", "10:00", "11:20", id="held, and told when it may start"),
        pytest.param(gated(told="10:00"), "11:19:59", "skip", "11:00", "11:20", id="held to the last second"),
        pytest.param(gated(told="10:00"), "11:20", "start", "11:00", "12:00", id="starts late as soon as it may"),
        pytest.param(gated(), "09:55", "wait", None, "11:20", id="nothing due: the next slot will be held until then"),
        pytest.param(gated("10:30", started="10:00"), "10:45", "wait", None, "12:00", id="the gate opens with a slot"),
        pytest.param(
            gated(startingDeadlineSeconds=600), "10:00", "skip", "10:00", "12:00", id="it will be too late by then"
        ),
        pytest.param(
            gated(startingDeadlineSeconds=1260), "10:00", "skip", "10:00", "11:20", id="the next one will not be"
        ),
        pytest.param(
            gated(startingDeadlineSeconds=600), "10:10", "skip", "10:00", "12:00", id="past its deadline: missed"
        ),
        pytest.param(
            gated("09:30", started="09:00", spread="28m3s"),
            "10:07:13",
            "skip",
            "10:00",
            "11:00",
            id="with spread: the interval counts by the clock, not by slots",
        ),
        pytest.param(
            gated("09:40", started="09:00", spread="28m3s", schedule="@every 1h"),
            "09:55",
            "wait",
            None,
            "11:10",
            id="every: the slot of 10:00 waits",
        ),
        pytest.param(gated(suspend=True), "10:00", "none", None, None, id="suspended"),
    ],
)
def test_no_slot_starts_too_soon_after_a_success(
    seen: Schedule, now: str, action: str, slot: str | None, following: str | None
) -> None:
    decision = decide(seen, [], at(now))
    assert (decision.action, decision.scheduled_time, decision.next_schedule_time) == (
        action,
        at(slot) if slot else None,
        at(following) if following else None,
    )


class TestMinInterval:
    def test_a_slot_it_holds_is_no_event_and_says_why_in_words(self) -> None:
        decision = decide(gated(), [], at("10:00"))
        assert (decision.reason, told(decision)) == (None, [])
        assert decision.job == slot_job_name("hourly", at("10:00"))
        assert decision.because == (
            "Slot 2026-11-23T10:00:00Z is held until 2026-11-23T11:20:00Z: the last successful run ended less than "
            "1h30m (minInterval) ago."
        )

    def test_the_controller_is_woken_when_it_may_start_and_at_the_next_slot_and_at_the_deadline(self) -> None:
        assert decide(gated(), [], at("10:00")).wake == at("11:00")
        assert decide(gated(told="10:00"), [], at("11:00")).wake == at("11:20")
        assert decide(gated(startingDeadlineSeconds=600), [], at("10:00")).wake == at("10:10")

    def test_a_slot_that_it_held_until_the_next_one_came_is_missed_and_told(self) -> None:
        decision = decide(gated(), [], at("11:00"))
        assert (decision.action, decision.scheduled_time) == ("skip", at("11:00"))
        assert (decision.missed, decision.progress.last_missed_time, told(decision)) == (
            1,
            at("10:00"),
            ["MissSchedule"],
        )

    def test_a_run_by_hand_ignores_it(self) -> None:
        decision = decide(gated(requested="now"), [], at("09:55"))
        assert (decision.action, decision.job) == ("start", manual_job_name("hourly", "now"))
        assert decision.next_schedule_time == at("11:20")

    def test_a_run_by_hand_serves_a_slot_that_it_holds(self) -> None:
        decision = decide(gated(requested="now"), [], at("10:05"))
        assert decision.started is not None
        assert (decision.trigger, decision.started.last_schedule_time) == ("Manual", at("10:00"))
        assert decision.next_schedule_time == at("11:20")
        sooner = decide(gated("09:00", requested="now"), [], at("10:05"))
        assert sooner.next_schedule_time == at("11:00"), "not 10:30: the slot that was to start then is served"

    @pytest.mark.parametrize(
        ("recorded", "finished", "action"),
        [
            pytest.param(False, "Complete", "skip", id="a success, as far as is known"),
            pytest.param(False, "Failed", "start", id="a failure"),
            pytest.param(True, "Complete", "start", id="the status tells that it was none: it was superseded"),
        ],
    )
    def test_a_job_that_has_just_completed_counts_until_the_status_tells_how_it_went(
        self, recorded: bool, finished: str, action: str
    ) -> None:
        run: Job = job("09:00", ended="09:58", finished=finished)
        last = LastRun(job=run.name, completion_time=run.ended, start_time=run.started, result="Superseded")
        status = written(last_schedule_time=at("09:00"), last_run=last if recorded else None)
        assert decide(schedule(minInterval="90m", status=status), [run], at("10:00")).action == action

    def test_an_active_run_holds_a_slot_before_it_does(self) -> None:
        decision = decide(gated(), [job("09:00")], at("10:00"))
        assert (decision.action, decision.reason) == ("skip", "JobAlreadyActive")

    def test_it_is_counted_anew_when_it_is_edited(self) -> None:
        shorter = gated(told="10:00")
        shorter = replace(shorter, spec=shorter.spec.model_copy(update={"min_interval": timedelta(minutes=70)}))
        assert decide(shorter, [], at("11:00")).action == "start"

    def test_a_last_success_at_the_end_of_all_time_leaves_no_slot_and_no_error(self) -> None:
        seen = schedule(minInterval="9999999h", status=written(last_successful_time=at("09:00")))
        decision = decide(seen, [], at("10:00"))
        assert decision.action == "skip"
        assert decision.next_schedule_time is not None
        assert decision.next_schedule_time.year > 3000
