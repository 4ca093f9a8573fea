"""Whether the slot that is due, or the run that is asked for, starts now; and if not, what stands in its way."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trending.api.duration import format_duration
from trending.api.instant import format_instant
from trending.schedule.decided import Action, Decision, Event, Progress
from trending.schedule.due import Due, Timetable
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule

REPLACE: Final = "Replace"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A schedule that is valid, with all that bears on whether it starts a run now."""

    schedule: Schedule
    timetable: Timetable
    progress: Progress
    due: Due
    active: tuple[Job, ...]
    """Its Jobs that have not finished."""
    not_before: datetime | None
    """Before this no slot starts: minInterval after the last successful run. A run by hand does."""
    now: datetime

    @property
    def blocker(self) -> Job | None:
        """The active Job that has to end first; None where none is active or Replace does away with it."""
        return self.active[0] if self.active and self.schedule.spec.concurrency_policy != REPLACE else None

    @property
    def start(self) -> Action:
        """How a run starts now."""
        return "replace" if self.active else "start"

    def next_start(self) -> datetime | None:
        """When a slot may start next, as far as can be known now."""
        return self.timetable.next_start(self.now, not_before=self.not_before)

    def next_start_of(self, slot: datetime) -> datetime | None:
        """Return the same where an active run holds a slot: its own time, unless minInterval holds it too."""
        if self.not_before and self.now < self.not_before:
            return self.next_start()
        return self.timetable.due_time(slot)


def decide_slot(at: Moment) -> Decision:
    """Start the newest slot that is due, or say what holds it."""
    slot, expires = at.due.slot, at.due.expires
    if slot is None:
        return _nothing_due(at)
    blocker = at.blocker
    if blocker:
        held = _already_active(blocker, f"slot {format_instant(slot)}", key=format_instant(slot))
        return replace(
            _held(at, slot, wake=expires),
            reason=held.reason,
            because=f"{held.message}.",
            next_schedule_time=at.next_start_of(slot),
            events=(held,),
        )
    if at.not_before and at.now < at.not_before:
        return replace(_held(at, slot, wake=_first(expires, at.not_before)), because=_too_soon(at, slot))
    following = at.timetable.following(slot)
    next_due = at.timetable.due_time(following) if following else None
    job = slot_job_name(at.schedule.name, slot)
    return Decision(
        action=at.start,
        reason="SuccessfulCreate",
        because=_why_now(at, f"Slot {format_instant(slot)} is due"),
        job=job,
        scheduled_time=slot,
        due_time=at.timetable.due_time(slot),
        progress=at.progress,
        started=replace(at.progress, last_schedule_time=slot),
        next_schedule_time=next_due,
        wake=next_due,
        replaces=tuple(job.name for job in at.active),
        events=(created(job, at.schedule),),
    )


def decide_request(at: Moment, request: str) -> Decision:
    """Start a run by hand: it goes first, and a slot that is due at the same time is served by it."""
    suspended, due = at.schedule.spec.suspend, at.due
    job = manual_job_name(at.schedule.name, request)
    second = at.now.replace(microsecond=0)
    blocker = at.blocker
    if blocker:
        held = _already_active(blocker, f"the requested run {job}", key=request)
        slots = at.next_start_of(due.slot) if due.slot else at.next_start()
        return Decision(
            action="skip",
            reason=held.reason,
            because=f"{held.message}.",
            job=job,
            trigger="Manual",
            scheduled_time=second,
            due_time=second,
            progress=at.progress,
            next_schedule_time=None if suspended else slots,
            wake=_first(at.timetable.next_due(at.now), due.expires),
            events=(held,),
        )
    served = None if suspended else due.slot
    later = replace(at.timetable, after=served) if served else at.timetable
    return Decision(
        action=at.start,
        reason="SuccessfulCreate",
        because=_why_now(at, "A run by hand is requested"),
        job=job,
        trigger="Manual",
        scheduled_time=second,
        due_time=second,
        progress=at.progress,
        started=replace(
            at.progress, last_handled_request=request, last_schedule_time=served or at.progress.last_schedule_time
        ),
        next_schedule_time=None if suspended else later.next_start(at.now, not_before=at.not_before),
        wake=None if suspended else later.next_due(at.now),
        replaces=tuple(job.name for job in at.active),
        events=(created(job, at.schedule),),
    )


