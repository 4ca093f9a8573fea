"""Slots: the instants at which a schedule fires.

All arithmetic is in seconds since the epoch; local time is looked at, never compared (Python's == between ambiguous
local times is False). The search is robfig/cron v3's `SpecSchedule.Next` (spec.go) step by step, with Go's rules for
local times that a change of daylight saving skips or repeats, so that a slot is the one that a CronJob of the same
schedule would have.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from trending.schedule.cron import STAR, Cron, Every, InvalidScheduleError, parse_schedule
from trending.schedule.zone import load_zone

_MINUTE: Final = 60
_MINUTES: Final = (1 << 60) - 1
"""The bits of a field's minutes, without the star."""
_HOUR: Final = 3600
_DAY: Final = 86_400
_ONE_DAY: Final = timedelta(days=1)
_SEARCHED_YEARS: Final = 5
"""Beyond this robfig gives up: an expression that does not fire in five years never does, but for 29 February of 2096
to 2104."""
_LAST_YEAR: Final = 9000
"""What lies beyond has no slots: a datetime ends with the year 9999, and who writes such a year means nothing by it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = _EPOCH.toordinal()


class Slots(Protocol):
    """The slots of a schedule, in order; instants are in UTC and in whole seconds."""

    def next(self, after: datetime) -> datetime | None:
        """Return the first slot later than an instant; None where there is none within five years."""

    def latest(self, until: datetime, *, after: datetime) -> datetime | None:
        """Return the newest slot in (after, until]; None where there is none."""


def slots_of(expression: str, zone: str, *, base: datetime) -> "EverySlots | CronSlots":
    """Return the slots of an expression in a zone. `base` is what `@every` counts from: the last start, else creation.

    Raises InvalidScheduleError (an expression that never fires too) and UnknownTimeZoneError.
    """
    schedule = parse_schedule(expression)
    local = load_zone(zone)
    if isinstance(schedule, Every):
        return EverySlots(base=base, seconds=schedule.seconds)
    slots = CronSlots(schedule, local)
    if slots.next(base) is None:
        raise InvalidScheduleError(f"{expression!r} never fires: no such day comes within five years")
    return slots


@dataclass(frozen=True, slots=True)
class EverySlots:
    """Slots at base + n * seconds, n >= 1."""

    base: datetime
    seconds: int

    def next(self, after: datetime) -> datetime | None:
        """Return the first slot later than an instant."""
        if max(after, self.base).year > _LAST_YEAR:
            return None
        count = max(0, (after - self.base) // timedelta(seconds=self.seconds))
        return self.base + timedelta(seconds=(count + 1) * self.seconds)

    def latest(self, until: datetime, *, after: datetime) -> datetime | None:
        """Return the newest slot in (after, until]; None where there is none."""
        count = (until - self.base) // timedelta(seconds=self.seconds)
        slot = self.base + timedelta(seconds=count * self.seconds)
        return slot if count >= 1 and slot > after else None


class CronSlots:
    """The slots of a five-field expression in a zone."""

    def __init__(self, cron: Cron, zone: ZoneInfo) -> None:
        self._cron = cron
        self._zone = zone

    def next(self, after: datetime) -> datetime | None:
        """Return the first slot later than an instant; None where there is none within five years."""
        if after.year > _LAST_YEAR:
            return None
        second = self._next(int(after.timestamp() // 1))
        return None if second is None else _EPOCH + timedelta(seconds=second)

    def latest(self, until: datetime, *, after: datetime) -> datetime | None:
        """Return the newest slot in (after, until]; None where there is none.

        Found by stepping back from `until` in growing steps and halving what is left: some dozen steps however uneven
        the expression and however long ago `after` is.
        """
        end = int(until.timestamp() // 1)
        start = int(after.timestamp() // 1)
        back = _MINUTE
        found = self._within(max(start, end - back), end)
        while found is None and end - back > start:
            back *= 2
            found = self._within(max(start, end - back), end)
        if found is None:
            return None
        high = end
        while high > found:
            middle = (found + high) // 2
            later = self._within(middle, high)
            if later is None:
                high = middle
            else:
                found = later
        # Slots that robfig tells only when asked before a change of daylight saving are not found by halving.
        while (following := self._within(found, end)) is not None:
            found = following
        return _EPOCH + timedelta(seconds=found) if found > after.timestamp() else None

    def rest_of_day(self, slot: datetime) -> Sequence[int]:
        """Return the slots from this one on until its local day ends or its clock changes, as seconds of that day.

        They are the slots that `next` finds from each to the next one: while neither day nor offset changes, these are
        all times of the day whose hour and minute match.
        """
        local = slot.astimezone(self._zone)
        now, offset = local.hour * _HOUR + local.minute * _MINUTE, local.utcoffset()
        times = _times_of_day(self._cron.hour, self._cron.minute)
        first = bisect_left(times, now)
        if times[first : first + 1] != (now,) or not _date_matches(self._cron, local):
            # A change of daylight saving has robfig tell a slot that does not match: what follows is not known here.
            return (now,)

        def changed(time: int) -> bool:
            return (slot + timedelta(seconds=time - now)).astimezone(self._zone).utcoffset() != offset

        # Halving finds the one change there may be: since 1970 no zone has had two in six days.
        return times[first : bisect_left(times, True, first, key=changed)]

    def _within(self, after: int, until: int) -> int | None:
        slot = self._next(after)
        return slot if slot is not None and slot <= until else None

    def _next(self, after: int) -> int | None:
        """Return the first slot after a second, as robfig tells it.

        Where an overlap makes robfig tell a slot that is not later (45 minutes past the hour, in Chatham), it is asked
        again from the next full hour on.
        """
        asked = after
        while (slot := self._searched(asked)) is not None and slot <= after:
            asked += _HOUR - (asked + 1) % _HOUR
        return slot

    def _searched(self, after: int) -> int | None:
        """Search as robfig's SpecSchedule.Next does, whose WRAP is this loop."""
        search = _Search(self._zone, after + 1)
        limit = search.local.year + _SEARCHED_YEARS
        while search.local.year <= limit:
            if (
                search.to_month(self._cron.month)
                and search.to_day(self._cron)
                and search.to_hour(self._cron.hour)
                and search.to_minute(self._cron.minute)
                and search.to_whole_minute()
            ):
                return search.second
        return None


