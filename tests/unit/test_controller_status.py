"""The status that follows from what was written, what was decided and what has happened."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.kube import at, job_body, own_target, report, schedule_body
from trending.api.status import Condition, TrendingScheduleStatus
from trending.controller.runs import FinishedRun, Remains, as_replaced, finish, finish_replaced
from trending.controller.status import change_events, missing_job_events, next_status, run_events
from trending.report import Report, TargetReport
from trending.schedule.decision import decide
from trending.schedule.observed import Finish, Job, Schedule

TWO: dict[str, Any] = {"rewrite": [own_target("a", board=["a"]), own_target("b", board=["b"])]}


def follow(
    old: TrendingScheduleStatus | None = None,
    *,
    now: str,
    runs: Sequence[FinishedRun] = (),
    jobs: Sequence[Job] = (),
    **spec: Any,
) -> TrendingScheduleStatus:
    """Return the status after `old`, or the first one, at a time when nothing is started."""
    body = schedule_body(status=old.to_json_object() if old else None, **spec)
    schedule = Schedule.from_object(body)
    decision = decide(schedule, jobs, at(now))
    return next_status(schedule, decision, progress=decision.progress, jobs=jobs, runs=runs, now=at(now))


def run(
    told: Report | None = None, *, name: str = "hourly-1", ended: str = "09:02", finished: Finish = "Complete"
) -> FinishedRun:
    return finish(replace(active_job(name), finished=finished, ended=at(ended)), Remains(report=told, pods=1))


def active_job(name: str = "hourly-1") -> Job:
    return Job(
        namespace="default",
        name=name,
        uid=name,
        owner="u1",
        created=at("09:00"),
        started=at("09:00"),
        scheduled_time=at("09:00"),
        trigger="Schedule",
        finished=None,
        ended=None,
    )


def failed(*, name: str = "hourly-2", ended: str = "10:02", targets: tuple[TargetReport, ...] = ()) -> FinishedRun:
    fields = {"result": "Failed", "reason": "RunFailed", "message": "Target a failed.", "targets": targets}
    return run(report(name).model_copy(update=fields), name=name, ended=ended, finished="Failed")


def superseded(*, name: str = "hourly-2", ended: str = "10:02") -> FinishedRun:
    return run(report(name).model_copy(update={"result": "Superseded"}), name=name, ended=ended)


def condition(status: TrendingScheduleStatus, kind: str) -> Condition:
    [found] = [c for c in status.conditions if c.type == kind]
    return found


def fresh(status: TrendingScheduleStatus) -> tuple[str, str]:
    found = condition(status, "Fresh")
    return found.status, found.reason


def reread(status: TrendingScheduleStatus) -> TrendingScheduleStatus:
    return TrendingScheduleStatus.model_validate(status.to_json_object())


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = follow(now="08:45")
    second = follow(first, now="08:50", suspend=True)
    assert condition(second, "Accepted").last_transition_time == at("08:45")
    good = follow(second, now="09:02", runs=[run(report())])
    assert condition(good, "Fresh").last_transition_time == at("09:02")
    later = follow(good, now="10:02", runs=[run(report(data=at("10:00")), name="hourly-2", ended="10:02")])
    assert condition(later, "Fresh").message != condition(good, "Fresh").message
    assert condition(later, "Fresh").last_transition_time == at("09:02")
    assert condition(later, "Accepted").last_transition_time == at("08:45")
    stale = follow(later, now="12:30")
    assert condition(stale, "Fresh").last_transition_time == at("12:30")
    assert condition(stale, "Succeeded").last_transition_time == at("09:02")


def test_before_any_run_there_are_no_data_and_no_verdict_on_a_run() -> None:
    status = follow(now="08:45")
    assert fresh(status) == ("False", "NeverSucceeded")
    assert [c.type for c in status.conditions] == ["Accepted", "Fresh", "Progressing"]
    assert status.observed_generation == 1
    assert (status.active_count, status.consecutive_failures) == (0, 0)
    assert [(target.name, target.data_timestamp) for target in status.targets] == [("week", None)]
    assert (status.data_timestamp, status.stale_time) == (None, None)


def test_data_are_fresh_until_their_stale_time_whatever_the_runs_did() -> None:
    told = follow(now="09:02", runs=[run(report(data=at("09:00")))])
    assert fresh(told) == ("True", "UpToDate")
    assert told.stale_time == at("11:00"), "twice the longest gap"
    assert fresh(follow(told, now="10:59:59", runs=[failed()])) == ("True", "UpToDate")
    assert fresh(follow(told, now="11:00")) == ("False", "TooOld")


def test_data_too_old_name_the_target_that_went_stale_first() -> None:
    targets = tuple(TargetReport(name=name, data_timestamp=at(time)) for name, time in (("a", "09:00"), ("b", "08:00")))
    told = run(report().model_copy(update={"targets": targets}))
    status = follow(now="10:30", runs=[told], **TWO)
    assert (status.data_timestamp, status.stale_time) == (at("08:00"), at("10:00"))
    assert condition(status, "Fresh").reason == "TooOld"
    assert "target b are of 2026-11-23T08:00:00Z" in condition(status, "Fresh").message


def test_a_target_that_never_had_data_is_named() -> None:
    status = follow(now="09:02", runs=[run(report(targets=("a",)))], **TWO)
    assert fresh(status) == ("False", "TargetWithoutData")
    assert condition(status, "Fresh").message == "Target b has never had data."
    assert status.data_timestamp == at("09:00"), "of the one that has"


def test_a_target_whose_last_write_was_somebody_elses_has_data_though_no_run_succeeded() -> None:
    status = follow(now="10:03", runs=[failed(targets=(TargetReport(name="week", data_timestamp=at("10:00")),))])
    assert fresh(status) == ("True", "UpToDate")


def test_a_run_that_was_superseded_is_neither_success_nor_failure() -> None:
    before = follow(now="09:02", runs=[run(report()), failed(ended="09:05")])
    after = follow(before, now="10:02", runs=[superseded()])
    assert after.last_run is not None
    assert after.last_run.result == "Superseded"
    assert condition(after, "Succeeded") == condition(reread(before), "Succeeded")
    assert (after.last_successful_time, after.last_failure_time) == (at("09:02"), at("09:05"))
    assert after.consecutive_failures == 1
    assert run_events([superseded()]) == []


def test_a_lost_report_moves_no_timestamp_and_the_next_report_repairs_it() -> None:
    lost = follow(now="09:02", runs=[run(None)])
    assert condition(lost, "Succeeded").status == "True"
    assert fresh(lost) == ("False", "TargetWithoutData")
    repaired = follow(
        lost, now="10:02", runs=[failed(targets=(TargetReport(name="week", data_timestamp=at("09:00")),))]
    )
    assert repaired.data_timestamp == at("09:00")
    assert fresh(repaired) == ("True", "UpToDate")


def test_a_lost_report_leaves_what_was_told_before() -> None:
    known = follow(now="09:02", runs=[run(report(data=at("09:00")))])
    assert follow(known, now="10:02", runs=[run(None, name="hourly-2", ended="10:02")]).data_timestamp == at("09:00")


def test_targets_that_were_removed_vanish_and_new_ones_have_no_data() -> None:
    both = follow(now="09:02", runs=[run(report(targets=("a", "b")))], **TWO)
    other: dict[str, Any] = {"rewrite": [own_target("b", board=["b"]), own_target("c", board=["c"])]}
    status = follow(both, now="09:10", **other)
    assert [(target.name, target.data_timestamp is not None) for target in status.targets] == [
        ("b", True),
        ("c", False),
    ]
    assert fresh(status) == ("False", "TargetWithoutData")


def test_a_report_of_a_target_that_is_no_longer_there_is_passed_over() -> None:
    status = follow(now="09:02", runs=[run(report(targets=("gone", "week")))])
    assert [target.name for target in status.targets] == ["week"]


def test_data_of_the_future_are_shown_as_of_now() -> None:
    status = follow(now="09:02", runs=[run(report(data=at("09:07")))])
    assert status.data_timestamp == status.targets[0].data_timestamp == at("09:02")


def test_another_stale_after_counts_for_the_data_that_are_there() -> None:
    status = follow(now="09:02", runs=[run(report(data=at("09:00")))])
    assert follow(status, now="09:10", staleAfter="5m").stale_time == at("09:05")
    assert fresh(follow(status, now="09:10", staleAfter="5m")) == ("False", "TooOld")


def test_each_target_goes_stale_by_its_own_every_and_stale_after() -> None:
    targets = [
        {**own_target("daily", id=["1"]), "every": "24h"},
        own_target("hourly", id=["2"]),
        {**own_target("own", id=["3"]), "every": "2h", "staleAfter": "3h"},
    ]
    told = [TargetReport(name=name, data_timestamp=at("09:00"), rows=1) for name in ("daily", "hourly", "own")]
    ended = run(report().model_copy(update={"targets": tuple(told)}))
    status = follow(now="09:02", runs=[ended], rewrite=targets)
    stale = {target.name: target.stale_time for target in status.targets}
    assert stale == {"daily": at("09:00") + timedelta(hours=26), "hourly": at("11:00"), "own": at("12:00")}
    assert status.stale_time == at("11:00")
    later = follow(status, now="11:30", rewrite=targets)
    assert fresh(later) == ("False", "TooOld")
    assert "target hourly" in condition(later, "Fresh").message
    without = follow(status, now="11:30", rewrite=[targets[0], targets[2]])
    assert (without.stale_time, fresh(without)) == (at("12:00"), ("True", "UpToDate"))


def test_a_schedule_that_became_invalid_keeps_what_was_promised_of_the_data() -> None:
    status = follow(now="09:02", runs=[run(report(data=at("09:00")))])
    invalid = follow(status, now="09:10", schedule="0 0 31 2 *")
    assert (condition(invalid, "Accepted").status, condition(invalid, "Accepted").reason) == (
        "False",
        "InvalidSchedule",
    )
    assert invalid.stale_time == at("11:00")
    assert invalid.next_schedule_time is None
    assert fresh(invalid) == ("True", "UpToDate")
    assert fresh(follow(invalid, now="11:00", schedule="0 0 31 2 *")) == ("False", "TooOld")


def test_failures_are_counted_since_the_last_success() -> None:
    first = follow(now="10:02", runs=[failed()])
    assert first.consecutive_failures == 1
    second = follow(first, now="11:02", runs=[failed(name="hourly-3", ended="11:02")])
    assert second.consecutive_failures == 2
    assert second.last_failure_time == at("11:02")
    good = follow(second, now="12:02", runs=[run(report(data=at("12:00")), name="hourly-4", ended="12:02")])
    assert (good.consecutive_failures, good.last_failure_time) == (0, at("11:02"))


def test_several_runs_that_ended_while_the_controller_was_away_count_in_their_order() -> None:
    runs = [
        failed(name="hourly-1", ended="08:50"),
        run(report(), name="hourly-2", ended="09:02"),
        failed(name="hourly-3", ended="10:02"),
    ]
    status = follow(now="10:30", runs=runs)
    assert status.consecutive_failures == 1
    assert (status.last_successful_time, status.last_failure_time) == (at("09:02"), at("10:02"))
    assert status.last_run == runs[-1].last_run
    assert (condition(status, "Succeeded").status, condition(status, "Succeeded").reason) == ("False", "RunFailed")
    assert status.targets[0].data_timestamp == at("09:00")
    assert [event.reason for event in run_events(runs)] == ["RunFailed", "RunSucceeded", "RunFailed"]
    assert len({event.key for event in run_events(runs)}) == 3


@pytest.mark.parametrize(
    ("ready", "told"),
    [
        (0, ("True", "WaitingForPod", "Job hourly-9 waits for its pod to run.")),
        (1, ("True", "RunActive", "Job hourly-9 is running.")),
    ],
)
def test_an_active_run_is_told_with_its_job(ready: int, told: tuple[str, str, str]) -> None:
    body = job_body("hourly-9")
    body["status"] = {"ready": ready}
    status = follow(now="09:01", jobs=[Job.from_object(body)])
    found = condition(status, "Progressing")
    assert (found.status, found.reason, found.message) == told
    assert (status.active_count, status.active[0].uid, status.active[0].scheduled_time) == (1, "j1", at("09:00"))
    assert condition(follow(status, now="09:05"), "Progressing").reason == "Idle"


@pytest.mark.parametrize("suspend", [False, True])
def test_what_is_written_and_read_back_gives_the_same_status_again(suspend: bool) -> None:
    """Else the controller would write for ever."""
    job = Job.from_object(job_body("hourly-9", slot="10:00"))
    status = follow(now="10:30:15", runs=[failed(ended="08:50"), run(report())], jobs=[job], suspend=suspend)
    kept = reread(status)
    assert reread(kept) == kept
    assert follow(kept, now="10:30:15", jobs=[job], suspend=suspend) == kept
    assert follow(kept, now="10:30:16", jobs=[job], suspend=suspend) == kept


def test_a_change_of_freshness_is_told_once_a_change() -> None:
    first = follow(now="08:45")
    good = follow(first, now="09:02", runs=[run(report(data=at("09:00")))])
    stale = follow(good, now="11:00")
    assert change_events(TrendingScheduleStatus(), first) == [], "a new schedule has no data to lose"
    [became_fresh], [became_stale] = change_events(first, good), change_events(good, stale)
    assert (became_fresh.type, became_fresh.reason) == ("Normal", "DataFresh")
    assert (became_stale.type, became_stale.reason) == ("Warning", "DataStale")
    assert became_fresh.key != became_stale.key
    assert change_events(stale, follow(stale, now="11:30")) == []


def test_an_active_job_that_is_gone_is_told_and_one_that_ended_is_not() -> None:
    active = follow(now="09:01", jobs=[Job.from_object(job_body("hourly-9"))])
    [missing] = missing_job_events(active, [])
    assert (missing.reason, missing.message) == ("MissingJob", "Active job went missing: hourly-9")
    ended = job_body("hourly-9")
    ended["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert missing_job_events(active, [Job.from_object(ended)]) == []
    [other] = missing_job_events(active, [Job.from_object(job_body("hourly-9", uid="made anew"))])
    assert other.key == "j1"


def test_the_end_of_a_run_is_told_with_its_job_and_its_words() -> None:
    [event] = run_events([failed()])
    assert (event.type, event.message, event.key) == ("Warning", "Job hourly-2: Target a failed.", "hourly-2")


def test_how_long_the_last_five_took_is_kept_and_one_that_was_superseded_is_none() -> None:
    status = follow(now="08:45")
    assert [c.type for c in status.conditions] == ["Accepted", "Fresh", "Progressing"]
    for ended in ("09:55", "09:56", "09:57", "09:02", "09:58", "09:59"):
        status = follow(reread(status), now="10:00", runs=[run(report(), ended=ended)])
    status = follow(status, now="10:00", runs=[superseded(ended="10:01")])
    assert [each // 60 for each in status.recent_seconds] == [56, 57, 2, 58, 59]
    assert (condition(status, "CadenceAtRisk").status, condition(status, "CadenceAtRisk").reason) == (
        "True",
        "NearInterval",
    )
    calm = follow(status, now="10:05", schedule="0 */2 * * *")
    assert condition(calm, "CadenceAtRisk").reason == "WithinInterval", "also by an edit"


def test_runs_that_make_way_for_the_next_are_as_long_as_a_cadence_that_is_lost() -> None:
    replaced = finish_replaced(as_replaced(active_job(), by="hourly-2", now=at("10:00")))
    status = follow(now="10:00", runs=[replaced])
    assert condition(status, "CadenceAtRisk").message.startswith("The last run took 1h, over 80 %")


@pytest.mark.parametrize("deleting", [False, True])
def test_of_a_schedule_that_cannot_be_read_any_more_the_cadence_stands(deleting: bool) -> None:
    before = follow(now="09:02", runs=[run(report())])
    body = schedule_body(status=before.to_json_object(), schedule="nonsense")
    schedule = replace(Schedule.from_object(body), deleting=deleting)
    decision = decide(schedule, [], at("09:10"))
    after = next_status(schedule, decision, progress=decision.progress, jobs=[], runs=[], now=at("09:10"))
    assert condition(after, "CadenceAtRisk") == condition(reread(before), "CadenceAtRisk")


def test_a_schedule_that_is_not_accepted_does_not_become_so_by_being_deleted() -> None:
    refused = follow(now="09:00", schedule="nonsense")
    body = schedule_body(status=refused.to_json_object(), schedule="nonsense")
    deleting = replace(Schedule.from_object(body), deleting=True)
    decision = decide(deleting, [], at("09:10"))
    after = next_status(deleting, decision, progress=decision.progress, jobs=[], runs=[], now=at("09:10"))
    assert condition(after, "Accepted") == condition(reread(refused), "Accepted")
