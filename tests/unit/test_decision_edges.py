"""The decision where things come together: restarts, clocks that differ, suspension beside runs, how slots count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedules import SPEC, at, job, schedule, written
from trending.api.status import ObservedSchedule, TrendingScheduleStatus
from trending.schedule.decision import Decision, Refusal, decide, is_caught_up, is_told
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule

MICROSECOND, SECOND = timedelta(microseconds=1), timedelta(seconds=1)


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def after_writing(seen: Schedule, decision: Decision, *, started: bool = False) -> Schedule:
    """The schedule once the status that follows from a decision is written."""
    progress = decision.started if started and decision.started else decision.progress
    fields = {
        "schedule_since": progress.schedule_since,
        "observed_schedule": progress.observed,
        "last_schedule_time": progress.last_schedule_time,
        "last_missed_time": progress.last_missed_time,
        "last_handled_request": progress.last_handled_request,
        "next_schedule_time": decision.next_schedule_time,
    }
    return replace(seen, status=seen.status.model_copy(update=fields))


class TestTheFirstSlot:
    @pytest.mark.parametrize("seconds", [1, 10, 29, 30, 31, 59])
    def test_it_is_started_at_its_instant_however_young_the_schedule_is(self, seconds: int) -> None:
        young = schedule(created=f"08:59:{60 - seconds:02}")
        assert decide(young, [], at("09:00") - MICROSECOND).action == "wait"
        assert decide(young, [], at("09:00")).scheduled_time == at("09:00")

    def test_a_clock_behind_the_api_servers_waits_for_the_creation_of_an_immediate_schedule(self) -> None:
        future = schedule(created="08:30:02", immediate=True)
        early = decide(future, [], at("08:30:00"))
        assert (early.action, early.next_schedule_time, early.wake) == ("wait", at("08:30:02"), at("08:30:02"))
        assert decide(future, [], at("08:30:02")).scheduled_time == at("08:30:02")

    def test_a_clock_behind_the_creation_names_no_slot_before_it_as_the_next(self) -> None:
        decision = decide(schedule(created="09:00:01"), [], at("08:59:59"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("10:00"))

    def test_immediates_slot_that_nobody_could_start_in_time_is_missed_and_told_once(self) -> None:
        late = schedule(immediate=True, startingDeadlineSeconds=60)
        decision = decide(late, [], at("08:40"))
        assert (decision.action, decision.missed, decision.progress.last_missed_time) == ("skip", 1, at("08:30"))
        assert told(decision) == ["MissSchedule"]
        again = decide(after_writing(late, decision), [], at("08:41"))
        assert (again.missed, told(again)) == (0, [])

    def test_immediates_slot_that_is_passed_over_counts_as_missed_too(self) -> None:
        decision = decide(schedule(immediate=True), [], at("10:10"))
        assert (decision.scheduled_time, decision.missed, decision.progress.last_missed_time) == (
            at("10:00"),
            2,
            at("09:00"),
        )

    def test_immediates_slot_waits_for_the_end_of_a_suspension(self) -> None:
        suspended = schedule(immediate=True, suspend=True)
        first = decide(suspended, [], at("08:31"))
        assert first.action == "none"
        resumed = after_writing(schedule(immediate=True), first)
        assert decide(resumed, [], at("08:45")).scheduled_time == at("08:30")
        assert decide(resumed, [], at("09:05")).scheduled_time == at("09:00")

    def test_an_edit_takes_immediates_slot_away(self) -> None:
        edited = schedule(immediate=True, schedule="15 * * * *", status=written())
        decision = decide(edited, [], at("08:40"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("09:15"))

    def test_immediate_turned_on_later_starts_the_slot_of_creation_only_where_nothing_was_started(self) -> None:
        assert decide(schedule(immediate=True, status=written()), [], at("08:50")).scheduled_time == at("08:30")
        started = schedule(immediate=True, status=written(last_schedule_time=at("09:00")))
        assert decide(started, [], at("09:10")).action == "wait"


class TestDeadlines:
    @pytest.mark.parametrize(
        ("late", "action"),
        [(timedelta(0), "start"), (60 * SECOND - MICROSECOND, "start"), (60 * SECOND, "skip"), (61 * SECOND, "skip")],
        ids=["at once", "a microsecond before", "at the deadline", "after"],
    )
    def test_a_slot_may_start_while_it_is_younger_than_its_deadline(self, late: timedelta, action: str) -> None:
        seen = schedule(startingDeadlineSeconds=60, status=written(last_schedule_time=at("09:00")))
        assert decide(seen, [], at("10:00") + late).action == action

    def test_a_deadline_that_is_lengthened_lets_a_missed_slot_start(self) -> None:
        status = written(last_schedule_time=at("09:00"), last_missed_time=at("10:00"))
        assert decide(schedule(startingDeadlineSeconds=60, status=status), [], at("10:05")).action == "skip"
        assert decide(schedule(startingDeadlineSeconds=600, status=status), [], at("10:05")).scheduled_time == at(
            "10:00"
        )

    def test_a_slot_held_until_its_deadline_has_passed_is_missed_and_told_once(self) -> None:
        seen = schedule(startingDeadlineSeconds=300, status=written(last_schedule_time=at("09:00")))
        active = job("09:00")
        held = decide(seen, [active], at("10:04:59"))
        assert (held.action, held.missed) == ("skip", 0)
        missed = decide(seen, [active], at("10:05"))
        assert (missed.action, missed.reason, missed.missed, told(missed)) == (
            "skip",
            "MissSchedule",
            1,
            ["MissSchedule"],
        )
        assert missed.next_schedule_time == at("11:00")
        again = decide(after_writing(seen, missed), [active], at("10:06"))
        assert (again.missed, told(again)) == (0, [])

    @pytest.mark.parametrize(("minutes", "count", "warns"), [(100, 100, False), (101, 101, True), (200, 101, True)])
    def test_up_to_a_hundred_missed_slots_are_counted_and_no_warning_is_given(
        self, minutes: int, count: int, warns: bool
    ) -> None:
        seen = schedule(schedule="* * * * *", status=written(expression="* * * * *", last_schedule_time=at("09:00")))
        decision = decide(seen, [], at("09:01") + timedelta(minutes=minutes))
        assert decision.missed == count
        assert ("TooManyMissedTimes" in told(decision)) is warns


class TestMinInterval:
    @pytest.mark.parametrize("requested", [None, "again"], ids=["a slot waits", "a request waits"])
    def test_a_slot_that_an_active_run_holds_too_is_not_said_to_start_before_it_may(
        self, requested: str | None
    ) -> None:
        """The last success was at 09:50."""
        status = written(last_schedule_time=at("09:00"), last_successful_time=at("09:50"), last_handled_request="now")
        seen = schedule(minInterval="90m", requested=requested or "now", status=status)
        held = decide(seen, [job("09:55", request="now")], at("10:00:05"))
        assert (held.action, held.reason, held.next_schedule_time) == ("skip", "JobAlreadyActive", at("11:20"))


class TestSuspension:
    @pytest.fixture
    def resumed(self) -> Schedule:
        """Resumed at 12:30; the last start was at 09:00."""
        return schedule(status=written(last_schedule_time=at("09:00"), next_schedule_time=None))

    def test_slots_during_it_are_not_missed_though_the_newest_is_held_when_it_ends(self, resumed: Schedule) -> None:
        by_hand = job("12:20", request="now")
        first = decide(resumed, [by_hand], at("12:30"))
        assert (first.action, first.reason, first.scheduled_time) == ("skip", "JobAlreadyActive", at("12:00"))
        then = after_writing(resumed, first)
        second = decide(then, [by_hand], at("12:31"))
        assert (second.missed, "MissSchedule" in told(second)) == (0, False)
        assert (second.action, second.scheduled_time) == ("skip", at("12:00"))
        free = decide(then, [replace(by_hand, finished="Complete", ended=at("12:32"))], at("12:32"))
        assert (free.action, free.scheduled_time, free.missed) == ("start", at("12:00"), 0)

    def test_slots_during_it_are_not_missed_though_the_newest_is_too_late_when_it_ends(self, resumed: Schedule) -> None:
        strict = replace(resumed, spec=resumed.spec.model_copy(update={"starting_deadline_seconds": 60}))
        first = decide(strict, [], at("12:30"))
        assert (first.action, first.missed, first.next_schedule_time) == ("skip", 0, at("13:00"))
        second = decide(after_writing(strict, first), [], at("12:31"))
        assert (second.action, second.missed) == ("wait", 0)

    def test_slots_during_it_are_not_missed_though_a_request_is_served_first(self, resumed: Schedule) -> None:
        first = decide(replace(resumed, requested_at="now"), [], at("12:30"))
        assert (first.trigger, first.action, first.missed) == ("Manual", "start", 0)
        assert first.started is not None
        assert first.started.last_schedule_time == at("12:00")

    def test_a_slot_missed_after_it_is_told(self, resumed: Schedule) -> None:
        strict = replace(resumed, spec=resumed.spec.model_copy(update={"starting_deadline_seconds": 60}))
        then = after_writing(strict, decide(strict, [], at("12:30")))
        assert decide(then, [], at("13:05")).progress.last_missed_time == at("13:00")

    def test_an_active_run_goes_on_and_its_slot_counts_as_started(self) -> None:
        seen = schedule(suspend=True, status=written(last_schedule_time=at("08:00"), next_schedule_time=None))
        decision = decide(seen, [job("09:00")], at("09:05"))
        assert (decision.action, decision.progress.last_schedule_time) == ("none", at("09:00"))

    def test_a_requested_run_found_after_a_crash_does_not_count_for_a_slot_of_it(self) -> None:
        seen = schedule(suspend=True, requested="now", status=written(last_schedule_time=at("09:00")))
        decision = decide(seen, [job("10:06", request="now")], at("10:10"))
        assert (decision.progress.last_handled_request, decision.progress.last_schedule_time) == ("now", at("09:00"))

    def test_a_request_is_held_by_an_active_run_and_wakes_nobody_by_the_clock_for_a_slot(self) -> None:
        seen = schedule(suspend=True, requested="now", status=written(last_schedule_time=at("09:00")))
        held = decide(seen, [job("09:00")], at("10:05"))
        assert (held.action, held.reason, held.next_schedule_time) == ("skip", "JobAlreadyActive", None)


class TestEdits:
    def test_the_moment_an_edit_is_seen_is_what_the_status_says_first(self) -> None:
        edited = schedule(schedule="30 * * * *", status=written(last_schedule_time=at("09:00")))
        decision = decide(edited, [], at("10:45:07") + 5 * MICROSECOND)
        assert decision.progress.schedule_since == at("10:45:07")
        assert decision.progress.observed == ObservedSchedule(schedule="30 * * * *", time_zone="Etc/UTC")
        assert not is_caught_up(edited, decision)
        assert is_caught_up(after_writing(edited, decision), decision)

    @pytest.mark.parametrize("spec", [{"startingDeadlineSeconds": 100}, {"staleAfter": "5h"}, {"backoffLimit": 0}])
    def test_an_edit_of_anything_else_changes_nothing_about_what_is_due(self, spec: dict[str, Any]) -> None:
        seen = schedule(status=written(last_schedule_time=at("09:00")), **spec)
        assert decide(seen, [], at("10:00:30")).scheduled_time == at("10:00")

    def test_there_and_back_again_forgets_the_slots_before_it(self) -> None:
        there = schedule(schedule="30 * * * *", status=written(last_schedule_time=at("08:00")))
        status = after_writing(there, decide(there, [], at("10:10"))).status
        back = schedule(status=status)
        assert decide(back, [], at("10:20")).action == "wait"
        assert decide(back, [], at("10:20")).progress.schedule_since == at("10:20")

    def test_a_held_slot_of_the_old_schedule_is_dropped_and_is_not_missed(self) -> None:
        edited = schedule(schedule="30 * * * *", status=written(last_schedule_time=at("09:00")))
        decision = decide(edited, [job("09:00")], at("10:10"))
        assert (decision.action, decision.missed) == ("wait", 0)

    def test_every_goes_on_from_the_last_start_though_its_duration_is_edited(self) -> None:
        edited = schedule(schedule="@every 2h", status=written(expression="@every 1h", last_schedule_time=at("09:10")))
        decision = decide(edited, [], at("11:30"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("13:10"))

    def test_a_correction_of_an_invalid_schedule_does_not_catch_up(self) -> None:
        invalid = schedule(schedule="0 0 31 2 *", status=written(last_schedule_time=at("08:00")))
        status = after_writing(invalid, decide(invalid, [], at("09:00"))).status
        decision = decide(schedule(status=status), [], at("11:30"))
        assert (decision.action, decision.missed, decision.next_schedule_time) == ("wait", 0, at("12:00"))


class TestClocks:
    def test_a_clock_set_back_over_an_edit_names_no_slot_before_the_edit_as_the_next(self) -> None:
        seen = schedule(status=written(since="10:30"))
        decision = decide(seen, [], at("09:30"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("11:00"))

    def test_a_job_of_a_slot_in_the_future_counts_as_the_last_start(self) -> None:
        decision = decide(schedule(status=written()), [job("12:00", ended="12:01")], at("10:30"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("13:00"))

    @pytest.mark.parametrize("expression", ["0 * * * *", "@every 1h"])
    def test_a_last_start_at_the_end_of_all_time_leaves_no_slot(self, expression: str) -> None:
        status = written(expression=expression, last_schedule_time=datetime.max.replace(tzinfo=UTC))
        assert decide(schedule(schedule=expression, status=status), [], at("10:00")).next_schedule_time is None

    def test_why_nothing_is_due_after_a_start_by_a_clock_that_was_ahead_is_said(self) -> None:
        late = [job("11:00", ended="11:05")]
        decision = decide(schedule(status=written()), late, at("09:30"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("12:00"))
        assert decision.because == (
            "Slot 2026-11-23T11:00:00Z was started before its time, by a clock that was ahead: "
            "no slot up to it is started again."
        )

    def test_every_counts_on_from_a_last_start_in_the_future(self) -> None:
        status = written(expression="@every 1h", last_schedule_time=at("12:10"))
        decision = decide(schedule(schedule="@every 1h", status=status), [], at("10:00"))
        assert (decision.action, decision.next_schedule_time) == ("wait", at("13:10"))

    def test_the_slot_a_request_served_is_told_by_our_clock_and_not_by_the_api_servers(self) -> None:
        """Its Job was created a second before the slot by the API server's clock, at the slot by ours."""
        by_hand = replace(job("10:00:00", ended="10:01", request="now"), created=at("09:59:59"))
        seen = schedule(requested="now", status=written(last_schedule_time=at("09:00")))
        decision = decide(seen, [by_hand], at("10:02"))
        assert (decision.action, decision.progress.last_schedule_time) == ("wait", at("10:00"))


