"""Slots that passed without a run are told, once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trending.api.instant import format_instant
from trending.schedule.decided import Event, Progress
from trending.schedule.due import Due, Timetable
from trending.schedule.observed import Schedule

MANY_MISSED: Final = 100
"""As CronJob: beyond it a warning asks whether the clock or the deadline is right; where there is a deadline, only
slots within it are counted."""


def tell_missed(
    schedule: Schedule, timetable: Timetable, progress: Progress, due: Due, now: datetime
) -> tuple[Progress, int, tuple[Event, ...]]:
    """Return the progress with the newest missed slot, how many slots are newly missed, and the events that say so.

    Where the schedule was suspended or invalid until now, slots that will not be run do not count.
    """
    if _was_idle(schedule):
        since = progress.schedule_since
        if due.late:
            since = (now - timetable.offset).replace(microsecond=0)
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
    if due.missed > MANY_MISSED and timetable.startable(now, most=MANY_MISSED + 1) > MANY_MISSED:
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