def leave_out(decision: Decision, taken_by: Job) -> Decision:
    """Return what becomes of a start whose name a Job of somebody else's has: its slot, or its request, is left out.

    A slot that the request would have served gets a run of its own.
    """
    progress, what = decision.started or decision.progress, "its slot"
    if decision.trigger == "Manual":
        progress = replace(progress, last_schedule_time=decision.progress.last_schedule_time)
        what = "the requested run"
    message = f"Job {taken_by.name} exists already and belongs to somebody else; {what} is left out"
    taken = Event(type="Warning", reason="UnexpectedJob", message=message, key=taken_by.uid)
    return replace(
        decision,
        action="skip",
        reason=taken.reason,
        because=f"{message}.",
        progress=progress,
        started=None,
        replaces=(),
        events=(*(event for event in decision.events if event.reason != "SuccessfulCreate"), taken),
    )


def _nothing_due(at: Moment) -> Decision:
    late = at.due.late
    if late:
        deadline = at.schedule.spec.starting_deadline_seconds
        because = f"Slot {format_instant(late)} could be started for {deadline} s (startingDeadlineSeconds) only."
    elif at.active:
        because = f"Job {at.active[0].name} is active, and no slot is due."
    elif at.progress.last_schedule_time and at.progress.last_schedule_time > at.now:
        ahead = format_instant(at.progress.last_schedule_time)
        because = (
            f"Slot {ahead} was started before its time, by a clock that was ahead: no slot up to it is started again."
        )
    else:
        because = "No slot is due."
    return Decision(
        action="skip" if late else "wait",
        reason="MissSchedule" if late else None,
        because=because,
        scheduled_time=late,
        due_time=at.timetable.due_time(late) if late else None,
        progress=at.progress,
        next_schedule_time=at.next_start(),
        wake=at.timetable.next_due(at.now),
    )


def _held(at: Moment, slot: datetime, *, wake: datetime | None) -> Decision:
    return Decision(
        action="skip",
        job=slot_job_name(at.schedule.name, slot),
        scheduled_time=slot,
        due_time=at.timetable.due_time(slot),
        progress=at.progress,
        next_schedule_time=at.next_start(),
        wake=_first(at.timetable.next_due(at.now), wake),
    )


def _too_soon(at: Moment, slot: datetime) -> str:
    interval = at.schedule.spec.min_interval
    until = format_instant(at.not_before) if at.not_before else "then"
    return (
        f"Slot {format_instant(slot)} is held until {until}: the last successful run ended "
        f"less than {format_duration(interval)} (minInterval) ago."
    )


def _why_now(at: Moment, cause: str) -> str:
    if not at.active:
        return f"{cause}, and nothing stands in its way."
    names = ", ".join(job.name for job in at.active)
    return f"{cause}, and concurrencyPolicy Replace has it end the active Job {names}."


def _already_active(active: Job, held: str, *, key: str) -> Event:
    message = f"Not starting {held}: Job {active.name} is active and concurrencyPolicy is Forbid"
    return Event(type="Normal", reason="JobAlreadyActive", message=message, key=key)


def created(job: str, schedule: Schedule) -> Event:
    """Return the event that a run's Job was created: the same, whoever tells it."""
    return Event(type="Normal", reason="SuccessfulCreate", message=f"Created job {job}", key=f"{schedule.uid}/{job}")


def _first(*instants: datetime | None) -> datetime | None:
    return min(filter(None, instants), default=None)