class TestRequests:
    def test_a_request_beside_a_missed_slot_tells_it(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("08:00")))
        decision = decide(seen, [], at("11:05"))
        assert (decision.trigger, decision.missed, decision.progress.last_missed_time) == ("Manual", 2, at("10:00"))
        assert told(decision) == ["MissSchedule", "SuccessfulCreate"]

    def test_the_newest_request_wins_over_one_that_still_runs(self) -> None:
        seen = schedule(requested="two", status=written(last_schedule_time=at("10:00"), last_handled_request="one"))
        first = job("10:05", request="one")
        held = decide(seen, [first], at("10:06"))
        assert (held.action, held.job) == ("skip", manual_job_name("hourly", "two"))
        free = decide(seen, [replace(first, finished="Complete", ended=at("10:07"))], at("10:08"))
        assert (free.action, free.job) == ("start", manual_job_name("hourly", "two"))

    def test_a_request_is_served_although_its_text_is_empty(self) -> None:
        seen = schedule(requested="", status=written(last_schedule_time=at("10:00")))
        decision = decide(seen, [], at("10:05"))
        assert (decision.action, decision.trigger) == ("start", "Manual")
        assert decide(after_writing(seen, decision, started=True), [], at("10:06")).action == "wait"

    def test_a_request_counts_as_handled_only_by_a_job_of_this_object(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("10:00")))
        decision = decide(seen, [job("10:05", owner="u0", request="now")], at("10:06"))
        assert (decision.action, decision.trigger) == ("start", "Manual")

    def test_a_request_is_told_by_the_second_it_starts_in(self) -> None:
        seen = schedule(requested="now", status=written(last_schedule_time=at("10:00")))
        assert decide(seen, [], at("10:05:07") + 999 * MICROSECOND).scheduled_time == at("10:05:07")

    @pytest.mark.parametrize(
        "spec", [{"schedule": "0 0 31 2 *"}, {"timeZone": "Local"}], ids=["never fires", "unknown zone"]
    )
    def test_an_invalid_schedule_starts_nothing_by_hand_though_suspended(self, spec: dict[str, Any]) -> None:
        decision = decide(schedule(requested="now", suspend=True, **spec), [], at("10:05"))
        assert (decision.action, decision.job, decision.started) == ("none", None, None)


