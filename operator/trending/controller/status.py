"""The status that is to be written: pure, from what is written, what was decided and what has happened."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trending.api.instant import format_instant
from trending.api.status import (
    ActiveRun,
    Condition,
    ConditionStatus,
    TargetStatus,
    TrendingScheduleStatus,
)
from trending.controller.progressing import PROGRESSING, Seen, progressing
from trending.controller.runs import FinishedRun
from trending.schedule.cadence import REMEMBERED, Cadence, judge_cadence
from trending.schedule.cron import InvalidScheduleError
from trending.schedule.decision import Decision, Event, Progress
from trending.schedule.freshness import Verdict, first_to_go_stale, judge, stale_after, target_stale_after
from trending.schedule.observed import Job, Schedule
from trending.schedule.starting import created
from trending.schedule.zone import UnknownTimeZoneError

_ORDER: Final = ("Accepted", "Fresh", "Succeeded", PROGRESSING, "CadenceAtRisk")
_UNSEEN: Final = Seen()

Said = tuple[ConditionStatus, str, str]
"""A condition's status, reason and message."""


def next_status(
    schedule: Schedule,
    decision: Decision,
    *,
    progress: Progress,
    jobs: Sequence[Job],
    runs: Sequence[FinishedRun],
    now: datetime,
    seen: Seen = _UNSEEN,
    refused: str | None = None,
) -> TrendingScheduleStatus:
    """Return the status that follows.

    `progress` is how far scheduling has come by now: before or after the decision's start. `jobs` are those that the
    schedule owns; `runs` are those that have finished and are not told in the status yet, oldest first. `seen` is what
    is known of the active run's pods, `refused` why the run that is due has no Job.
    """
    old = schedule.status
    active = [job for job in jobs if not job.finished]
    doing = progressing(active, _find(old, PROGRESSING), seen, refused)
    targets = _targets(schedule, runs, progress, now)
    first = first_to_go_stale(targets)
    last_success = _newest(old.last_successful_time, (run for run in runs if run.succeeded))
    seconds = _recent_seconds(old.recent_seconds, runs)
    verdicts = (
        judge(targets, ever_succeeded=last_success is not None, now=now),
        _cadence(schedule, seconds, progress),
    )
    return TrendingScheduleStatus(
        observed_generation=schedule.generation,
        conditions=_conditions(schedule, decision, verdicts, doing, runs, now),
        active=tuple(ActiveRun(name=job.name, uid=job.uid, scheduled_time=job.scheduled_time) for job in active),
        active_count=len(active),
        last_schedule_time=progress.last_schedule_time,
        next_schedule_time=_next_schedule_time(decision, progress),
        last_successful_time=last_success,
        last_failure_time=_newest(old.last_failure_time, (run for run in runs if run.failed)),
        last_missed_time=progress.last_missed_time,
        last_handled_request=progress.last_handled_request,
        schedule_since=progress.schedule_since,
        observed_schedule=progress.observed,
        data_timestamp=first.data_timestamp if first else None,
        stale_time=first.stale_time if first else None,
        consecutive_failures=_consecutive_failures(old.consecutive_failures or 0, runs),
        last_run=runs[-1].last_run if runs else old.last_run,
        recent_seconds=seconds,
        targets=targets,
    )


def run_events(runs: Iterable[FinishedRun]) -> list[Event]:
    """Return the events that tell how runs ended; one that was superseded is a log line, no event."""
    events = []
    for run in runs:
        message = f"Job {run.job.name}: {run.last_run.message}"
        if run.succeeded:
            events.append(Event(type="Normal", reason="RunSucceeded", message=message, key=run.job.uid))
        elif run.failed:
            events.append(Event(type="Warning", reason="RunFailed", message=message, key=run.job.uid))
    return events


def change_events(old: TrendingScheduleStatus, new: TrendingScheduleStatus) -> list[Event]:
    """Return the events that tell what changed from one status to the next: data grown stale or fresh, a Job gone
    missing."""
    events = []
    before, after = _find(old, "Fresh"), _find(new, "Fresh")
    if before and after and before.status != after.status:
        key = format_instant(after.last_transition_time)
        if after.status == "True":
            events.append(Event(type="Normal", reason="DataFresh", message=after.message, key=key))
        else:
            events.append(Event(type="Warning", reason="DataStale", message=after.message, key=key))
    return events


def created_job_events(schedule: Schedule, jobs: Iterable[Job], runs: Iterable[FinishedRun]) -> list[Event]:
    """Return an event for each Job, active or just finished, that the written status never told of: whoever created it
    may have died, or lost the lead, before it said so."""
    told = {run.uid for run in schedule.status.active}
    new = [*(run.job for run in runs), *(job for job in jobs if not job.finished)]
    return [created(job.name, schedule) for job in new if job.uid not in told]


def missing_job_events(old: TrendingScheduleStatus, jobs: Iterable[Job]) -> list[Event]:
    """Return an event for each active Job of the status that is no longer there: somebody else deleted it."""
    there = {job.uid for job in jobs}
    return [
        Event(type="Warning", reason="MissingJob", message=f"Active job went missing: {run.name}", key=run.uid)
        for run in old.active
        if run.uid not in there
    ]


