"""How far apart the slots of a schedule are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from trending.schedule.slots import EverySlots, slots_of

_DAYS: Final = 8
_SLOTS: Final = 32


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


@lru_cache(maxsize=4096)
def _gaps(expression: str, zone: str, since: datetime) -> Gaps:
    slots = slots_of(expression, zone, base=since)
    if isinstance(slots, EverySlots):
        return Gaps(*[timedelta(seconds=slots.seconds)] * 2)
    found: list[timedelta] = []
    slot = slots.next(since)
    while slot is not None:
        following = slots.next(slot)
        if following is None or (len(found) >= _SLOTS - 1 and following > since + timedelta(days=_DAYS)):
            break
        found.append(following - slot)
        slot = following
    return Gaps(min(found), max(found)) if found else Gaps(*[timedelta(days=365 * 4)] * 2)
