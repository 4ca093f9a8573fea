"""The decision: a schedule, its Jobs and the time -> what to do now, and why.

One pure function decides; the controller carries out and `trending explain` prints. The contract is CronJob's wherever
a field is shared (kubernetes/pkg/controller/cronjob), and says more where that is silent: slots before an edit or
during a suspension are not caught up, a run by hand goes first.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from trending.api.duration import format_duration
from trending.api.names import MAX_NAME_LENGTH
from trending.api.status import ObservedSchedule
from trending.schedule.cron import InvalidScheduleError
from trending.schedule.decided import Decision, Event, Progress, Refusal
from trending.schedule.due import Timetable, look, timetable_of
from trending.schedule.gaps import gaps
from trending.schedule.history import surplus, unrecorded
from trending.schedule.job_names import manual_job_name
from trending.schedule.missed import tell_missed
from trending.schedule.observed import Job, Schedule
from trending.schedule.slots import Slots, slots_of
from trending.schedule.starting import Moment, decide_request, decide_slot
from trending.schedule.zone import UnknownTimeZoneError

__all__ = ["Decision", "Event", "Progress", "Refusal", "decide", "is_caught_up", "is_told"]


def decide(schedule: Schedule, jobs: Sequence[Job], now: datetime, *, refusal: Refusal | None = None) -> Decision:
    """Decide what to do with a schedule at an instant (UTC).

    `jobs` are those that carry the operator's labels for this schedule, of whatever owner. `refusal` is why others than
    this function do not accept the schedule, such as an unknown preset. Raises nothing: an invalid schedule is a
    decision too.
    """
    owned = [job for job in jobs if job.owner == schedule.uid]
    progress = _progress(schedule, owned, now)
    deletes = tuple(
        surplus(
            owned,
            succeeded_limit=schedule.spec.successful_jobs_history_limit,
            failed_limit=schedule.spec.failed_jobs_history_limit,
            status=schedule.status,
        )
    )
    if schedule.deleting:
        return Decision(action="none", because="The schedule is being deleted.", progress=progress, deletes=deletes)
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
    return _too_spread(schedule, progress) or refusal or slots


def _too_spread(schedule: Schedule, progress: Progress) -> Refusal | None:
    spec = schedule.spec
    if not spec.spread:
        return None
    shortest = gaps(spec.schedule, spec.time_zone, progress.schedule_since).shortest
    if spec.spread < shortest:
        return None
    message = (
        f"spec.spread: {format_duration(spec.spread)} would have a slot start when the next one is due, which comes "
        f"{format_duration(shortest)} after it at times: write less than {format_duration(shortest)}"
    )
    return Refusal(reason="InvalidSchedule", message=message)


def _refused(refusal: Refusal, schedule: Schedule, progress: Progress, deletes: tuple[str, ...]) -> Decision:
    event = Event(type="Warning", reason=refusal.reason, message=refusal.message, key=str(schedule.generation))
    return Decision(
        action="none",
        reason=refusal.reason,
        because="The schedule is not accepted, and starts nothing until it is corrected.",
        progress=progress,
        deletes=deletes,
        events=(event,),
        refusal=refusal,
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
    missed = 0
    events: tuple[Event, ...] = ()
    if not schedule.spec.suspend:
        progress, missed, events = tell_missed(schedule, timetable, progress, due, now)
    moment = Moment(
        schedule=schedule,
        timetable=timetable,
        progress=progress,
        due=due,
        active=tuple(job for job in owned if not job.finished),
        not_before=_not_before(schedule, owned),
        now=now,
    )
    request = schedule.requested_at
    if request is not None and request != progress.last_handled_request:
        decision = decide_request(moment, request)
    elif schedule.spec.suspend:
        return Decision(action="none", because="The schedule is suspended.", progress=progress)
    else:
        decision = decide_slot(moment)
    return replace(decision, missed=missed, events=(*events, *decision.events))


def _not_before(schedule: Schedule, owned: Sequence[Job]) -> datetime | None:
    """Return when minInterval lets a slot start again; None where it never keeps one from it.

    A Job that has just completed counts as a success until the written status tells how its run went.
    """
    if not schedule.spec.min_interval:
        return None
    complete = [job.ended for job in unrecorded(owned, schedule.status) if job.finished == "Complete"]
    last = max(filter(None, [*complete, schedule.status.last_successful_time]), default=None)
    return None if last is None else last + schedule.spec.min_interval


def is_caught_up(schedule: Schedule, decision: Decision) -> bool:
    """Tell whether the status already says from when slots count: it has to, before any slot is decided."""
    status = schedule.status
    return (
        status.schedule_since == decision.progress.schedule_since
        and status.observed_schedule == decision.progress.observed
    )


def is_told(schedule: Schedule, decision: Decision) -> bool:
    """Tell whether the status says how far scheduling has come, so that nothing is lost with the Jobs that tell it."""
    status, progress = schedule.status, decision.progress
    return is_caught_up(schedule, decision) and (
        status.last_schedule_time,
        status.last_missed_time,
        status.last_handled_request,
    ) == (progress.last_schedule_time, progress.last_missed_time, progress.last_handled_request)
