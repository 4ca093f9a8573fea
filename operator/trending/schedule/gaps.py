"""How far apart the slots of a schedule are."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import sub
from typing import Final

from trending.schedule.slots import EverySlots, slots_of

_DAYS: Final = 8
_SLOTS: Final = 32
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Gaps:
    """The shortest and the longest time between two slots."""

    shortest: timedelta
    longest: timedelta


def gaps(expression: str, zone: str, since: datetime) -> Gaps:
    """Return the gaps among the slots of the 8 days from `since`, or among the next 32 slots where these reach further.

    Raises InvalidScheduleError and UnknownTimeZoneError where the schedule cannot be read.
    """
    # Slots are whole minutes, so that all schedules made in the same minute have the same ones.
    return _gaps(expression, zone, since.replace(second=0, microsecond=0))


@lru_cache(maxsize=16_384)  # ten thousand schedules, each made at a minute of its own
def _gaps(expression: str, zone: str, since: datetime) -> Gaps:
    """Go from day to day, not from slot to slot: an event loop waits for this, and there may be 1440 slots in a day."""
    slots = slots_of(expression, zone, base=since)
    if isinstance(slots, EverySlots):
        return Gaps(*[timedelta(seconds=slots.seconds)] * 2)
    until = since + timedelta(days=_DAYS)
    found: set[timedelta] = set()
    count, last, slot = 0, None, slots.next(since)
    while slot is not None and (count < _SLOTS or slot <= until):
        if last is not None:
            found.add(slot - last)
        times = slots.rest_of_day(slot)
        within = bisect_right(times, times[0] + (until - slot) // _SECOND)
        times = times[: max(within, _SLOTS - count)]
        found |= {timedelta(seconds=apart) for apart in set(map(sub, times[1:], times))}
        count += len(times)
        last = slot + timedelta(seconds=times[-1] - times[0])
        slot = slots.next(last)
    return Gaps(min(found), max(found)) if found else Gaps(*[timedelta(days=365 * 4)] * 2)