class TestJobs:
    def test_a_job_being_deleted_is_active_until_it_has_finished(self) -> None:
        """Only a condition ends a Job; that a Job is terminating is not even looked at."""
        body: dict[str, Any] = {
            "metadata": {
                "name": slot_job_name("hourly", at("09:00")),
                "uid": "j",
                "creationTimestamp": "2026-11-23T09:00:00Z",
                "deletionTimestamp": "2026-11-23T09:30:00Z",
                "ownerReferences": [{"uid": "u1", "controller": True}],
            },
            "status": {
                "conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Complete", "status": "False"}]
            },
        }
        seen = schedule(status=written(last_schedule_time=at("09:00")))
        assert decide(seen, [Job.from_object(body)], at("10:01")).reason == "JobAlreadyActive"
        body["status"]["conditions"].append({"type": "Failed", "status": "True"})
        assert decide(seen, [Job.from_object(body)], at("10:01")).action == "start"

    def test_an_owner_that_is_not_the_controller_does_not_count(self) -> None:
        body: dict[str, Any] = {
            "metadata": {
                "name": "hourly-1",
                "uid": "j",
                "creationTimestamp": "2026-11-23T09:00:00Z",
                "ownerReferences": [{"uid": "u1"}],
            }
        }
        assert Job.from_object(body).owner is None

    @pytest.mark.parametrize(
        "scheduled", ["yesterday", "", "2026-11-23T09:00:00", "2026-13-45T09:00:00Z", "0001-01-01T00:00:00+14:00"]
    )
    def test_a_job_whose_scheduled_time_was_made_unreadable_is_read_without_it(self, scheduled: str) -> None:
        body: dict[str, Any] = {
            "metadata": {
                "name": "hourly-1",
                "uid": "j",
                "creationTimestamp": "2026-11-23T09:00:00Z",
                "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": scheduled},
            }
        }
        assert Job.from_object(body).scheduled_time is None
        body["metadata"]["name"] = slot_job_name("hourly", at("09:00"))
        assert Job.from_object(body).scheduled_time == at("09:00"), "the name tells it"

    @pytest.mark.parametrize(
        ("annotation", "slot"),
        [
            pytest.param("2026-11-23T10:00:00+01:00", "09:00", id="as it was written"),
            pytest.param("2026-11-23T09:00:40Z", "09:00:40", id="to the second, as with @every"),
            pytest.param("2126-11-23T09:00:00Z", "09:00", id="another century, by somebody's hand"),
            pytest.param("2026-11-23T08:59:59Z", "09:00", id="the minute before"),
        ],
    )
    def test_a_jobs_slot_is_that_of_its_name_whatever_its_annotation_says(self, annotation: str, slot: str) -> None:
        body: dict[str, Any] = {
            "metadata": {
                "name": slot_job_name("hourly", at("09:00")),
                "creationTimestamp": "2026-11-23T09:00:00Z",
                "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": annotation},
            }
        }
        assert Job.from_object(body).scheduled_time == at(slot)

    @pytest.mark.parametrize(
        ("status", "ready"),
        [
            pytest.param({"active": 1}, 0, id="its pod is pending"),
            pytest.param({"active": 1, "ready": 1}, 1, id="its pod is ready"),
            pytest.param({"ready": 0, "uncountedTerminatedPods": {"succeeded": ["p"]}}, 1, id="its pod has just ended"),
            pytest.param(
                {"ready": 0, "failed": 1, "uncountedTerminatedPods": {}}, 0, id="its pod is to be tried again"
            ),
            pytest.param({}, 0, id="no status yet"),
        ],
    )
    def test_a_job_whose_pod_has_just_ended_does_not_wait_for_a_pod(self, status: dict[str, Any], ready: int) -> None:
        """Else each run would seem to wait again in its last second, and cost a status write."""
        metadata = {"name": "hourly-1", "uid": "j", "creationTimestamp": "2026-11-23T09:00:00Z"}
        job = Job.from_object({"metadata": metadata, "status": status})
        assert job.ready + job.ending == ready
        assert job.runs == bool(ready)

    def test_trimming_goes_on_while_the_schedule_is_being_deleted(self) -> None:
        done = [job(f"0{hour}:00", ended=f"0{hour}:01") for hour in range(1, 6)]
        status = written(last_run={"job": done[-1].name, "completionTime": done[-1].ended, "result": "Succeeded"})
        decision = decide(replace(schedule(status=status), deleting=True), done, at("06:30"))
        assert (decision.action, decision.deletes) == ("none", (done[0].name, done[1].name))