def _next_schedule_time(decision: Decision, progress: Progress) -> datetime | None:
    """A slot that is about to start is still the next one, until its Job is there."""
    if decision.starts and progress is decision.progress and decision.trigger == "Schedule":
        return decision.due_time
    return decision.next_schedule_time


def _newest(known: datetime | None, runs: Iterable[FinishedRun]) -> datetime | None:
    ends = [run.last_run.completion_time for run in runs if run.last_run.completion_time]
    return max([*ends, *([known] if known else [])], default=None)


def _consecutive_failures(count: int, runs: Iterable[FinishedRun]) -> int:
    for run in runs:
        if run.succeeded:
            count = 0
        elif run.failed:
            count += 1
    return count


def _recent_seconds(before: Sequence[int], runs: Iterable[FinishedRun]) -> tuple[int, ...]:
    """Return how long the last runs took, the newest last.

    One that failed or made way counts: it took that long at least. One that was superseded had nothing to do.
    """
    told = [run.last_run for run in runs if run.last_run.result != "Superseded"]
    took = [run.completion_time - run.start_time for run in told if run.completion_time and run.start_time]
    return (*before, *(max(0, round(each.total_seconds())) for each in took))[-REMEMBERED:]


def _cadence(schedule: Schedule, seconds: Sequence[int], progress: Progress) -> Cadence | None:
    try:
        return judge_cadence(seconds, schedule.spec, since=progress.schedule_since)
    except (InvalidScheduleError, UnknownTimeZoneError):
        return None  # what was said of the schedule before stands


def _targets(
    schedule: Schedule, runs: Sequence[FinishedRun], progress: Progress, now: datetime
) -> tuple[TargetStatus, ...]:
    """Return how fresh each target of the spec is, by the newest report that tells of it.

    A data timestamp is the database's; one that lies in the future by this clock is shown as now, since kubectl
    prints no age for it.
    """
    before = {target.name: target for target in schedule.status.targets}
    told = dict(before)
    for run in runs:
        for reported in run.report.targets if run.report else ():
            timestamp = min(reported.data_timestamp, now).replace(microsecond=0) if reported.data_timestamp else None
            told[reported.name] = TargetStatus(name=reported.name, data_timestamp=timestamp, rows=reported.rows)
    try:
        allowed = stale_after(schedule.spec, since=progress.schedule_since)
    except (InvalidScheduleError, UnknownTimeZoneError):
        allowed = None  # nothing runs until the schedule is corrected, and what was promised of the data stands
    targets = []
    for spec in schedule.spec.rewrite:
        target = told.get(spec.name, TargetStatus(name=spec.name))
        span = target_stale_after(spec, allowed) or _promised(before.get(spec.name))
        if target.data_timestamp and span:
            target = target.model_copy(update={"stale_time": target.data_timestamp + span})
        targets.append(target)
    return tuple(targets)


def _promised(target: TargetStatus | None) -> timedelta | None:
    """Return how old a target's data may become by the written status."""
    if target is None or target.stale_time is None or target.data_timestamp is None:
        return None
    return target.stale_time - target.data_timestamp


def _conditions(
    schedule: Schedule,
    decision: Decision,
    verdicts: tuple[Verdict, Cadence | None],
    doing: Said,
    runs: Sequence[FinishedRun],
    now: datetime,
) -> tuple[Condition, ...]:
    """Return the conditions in their order; lastTransitionTime moves only when the status changes."""
    fresh, cadence = verdicts
    said: dict[str, Said] = {
        "Fresh": (_truth(fresh.fresh), fresh.reason, fresh.message),
        PROGRESSING: doing,
    }
    generations: dict[str, int] = {}
    if not (schedule.deleting and _find(schedule.status, "Accepted")):  # nobody looks any more whether it is valid
        said["Accepted"] = _accepted(decision)
    if cadence:
        said["CadenceAtRisk"] = (_truth(cadence.at_risk), cadence.reason, cadence.message)
    for run in runs:
        if run.succeeded or run.failed:
            last = run.last_run
            said["Succeeded"] = (_truth(run.succeeded), last.reason or "JobFailed", last.message or "")
            # The spec may have been edited while it ran.
            generations["Succeeded"] = min(run.job.generation or schedule.generation, schedule.generation)
    conditions = []
    for kind in _ORDER:
        before = _find(schedule.status, kind)
        if kind not in said:
            conditions += [before] if before else []
            continue
        status, reason, message = said[kind]
        changed = before is None or before.status != status
        conditions.append(
            Condition(
                type=kind,
                status=status,
                observed_generation=generations.get(kind, schedule.generation),
                last_transition_time=now.replace(microsecond=0)
                if changed or not before
                else before.last_transition_time,
                reason=reason,
                message=message,
            )
        )
    return tuple(conditions)


def _accepted(decision: Decision) -> Said:
    if decision.refusal:
        return "False", decision.refusal.reason, decision.refusal.message
    return "True", "Valid", "The spec is valid."


def _truth(value: bool) -> ConditionStatus:
    return "True" if value else "False"


def _find(status: TrendingScheduleStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)
