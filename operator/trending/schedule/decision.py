"""The decision: a schedule, its Jobs and the time -> what to do now, and why.

One pure function decides; the controller carries out and `trending explain` prints. The contract is CronJob's
wherever a field is
shared (kubernetes/pkg/controller/cronjob), and says more where that is silent: slots before an edit or during a
suspension are not
caught up, a run by hand goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from trending.api.document import Trigger
from trending.api.instant import format_instant
from trending.api.names import MAX_NAME_LENGTH
from trending.api.status import ObservedSchedule
from trending.schedule.cron import InvalidScheduleError
from trending.schedule.due import Due, Timetable, look, timetable_of
from trending.schedule.history import surplus
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule
from trending.schedule.slots import Slots, slots_of
from trending.schedule.zone import UnknownTimeZoneError

Action = Literal["start", "wait", "skip", "none"]

MANY_MISSED = 100
"""As CronJob: beyond it a warning asks whether the clock or the deadline is right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An event to send, once."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    key: str
    """What it is about; the same reason and key are sent once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a schedule is not accepted."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far scheduling has come, as the status is to say it."""

    schedule_since: datetime
    observed: ObservedSchedule
    last_schedule_time: datetime | None
    last_missed_time: datetime | None
    last_handled_request: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to do with a schedule now."""

    action: Action
    progress: Progress
    """How far scheduling has come without the start."""
    started: Progress | None = None
    """How far it has come once the Job is there; None where none is started."""
    reason: str | None = None
    """The word of the event that says why nothing is started, or that something is."""
    job: str | None = None
    """The Job to start, or that would have been."""
    trigger: Trigger = "Schedule"
    scheduled_time: datetime | None = None
    """The slot that is started or held; for a run by hand the second it is started in."""
    next_schedule_time: datetime | None = None
    wake: datetime | None = None
    """When to decide again, though nothing else happens."""
    missed: int = 0
    """How many slots are newly missed, counted up to 101."""
    deletes: tuple[str, ...] = ()
    """Finished Jobs beyond the history limits."""
    events: tuple[Event, ...] = ()
    refusal: Refusal | None = None
    """Why the schedule is not accepted; None where it is."""


def decide(schedule: Schedule, jobs: Sequence[Job], now: datetime, *, refusal: Refusal | None = None) -> Decision:
    """Decide what to do with a schedule at an instant (UTC).

    `jobs` are those that carry the operator's labels for this schedule, of whatever owner. `refusal` is why others
    than this
    function do not accept the schedule, such as an unknown preset. Raises nothing: an invalid schedule is a decision
    too.
    """
    owned = [job for job in jobs if job.owner == schedule.uid]
    progress = _progress(schedule, owned, now)
    deletes = tuple(
        surplus(
            owned,
            succeeded_limit=schedule.spec.successful_jobs_history_limit,
            failed_limit=schedule.spec.failed_jobs_history_limit,
            last_run=schedule.status.last_run,
        )
    )
    if schedule.deleting:
        return Decision(action="none", progress=progress, deletes=deletes)
    slots = _valid_slots(schedule, progress, refusal)
    if isinstance(slots, Refusal):
        return _refused(slots, schedule, progress, deletes)
    progress = _adopt(schedule, owned, slots, progress)
    return replace(_start_or_hold(schedule, owned, slots, progress, now), deletes=deletes)


def _progress(schedule: Schedule, owned: Sequence[Job], now: datetime) -> Progress:
    """Take up where the written status left off, counting an edit from now."""
    status, spec = schedule.status, schedule.spec
    observed = ObservedSchedule(schedule=spec.schedule, time_zone=spec.time_zone)
    if status.schedule_since is None:
        since = schedule.created
    else:
        since = status.schedule_since if status.observed_schedule == observed else now.replace(microsecond=0)
    slots_run = [job.scheduled_time for job in owned if job.trigger == "Schedule" and job.scheduled_time]
    return Progress(
        schedule_since=since,
        observed=observed,
        last_schedule_time=max(filter(None, [status.last_schedule_time, *slots_run]), default=None),
        last_missed_time=status.last_missed_time,
        last_handled_request=status.last_handled_request,
    )


def _valid_slots(schedule: Schedule, progress: Progress, refusal: Refusal | None) -> Slots | Refusal:
    if len(schedule.name) > MAX_NAME_LENGTH:
        message = f"the name has {len(schedule.name)} characters and a run's Job adds to it: {MAX_NAME_LENGTH} at most"
        return Refusal(reason="NameTooLong", message=message)
    try:
        slots = slots_of(
            schedule.spec.schedule,
            schedule.spec.time_zone,
            base=progress.last_schedule_time or schedule.created,
        )
    except UnknownTimeZoneError as error:
        return Refusal(reason="UnknownTimeZone", message=str(error))
    except InvalidScheduleError as error:
        return Refusal(reason="InvalidSchedule", message=f"spec.schedule: {error}")
    return refusal or slots


def _refused(refusal: Refusal, schedule: Schedule, progress: Progress, deletes: tuple[str, ...]) -> Decision:
    event = Event(type="Warning", reason=refusal.reason, message=refusal.message, key=str(schedule.generation))
    return Decision(
        action="none", reason=refusal.reason, progress=progress, deletes=deletes, events=(event,), refusal=refusal
    )


def _adopt(schedule: Schedule, owned: Sequence[Job], slots: Slots, progress: Progress) -> Progress:
    """Count a request as handled whose Job exists, though the status does not tell: the controller died between the
    two."""
    request = schedule.requested_at
    if request is None or request == progress.last_handled_request:
        return progress
    name = manual_job_name(schedule.name, request)
    job = next((job for job in owned if job.name == name), None)
    if job is None:
        return progress
    due = look(schedule, _timetable(schedule, slots, progress), job.scheduled_time or job.created)
    served = None if schedule.spec.suspend else due.slot
    return replace(progress, last_handled_request=request, last_schedule_time=served or progress.last_schedule_time)


def _timetable(schedule: Schedule, slots: Slots, progress: Progress) -> Timetable:
    return timetable_of(schedule, slots, since=progress.schedule_since, last=progress.last_schedule_time)


def _start_or_hold(
    schedule: Schedule, owned: Sequence[Job], slots: Slots, progress: Progress, now: datetime
) -> Decision:
    timetable = _timetable(schedule, slots, progress)
    due = look(schedule, timetable, now)
    active = next((job for job in owned if not job.finished), None)
    missed = 0
    events: tuple[Event, ...] = ()
    if not schedule.spec.suspend:
        progress, missed, events = _miss(schedule, progress, due, now)
    request = schedule.requested_at
    if request is not None and request != progress.last_handled_request:
        decision = _request(schedule, request, timetable, progress, due, active, now)
        return replace(decision, missed=missed, events=(*events, *decision.events))
    if schedule.spec.suspend:
        return Decision(action="none", progress=progress)
    if due.slot is None:
        reason = "MissSchedule" if due.late else None
        following = timetable.next(now)
        return Decision(
            action="skip" if due.late else "wait",
            reason=reason,
            scheduled_time=due.late,
            progress=progress,
            next_schedule_time=following,
            wake=following,
            missed=missed,
            events=events,
        )
    job = slot_job_name(schedule.name, due.slot)
    if active:
        held = _already_active(active, f"slot {format_instant(due.slot)}", key=format_instant(due.slot))
        return Decision(
            action="skip",
            reason=held.reason,
            job=job,
            scheduled_time=due.slot,
            progress=progress,
            next_schedule_time=due.slot,
            wake=_first(timetable.next(now), due.expires),
            missed=missed,
            events=(*events, held),
        )
    following = timetable.next(due.slot)
    return Decision(
        action="start",
        reason="SuccessfulCreate",
        job=job,
        scheduled_time=due.slot,
        progress=progress,
        started=replace(progress, last_schedule_time=due.slot),
        next_schedule_time=following,
        wake=following,
        missed=missed,
        events=(*events, _created(job, schedule)),
    )


def _request(
    schedule: Schedule,
    request: str,
    timetable: Timetable,
    progress: Progress,
    due: Due,
    active: Job | None,
    now: datetime,
) -> Decision:
    """A run by hand: it goes first, and a slot due at the same time is served by it."""
    suspended = schedule.spec.suspend
    job = manual_job_name(schedule.name, request)
    second = now.replace(microsecond=0)
    if active:
        held = _already_active(active, f"the requested run {job}", key=request)
        following = None if suspended else due.slot or timetable.next(now)
        return Decision(
            action="skip",
            reason=held.reason,
            job=job,
            trigger="Manual",
            scheduled_time=second,
            progress=progress,
            next_schedule_time=following,
            wake=_first(timetable.next(now), due.expires),
            events=(held,),
        )
    served = None if suspended else due.slot
    following = None if suspended else timetable.next(now)
    return Decision(
        action="start",
        reason="SuccessfulCreate",
        job=job,
        trigger="Manual",
        scheduled_time=second,
        progress=progress,
        started=replace(
            progress, last_handled_request=request, last_schedule_time=served or progress.last_schedule_time
        ),
        next_schedule_time=following,
        wake=following,
        events=(_created(job, schedule),),
    )


def _miss(schedule: Schedule, progress: Progress, due: Due, now: datetime) -> tuple[Progress, int, tuple[Event, ...]]:
    """Tell slots that passed without a run, unless the schedule was suspended or invalid until now: then those that
    will not be run do not count."""
    if _was_idle(schedule):
        since = progress.schedule_since
        if due.late:
            since = now.replace(microsecond=0)
        elif due.slot and due.missed:
            since = due.slot - timedelta(seconds=1)
        return replace(progress, schedule_since=since), 0, ()
    newest = due.newest_missed
    if newest is None:
        return progress, 0, ()
    others = f", and {due.missed - 1} before it" if due.missed > 1 else ""
    events = [
        Event(
            type="Warning",
            reason="MissSchedule",
            message=f"Missed scheduled time to start a job: {format_instant(newest)}{others}",
            key=format_instant(newest),
        )
    ]
    if due.missed > MANY_MISSED:
        events.append(
            Event(
                type="Warning",
                reason="TooManyMissedTimes",
                message=f"too many missed start times: more than {MANY_MISSED}. "
                "Set or decrease .spec.startingDeadlineSeconds or check clock skew",
                key=format_instant(newest),
            )
        )
    return replace(progress, last_missed_time=newest), due.missed, tuple(events)


def _was_idle(schedule: Schedule) -> bool:
    """Tell whether the written status is one of a suspended or invalid schedule: such a one has no next slot."""
    status = schedule.status
    return status.observed_schedule is not None and status.next_schedule_time is None


def _already_active(active: Job, held: str, *, key: str) -> Event:
    message = f"Not starting {held}: Job {active.name} is active and concurrencyPolicy is Forbid"
    return Event(type="Normal", reason="JobAlreadyActive", message=message, key=key)


def _created(job: str, schedule: Schedule) -> Event:
    return Event(type="Normal", reason="SuccessfulCreate", message=f"Created job {job}", key=f"{schedule.uid}/{job}")


def _first(*instants: datetime | None) -> datetime | None:
    return min(filter(None, instants), default=None)


def is_caught_up(schedule: Schedule, decision: Decision) -> bool:
    """Tell whether the status already says from when slots count: it has to, before any slot is decided."""
    status = schedule.status
    return (
        status.schedule_since == decision.progress.schedule_since
        and status.observed_schedule == decision.progress.observed
    )
