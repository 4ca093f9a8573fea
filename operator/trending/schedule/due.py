"""Which slot is due, and which were missed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trending.schedule.observed import Schedule
from trending.schedule.slots import Slots
from trending.schedule.spread import offset_of

_COUNTED: Final = 101
"""More missed slots than a hundred are not told apart, as in CronJob's controller."""
_SECOND: Final = timedelta(seconds=1)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Timetable:
    """The slots of a schedule that count: those later than an edit and than the last start, and immediate's own."""

    slots: Slots
    after: datetime
    first: datetime | None = None
    """The slot that `immediate` adds at creation, while nothing was started or edited since."""
    offset: timedelta = timedelta(0)
    """How much later than its instant a slot comes due."""
    deadline: timedelta | None = None
    """For how long after that it may start; None for as long as it is the newest."""

    def due_time(self, slot: datetime) -> datetime:
        """Return from when on a slot is due."""
        return slot + self.offset

    def next_due(self, now: datetime) -> datetime | None:
        """Return when a slot comes due next, later than now."""
        slot = self.following(now - self.offset)
        return None if slot is None else self.due_time(slot)

    def following(self, slot: datetime) -> datetime | None:
        """Return the first slot later than another that counts."""
        earliest = max(slot, self.after)
        if self.first and earliest < self.first:
            return self.first
        return self.slots.next(earliest)

    def latest(self, until: datetime, *, after: datetime) -> datetime | None:
        """Return the newest slot in (after, until] that counts."""
        earliest = max(after, self.after)
        newest = self.slots.latest(until, after=max(earliest, self.first) if self.first else earliest)
        if newest is None and self.first and earliest < self.first <= until:
            return self.first
        return newest

    def newest_due(self, now: datetime) -> datetime | None:
        """Return the newest slot that has come due by now."""
        return self.latest(now - self.offset, after=self.after)

    def expires(self, slot: datetime) -> datetime | None:
        """Return from when on a slot may no longer start; None where it always may."""
        return None if self.deadline is None else self.due_time(slot) + self.deadline

    def startable(self, now: datetime, *, most: int) -> int:
        """Count the slots that have come due and are within their deadline, up to `most`."""
        until = now - self.offset
        return self.count(after=self.after if self.deadline is None else until - self.deadline, until=until, most=most)

    def count(self, *, after: datetime, until: datetime, most: int) -> int:
        """Count the slots in (after, until] that count, up to `most`."""
        count, slot = 0, self.following(after)
        while slot is not None and slot <= until and count < most:
            count += 1
            slot = self.following(slot)
        return count

    def next_start(self, now: datetime, *, not_before: datetime | None) -> datetime | None:
        """Return when a slot may start next, where none may before `not_before` and nothing else stands in its way."""
        if not_before is None or not_before <= now:
            return self.next_due(now)
        slot = self.newest_due(not_before)
        expires = self.expires(slot) if slot else None
        if slot and (expires is None or not_before < expires):
            return not_before
        return self.next_due(not_before)


def timetable_of(schedule: Schedule, slots: Slots, *, since: datetime, last: datetime | None) -> Timetable:
    """Return the slots that count after an edit, or creation, at `since` and the newest start for the slot `last`."""
    spec = schedule.spec
    after = max(since, last) if last else since
    first = schedule.created if spec.immediate and after == schedule.created and last != after else None
    return Timetable(
        slots=slots,
        after=after - _SECOND if first else after,
        first=first,
        offset=offset_of(schedule.namespace, schedule.name, spec.spread),
        deadline=None if spec.starting_deadline_seconds is None else timedelta(seconds=spec.starting_deadline_seconds),
    )


def look(schedule: Schedule, timetable: Timetable, now: datetime) -> Due:
    """Find the newest slot that has come by `now`.

    A slot may start while now - slot < startingDeadlineSeconds; with spread, time counts from so much later. Older
    slots are passed over, which is one way to be missed; to be past the deadline is the other.
    """
    newest = timetable.newest_due(now)
    if newest is None:
        return Due()
    expires = timetable.expires(newest)
    late = expires is not None and now >= expires
    told = schedule.status.last_missed_time
    newest_missed, missed = _missed(timetable, after=told or timetable.after, newest=newest, newest_too=late)
    return Due(
        slot=None if late else newest,
        expires=None if late else expires,
        late=newest if late else None,
        newest_missed=newest_missed,
        missed=missed,
    )


def _missed(
    timetable: Timetable, *, after: datetime, newest: datetime, newest_too: bool
) -> tuple[datetime | None, int]:
    """Return the newest missed slot later than `after` and how many there are, the newest slot itself counting or
    not."""
    newest_missed = timetable.latest(newest if newest_too else newest - _SECOND, after=after)
    if newest_missed is None:
        return None, 0
    return newest_missed, max(timetable.count(after=after, until=newest_missed, most=_COUNTED), 1)