class _Search:
    """A second on its way to the next slot. Each step answers False where it wrapped and the search has to begin
    again."""

    def __init__(self, zone: ZoneInfo, second: int) -> None:
        self._zone = zone
        self._moved = False
        self._go(second)

    def _go(self, second: int) -> None:
        self.second = second
        self.local = datetime.fromtimestamp(second, self._zone)

    def _go_to(self, *, months: int = 0, days: int = 0, day: int | None = None, hour: int | None = None) -> None:
        """Go some months or days on, or to a day or hour of this month, as Go's time.Date and AddDate do.

        A day past the month's end runs over into the next month; in a gap or an overlap the offset is that of one of
        its sides.
        """
        at = self.local
        year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
        first = (date(year, month + 1, 1).toordinal() - _FIRST_DAY) * _DAY
        naive = first + ((at.day if day is None else day) - 1 + days) * _DAY
        naive += (at.hour * _HOUR + at.minute * _MINUTE) if hour is None else hour * _HOUR
        offset = self._offset(naive)
        if offset:
            offset = self._offset(naive - offset)
        self._go(naive - offset)

    def _offset(self, second: int) -> int:
        offset = datetime.fromtimestamp(second, self._zone).utcoffset()
        return offset.days * _DAY + offset.seconds if offset is not None else 0

    def to_month(self, months: int) -> bool:
        while not months >> self.local.month & 1:
            self._begin(day=1, hour=0)
            self._go_to(months=1)
            if self.local.month == 1:
                return False
        return True

    def to_day(self, cron: Cron) -> bool:
        while not _day_matches(cron, self.local):
            self._begin(hour=0)
            before = self.second
            self._go_to(days=_days_ahead(cron, self.local) if self.local.hour == 0 else 1)
            if self.local.hour:  # daylight saving changes at midnight, so that there is none or it is there twice
                hours = 24 - self.local.hour if self.local.hour > 12 else -self.local.hour
                self._go(self.second + hours * _HOUR)
            if self.second <= before:  # a whole day is left out (Apia in December 2011): robfig searches for ever here
                self._go(before)
                self._go_to(days=2)
            if self.local.day == 1:
                return False
        return True

    def to_hour(self, hours: int) -> bool:
        while not hours >> self.local.hour & 1:
            self._begin(hour=self.local.hour)
            self._go(self.second + _HOUR)
            if self.local.hour == 0:
                return False
        return True

    def _begin(self, *, hour: int, day: int | None = None) -> None:
        """Before the first step, go to the beginning of the month, day or hour."""
        if not self._moved:
            self._moved = True
            self._go_to(day=day, hour=hour)

    def to_minute(self, minutes: int) -> bool:
        """Leap to the next minute that matches; go minute by minute where daylight saving changes on the way."""
        while not minutes >> self.local.minute & 1:
            self._moved = True
            origin, offset = self.second - self.local.second, self.local.utcoffset()
            ahead = (minutes & _MINUTES) >> self.local.minute
            leap = (ahead & -ahead).bit_length() - 1 if ahead else _MINUTE - self.local.minute
            self._go(origin + leap * _MINUTE)
            if self.local.utcoffset() != offset:
                self._go(origin + _MINUTE)
            if not self.local.minute:
                return False
        return True

    def to_whole_minute(self) -> bool:
        if not self.local.second:
            return True
        self._moved = True
        self._go(self.second - self.local.second + _MINUTE)
        return False


def _days_ahead(cron: Cron, local: datetime) -> int:
    """Count the days to the next one of this month that matches, or to the first of the next."""
    day = date(local.year, local.month, local.day) + _ONE_DAY
    count = 1
    while day.day > 1 and not _day_matches(cron, day):
        day += _ONE_DAY
        count += 1
    return count


@lru_cache
def _times_of_day(hours: int, minutes: int) -> tuple[int, ...]:
    """Return the times of a day whose hour and minute match, in seconds."""
    return tuple(
        hour * _HOUR + minute * _MINUTE
        for hour in range(24)
        if hours >> hour & 1
        for minute in range(60)
        if minutes >> minute & 1
    )


def _date_matches(cron: Cron, local: date) -> bool:
    return bool(cron.month >> local.month & 1) and _day_matches(cron, local)


def _day_matches(cron: Cron, local: date) -> bool:
    of_month = bool(cron.day_of_month >> local.day & 1)
    of_week = bool(cron.day_of_week >> local.isoweekday() % 7 & 1)
    if (cron.day_of_month | cron.day_of_week) & STAR:
        return of_month and of_week
    return of_month or of_week


def upcoming(slots: Slots, after: datetime) -> Iterator[datetime]:
    """Yield the slots later than an instant, in order."""
    slot = slots.next(after)
    while slot is not None:
        yield slot
        slot = slots.next(slot)
