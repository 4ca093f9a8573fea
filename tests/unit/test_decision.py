"""What is decided, as a table: a schedule, its Jobs and the time -> what to do, and why.

The contract is CronJob's (kubernetes/pkg/controller/cronjob) wherever a field is shared.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.schedules import at, job, schedule, written
from trending.api.status import LastRun
from trending.schedule.decision import Decision, Refusal, decide, is_caught_up
from trending.schedule.job_names import manual_job_name
from trending.schedule.observed import Schedule


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


@pytest.mark.parametrize(
    ("seen", "now", "action", "slot", "following"),
    [
        pytest.param(schedule(), "08:45", "wait", None, "09:00", id="new: nothing is due before the first slot"),
        pytest.param(schedule(), "09:00", "start", "09:00", "10:00", id="due from its instant on"),
        pytest.param(
            schedule(created="09:00"), "09:00", "wait", None, "10:00", id="not due at the instant of creation"
        ),
        pytest.param(schedule(), "11:20", "start", "11:00", "12:00", id="of several only the newest"),
        pytest.param(schedule(immediate=True), "08:30", "start", "08:30", "09:00", id="immediate: due at creation"),
        pytest.param(
            schedule(immediate=True), "09:10", "start", "09:00", "10:00", id="immediate: passed over for a newer"
        ),
        pytest.param(
            schedule(immediate=True, startingDeadlineSeconds=60),
            "08:32",
            "skip",
            "08:30",
            "09:00",
            id="immediate: held by the deadline like any other",
        ),
        pytest.param(
            schedule(immediate=True, status=written(last_schedule_time=at("08:30"))),
            "08:50",
            "wait",
            None,
            "09:00",
            id="immediate: once",
        ),
        pytest.param(
            schedule(status=written(last_schedule_time=at("10:00"))),
            "10:30",
            "wait",
            None,
            "11:00",
            id="started already",
        ),
        pytest.param(
            schedule(startingDeadlineSeconds=300, status=written(last_schedule_time=at("09:00"))),
            "10:04:59",
            "start",
            "10:00",
            "11:00",
            id="late, within the deadline",
        ),
        pytest.param(
            schedule(startingDeadlineSeconds=300, status=written(last_schedule_time=at("09:00"))),
            "10:05",
            "skip",
            "10:00",
            "11:00",
            id="late by the whole deadline: no more",
        ),
        pytest.param(
            schedule(status=written(last_schedule_time=at("14:00"))),
            "10:30",
            "wait",
            None,
            "15:00",
            id="last start in the future: the one after that",
        ),
        pytest.param(
            schedule(schedule="30 * * * *", status=written(last_schedule_time=at("09:00"))),
            "10:45",
            "wait",
            None,
            "11:30",
            id="edited: slots before are not caught up",
        ),
        pytest.param(
            schedule(timeZone="Asia/Kolkata", status=written(last_schedule_time=at("09:00"))),
            "10:45",
            "wait",
            None,
            "11:30",
            id="zone edited: slots before are not caught up",
        ),
        pytest.param(
            schedule(schedule="30 * * * *", status=written(since="10:45", expression="30 * * * *")),
            "11:20",
            "wait",
            None,
            "11:30",
            id="edited and restarted: still not caught up",
        ),
        pytest.param(
            schedule(schedule="@every 90m"), "10:00", "start", "10:00", "11:30", id="every: counts from creation"
        ),
        pytest.param(
            schedule(
                schedule="@every 90m",
                startingDeadlineSeconds=60,
                status=written(expression="@every 90m", last_schedule_time=at("09:10")),
            ),
            "10:40:30",
            "start",
            "10:40",
            "12:10",
            id="every: counts from the last start, whatever the deadline",
        ),
        pytest.param(schedule(suspend=True), "11:20", "none", None, None, id="suspended"),
        pytest.param(
            schedule(status=written(next_schedule_time=None)),
            "11:20",
            "start",
            "11:00",
            "12:00",
            id="resumed: the newest slot is caught up",
        ),
    ],
)
def test_slots(seen: Schedule, now: str, action: str, slot: str | None, following: str | None) -> None:
    decision = decide(seen, [], at(now))
    assert (decision.action, decision.scheduled_time, decision.next_schedule_time) == (
        action,
        at(slot) if slot else None,
        at(following) if following else None,
    )


def test_a_start_names_its_job_by_the_slot_and_moves_the_last_schedule_time() -> None:
    decision = decide(schedule(), [], at("09:00:02"))
    assert decision.job == f"hourly-{int(at('09:00').timestamp()) // 60}"
    assert decision.started is not None
    assert (decision.progress.last_schedule_time, decision.started.last_schedule_time) == (None, at("09:00"))
    assert told(decision) == ["SuccessfulCreate"]


@pytest.mark.parametrize(
    ("seen", "now", "newest", "count", "words"),
    [
        pytest.param(
            schedule(startingDeadlineSeconds=60, status=written(last_schedule_time=at("09:00"))),
            "10:02",
            "10:00",
            1,
            "2026-11-23T10:00:00Z",
            id="past its deadline",
        ),
        pytest.param(
            schedule(status=written(last_schedule_time=at("08:00"))),
            "11:05",
            "10:00",
            2,
            "and 1 before it",
            id="passed over",
        ),
        pytest.param(
            schedule(startingDeadlineSeconds=60, status=written(last_schedule_time=at("08:00"))),
            "11:05",
            "11:00",
            3,
            "and 2 before it",
            id="both",
        ),
    ],
)
def test_missed_slots_are_told_once(seen: Schedule, now: str, newest: str, count: int, words: str) -> None:
    decision = decide(seen, [], at(now))
    missed = [event for event in decision.events if event.reason == "MissSchedule"]
    assert (decision.missed, decision.progress.last_missed_time) == (count, at(newest))
    assert len(missed) == 1
    assert words in missed[0].message
    again = replace(seen, status=seen.status.model_copy(update={"last_missed_time": at(newest)}))
    assert decide(again, [], at(now)).missed == 0
    assert "MissSchedule" not in told(decide(again, [], at(now)))


def test_more_than_a_hundred_missed_slots_ask_whether_the_clock_is_right() -> None:
    seen = schedule(schedule="* * * * *", status=written(expression="* * * * *", last_schedule_time=at("09:00")))
    decision = decide(seen, [], at("11:00"))
    assert decision.missed == 101
    assert told(decision) == ["MissSchedule", "TooManyMissedTimes", "SuccessfulCreate"]


@pytest.mark.parametrize("deadline", [None, 60])
def test_slots_during_a_suspension_are_not_missed(deadline: int | None) -> None:
    """A status without a next slot is that of a suspended schedule; this one has just been resumed."""
    spec: dict[str, Any] = {"startingDeadlineSeconds": deadline} if deadline else {}
    resumed = schedule(status=written(next_schedule_time=None, last_schedule_time=at("08:00")), **spec)
    decision = decide(resumed, [], at("11:20"))
    assert decision.missed == 0
    assert decision.action == ("skip" if deadline else "start")
    assert "MissSchedule" not in told(decision)
    if deadline:  # slots count from the resumption, so that the next pass does not tell them either
        assert decision.progress.schedule_since == at("11:20")


def test_a_slot_that_forbid_holds_says_so_and_starts_late_when_the_way_is_free() -> None:
    seen = schedule(status=written(last_schedule_time=at("09:00")))
    held = decide(seen, [job("09:00")], at("10:00:01"))
    assert (held.action, held.reason, held.scheduled_time) == ("skip", "JobAlreadyActive", at("10:00"))
    assert held.next_schedule_time == at("10:00")
    assert held.progress.last_schedule_time == at("09:00")
    free = decide(seen, [job("09:00", ended="10:20")], at("10:20:01"))
    assert (free.action, free.scheduled_time) == ("start", at("10:00"))


def test_a_held_slot_is_given_up_for_a_newer_one() -> None:
    seen = schedule(status=written(last_schedule_time=at("09:00")))
    decision = decide(seen, [job("09:00", ended="11:20")], at("11:20:01"))
    assert (decision.action, decision.scheduled_time, decision.missed) == ("start", at("11:00"), 1)


def test_a_held_slot_is_looked_at_again_when_its_deadline_passes() -> None:
    seen = schedule(startingDeadlineSeconds=300, status=written(last_schedule_time=at("09:00")))
    assert decide(seen, [job("09:00")], at("10:00:01")).wake == at("10:05")


def test_jobs_of_another_object_do_not_hold_a_slot() -> None:
    seen = schedule(status=written(last_schedule_time=at("09:00")))
    assert decide(seen, [job("09:00", owner="u0")], at("10:00:01")).action == "start"


def test_a_job_whose_start_the_status_does_not_tell_counts_as_started() -> None:
    """The controller died between Job and status: nothing runs twice."""
    seen = schedule(status=written(last_schedule_time=at("09:00")))
    for existing in (job("10:00"), job("10:00", ended="10:10")):
        decision = decide(seen, [existing], at("10:30"))
        assert (decision.action, decision.progress.last_schedule_time) == ("wait", at("10:00"))
        assert decision.next_schedule_time == at("11:00")


class TestRunsByHand:
    """Annotation trending.dev/requestedAt."""

    def test_a_new_request_starts_a_run_of_its_own(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("10:00")))
        decision = decide(seen, [], at("10:20:30"))
        assert (decision.action, decision.trigger, decision.job) == (
            "start",
            "Manual",
            manual_job_name("hourly", "now"),
        )
        assert decision.scheduled_time == at("10:20:30")
        assert decision.started is not None
        assert decision.started.last_handled_request == "now"
        assert decision.started.last_schedule_time == at("10:00")
        assert decision.next_schedule_time == at("11:00")

    def test_a_handled_request_starts_nothing(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("10:00"), last_handled_request="now"))
        assert decide(seen, [], at("10:20")).action == "wait"

    def test_a_request_whose_job_exists_is_handled_though_the_status_does_not_tell(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("10:00")))
        decision = decide(seen, [job("10:15", ended="10:16", request="now")], at("10:20"))
        assert (decision.action, decision.progress.last_handled_request) == ("wait", "now")

    def test_it_waits_for_the_active_run_and_then_goes_first_and_serves_the_slot_that_is_due(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("09:00")))
        held = decide(seen, [job("09:00")], at("10:05"))
        assert (held.action, held.reason, held.trigger) == ("skip", "JobAlreadyActive", "Manual")
        free = decide(seen, [job("09:00", ended="10:06")], at("10:06:01"))
        assert (free.action, free.trigger) == ("start", "Manual")
        assert free.started is not None
        assert free.started.last_schedule_time == at("10:00")
        assert free.next_schedule_time == at("11:00")

    def test_the_slot_it_served_is_not_run_again_though_the_status_was_lost(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("09:00")))
        decision = decide(seen, [job("10:06", ended="10:07", request="now")], at("10:10"))
        assert (decision.action, decision.progress.last_schedule_time) == ("wait", at("10:00"))

    def test_it_works_while_suspended_and_leaves_the_slots_alone(self) -> None:
        seen = schedule(requested="now", suspend=True, status=written(last_schedule_time=at("09:00")))
        decision = decide(seen, [], at("10:05"))
        assert (decision.action, decision.trigger, decision.next_schedule_time) == ("start", "Manual", None)
        assert decision.started is not None
        assert decision.started.last_schedule_time == at("09:00")

    def test_it_starts_nothing_while_the_schedule_is_invalid(self) -> None:
        seen = schedule(requested="now", timeZone="Mars/Olympus")
        assert decide(seen, [], at("10:05")).action == "none"


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"schedule": "0 0 31 2 *"}, "InvalidSchedule", "never fires"),
        ({"schedule": "5-3 * * * *"}, "InvalidSchedule", "ends before it begins"),
        ({"timeZone": "europe/berlin"}, "UnknownTimeZone", "did you mean Europe/Berlin?"),
        ({"timeZone": "Mars/Olympus", "suspend": True}, "UnknownTimeZone", "Mars/Olympus"),
    ],
    ids=["never fires", "bad range", "zone in lower case", "told even when suspended"],
)
def test_an_invalid_schedule_starts_nothing_and_is_told(spec: dict[str, Any], reason: str, words: str) -> None:
    decision = decide(schedule(**spec), [], at("11:20"))
    assert (decision.action, decision.reason, decision.next_schedule_time) == ("none", reason, None)
    assert decision.refusal is not None
    assert words in decision.refusal.message
    assert told(decision) == [reason]


def test_what_others_refuse_is_refused() -> None:
    refusal = Refusal(reason="UnknownPreset", message="there is no such preset")
    decision = decide(schedule(), [], at("09:00"), refusal=refusal)
    assert (decision.action, decision.refusal) == ("none", refusal)


def test_a_name_too_long_for_a_job_is_refused() -> None:
    assert decide(replace(schedule(), name="x" * 52), [], at("09:00")).action == "start"
    assert decide(replace(schedule(), name="x" * 53), [], at("09:00")).reason == "NameTooLong"


def test_a_schedule_that_is_being_deleted_is_left_alone() -> None:
    decision = decide(replace(schedule(), deleting=True), [job("08:00", ended="08:01")], at("09:00"))
    assert (decision.action, decision.deletes, decision.events) == ("none", (), ())


def test_trimming_goes_on_while_suspended_and_while_invalid_but_never_before_the_end_is_written() -> None:
    done = [job(f"0{hour}:00", ended=f"0{hour}:01") for hour in range(5)]
    last = LastRun(job=done[-1].name, start_time=done[-1].started, completion_time=done[-1].ended, result="Succeeded")
    for spec in ({"suspend": True}, {"timeZone": "Mars/Olympus"}, {}):
        told_end = schedule(status=written(last_run=last), **spec)
        assert decide(told_end, done, at("08:45")).deletes == (done[0].name, done[1].name)
        assert decide(schedule(**spec), done, at("08:45")).deletes == ()


def test_the_status_has_to_say_from_when_slots_count_before_one_is_decided() -> None:
    new, seen = schedule(), schedule(status=written())
    assert not is_caught_up(new, decide(new, [], at("09:00")))
    assert is_caught_up(seen, decide(seen, [], at("09:00")))


def test_a_clock_that_was_set_back_starts_nothing_twice() -> None:
    seen = schedule(status=written(last_schedule_time=at("10:00")))
    for now in ("10:00", "09:59", "09:00:30", "08:00"):
        decision = decide(seen, [job("10:00")], at(now))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("11:00"))
        assert decision.wake is not None
        assert decision.wake - at(now) <= timedelta(hours=3)