def test_a_refusal_is_told_once_a_generation() -> None:
    refusal = Refusal(reason="UnknownPreset", message="no such preset")
    keys = {
        decide(replace(schedule(), generation=g), [], at("09:00"), refusal=refusal).events[0].key for g in (1, 1, 2)
    }
    assert len(keys) == 2


def test_the_controllers_own_reasons_come_before_those_of_others() -> None:
    refusal = Refusal(reason="UnknownPreset", message="no such preset")
    assert decide(schedule(timeZone="Mars/Olympus"), [], at("09:00"), refusal=refusal).reason == "UnknownTimeZone"


# Below, a whole day is played: whatever happens in it, the promises hold.

EVENTS = (
    "finish",
    "crash",
    "cut off",
    "suspend",
    "resume",
    "request",
    "edit",
    "policy",
    "nothing",
    "nothing",
    "nothing",
)


class Day:
    """A schedule, its Jobs and a controller that writes what it decides, or dies in between."""

    def __init__(self, expression: str, deadline: int | None, immediate: bool, **fields: Any) -> None:
        spec: dict[str, Any] = {**SPEC, "schedule": expression, "immediate": immediate, **fields}
        if deadline:
            spec["startingDeadlineSeconds"] = deadline
        self.seen = schedule(created="00:00:30", **spec)
        self.jobs: list[Job] = []
        self.requests = 0
        self.missed: list[datetime] = []
        self.started: list[Job] = []

    def passes(self, now: datetime, *, event: str) -> None:
        """Decide until at rest, as the controller does.

        A crash loses the status write after a Job was created; cut off, the controller dies after it has deleted the
        Jobs that make way.
        """
        for _ in range(5):
            decision = decide(self.seen, self.jobs, now)
            again = not is_caught_up(self.seen, decision)
            if again or not decision.starts or (decision.replaces and not is_told(self.seen, decision)):
                if decision.missed:
                    assert decision.progress.last_missed_time is not None
                    self.missed.append(decision.progress.last_missed_time)
                self.seen = after_writing(self.seen, decision)
                if again or decision.starts:
                    continue
                assert (
                    decision.next_schedule_time is None
                    or decision.action == "skip"
                    or decision.next_schedule_time > now
                )
                assert decision.wake is None or decision.wake > now
                return
            if decision.replaces:
                assert self.seen.spec.concurrency_policy == "Replace"
                self.jobs = [job for job in self.jobs if job.name not in decision.replaces]
                if event == "cut off":
                    return
            self._start(decision, now)
            if event == "crash":
                return
            self.seen = after_writing(self.seen, decision, started=True)
        raise AssertionError("the controller does not come to rest")

    def _start(self, decision: Decision, now: datetime) -> None:
        assert decision.job is not None
        assert decision.scheduled_time is not None
        assert decision.job not in [job.name for job in self.started], "a slot or a request is run twice"
        assert all(job.finished for job in self.jobs), "two runs are active"
        spec = self.seen.spec
        if decision.trigger == "Schedule":
            assert not spec.suspend
            assert decision.due_time is not None
            assert timedelta(0) <= decision.due_time - decision.scheduled_time <= spec.spread
            deadline = spec.starting_deadline_seconds
            assert decision.due_time <= now
            assert deadline is None or now - decision.due_time < timedelta(seconds=deadline)
            success = self.seen.status.last_successful_time
            assert success is None or now >= success + spec.min_interval
        run = replace(
            job("00:00"),
            name=decision.job,
            uid=decision.job,
            trigger=decision.trigger,
            created=now,
            scheduled_time=decision.scheduled_time,
        )
        self.jobs.append(run)
        self.started.append(run)

    def happens(self, event: str, now: datetime) -> None:
        if event == "finish":
            if any(not job.finished for job in self.jobs):
                status = self.seen.status.model_copy(update={"last_successful_time": now})
                self.seen = replace(self.seen, status=status)
            self.jobs = [job if job.finished else replace(job, finished="Complete", ended=now) for job in self.jobs]
        elif event in ("suspend", "resume"):
            self._edit(suspend=event == "suspend")
        elif event == "request":
            self.requests += 1
            self.seen = replace(self.seen, requested_at=f"request {self.requests}")
        elif event == "policy":
            self._edit(concurrency_policy="Forbid" if self.seen.spec.concurrency_policy == "Replace" else "Replace")
        elif event == "edit":
            self._edit(schedule="*/20 * * * *" if self.seen.spec.schedule != "*/20 * * * *" else "15 * * * *")

    def _edit(self, **fields: Any) -> None:
        self.seen = replace(self.seen, spec=self.seen.spec.model_copy(update=fields))


