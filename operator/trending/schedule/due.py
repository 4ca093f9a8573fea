"""Which slot is due, and which were missed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trending.schedule.observed import Schedule
from trending.schedule.slots import Slots

_COUNTED: Final = 101
"""More missed slots than a hundred are not told apart, as in CronJob's controller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """The newest slot that has passed, and those before it that were not run."""

    slot: datetime | None = None
    """The newest slot not yet started that still may start."""
    expires: datetime | None = None
    """From when on it may not."""
    late: datetime | None = None
    """The newest slot not yet started, where it may no longer start."""
    newest_missed: datetime | None = None
    """The newest slot that was newly missed."""
    missed: int = 0
    """How many were, counted up to 101."""


def look(schedule: Schedule, slots: Slots, since: datetime, last: datetime | None, now: datetime) -> Due:
    """Find the newest slot later than `since` and `last` (the newest one started) that has come by `now`.

    A slot may start while now - slot < startingDeadlineSeconds. Older slots are passed over, which is one way to be
    missed; to be
    past the deadline is the other.
    """
    earliest = max(since, last) if last else since
    newest = slots.latest(now, after=earliest)
    if newest is None:
        newest = _immediate(schedule, since, last, now)
        if newest is None:
            return Due()
    expires = None
    if schedule.spec.starting_deadline_seconds is not None:
        expires = newest + timedelta(seconds=schedule.spec.starting_deadline_seconds)
    late = expires is not None and now >= expires
    told = schedule.status.last_missed_time
    first_untold = max(earliest, told) if told else earliest
    newest_missed, missed = _missed(slots, after=first_untold, newest=newest, newest_too=late)
    return Due(
        slot=None if late else newest,
        expires=None if late else expires,
        late=newest if late else None,
        newest_missed=newest_missed,
        missed=missed,
    )


def _immediate(schedule: Schedule, since: datetime, last: datetime | None, now: datetime) -> datetime | None:
    """Return the slot that `immediate` adds at creation, while nothing has been started or edited since."""
    created = schedule.created
    untouched = since == created and (last is None or last < created)
    return created if schedule.spec.immediate and untouched and created <= now else None


def _missed(slots: Slots, *, after: datetime, newest: datetime, newest_too: bool) -> tuple[datetime | None, int]:
    """Return the newest missed slot later than `after` and how many there are, the newest slot itself counting or
    not."""
    passed_over = slots.latest(newest - timedelta(seconds=1), after=after)
    newest_missed = newest if newest_too and newest > after else passed_over
    if newest_missed is None:
        return None, 0
    count, slot = 0, slots.next(after)
    while slot is not None and slot <= newest_missed and count < _COUNTED:
        count += 1
        slot = slots.next(slot)
    return newest_missed, max(count, 1)