@given(
    st.sampled_from(["*/10 * * * *", "0 * * * *", "@every 17m"]),
    st.sampled_from([None, 60, 1200]),
    st.booleans(),
    st.sampled_from(["Forbid", "Replace"]),
    st.sampled_from(["0s", "9m59s"]),
    st.sampled_from(["0s", "7m", "90m"]),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 5400)), min_size=1, max_size=14),
)
def test_whatever_happens_in_a_day_nothing_starts_twice_or_beside_another_or_is_told_missed_though_it_ran(
    expression: str,
    deadline: int | None,
    immediate: bool,
    policy: str,
    spread: str,
    interval: str,
    happenings: list[tuple[str, int]],
) -> None:
    day = Day(expression, deadline, immediate, concurrencyPolicy=policy, spread=spread, minInterval=interval)
    now = at("00:00:31")
    for event, seconds in happenings:
        day.happens(event, now)
        day.passes(now, event=event)
        now += timedelta(seconds=seconds)
    slots = [job.scheduled_time for job in day.started if job.trigger == "Schedule" and job.scheduled_time]
    assert all(one < following for one, following in pairwise(slots))
    assert all(one < following for one, following in pairwise(day.missed))
    assert not set(slots) & set(day.missed)


def test_a_status_that_tells_nothing_counts_as_new() -> None:
    assert decide(schedule(status=TrendingScheduleStatus()), [], at("09:00")).progress.schedule_since == at("08:30")
