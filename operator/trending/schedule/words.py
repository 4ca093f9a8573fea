"""A schedule in words: `every hour at minute 0`, `Monday to Friday at 02:30`.

Words are made of what an expression was read as, not of its text, and only where they say all of it: an expression for
which there are no short words gets none.
"""

from datetime import timedelta
from itertools import pairwise
from typing import Final

from trending.api.duration import format_duration
from trending.schedule.cron import STAR, Cron, Every, InvalidScheduleError, parse_schedule

_MINUTES: Final = 60
_HOURS: Final = 24
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LONGEST_LIST: Final = 6
"""What has more parts than this is not read but skipped."""
_LEAST_RANGE: Final = 3


def in_words(expression: str) -> str | None:
    """Return when an expression fires, in words; None where it cannot be read or there are no short words for it."""
    try:
        schedule = parse_schedule(expression)
    except InvalidScheduleError:
        return None
    if isinstance(schedule, Every):
        return f"every {_span(schedule.seconds)}"
    time = _time(_values(schedule.minute), _values(schedule.hour))
    days = _days(schedule)
    if time is None or days is None:
        return None
    if time.startswith("at "):
        every_day = not days or days.startswith(("from ", "in "))  # months alone
        return " ".join(filter(None, ["every day" if every_day else "", days, time]))
    return ", ".join(filter(None, [time, days]))


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return unit if seconds == size else f"{seconds // size} {unit}s"
    return format_duration(timedelta(seconds=seconds))


def _time(minutes: list[int], hours: list[int]) -> str | None:
    """Say at what times of a day; what begins with `at` is a few instants, else it is something that repeats."""
    if len(minutes) * len(hours) <= _LONGEST_LIST:
        return "at " + _listed([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes])
    within = _within(hours)
    repeated = _every(minutes, _MINUTES, "minute")
    if repeated and within is not None:
        return repeated + within
    if len(minutes) > _LONGEST_LIST:
        return None
    at = f"at minute{'s' if len(minutes) > 1 else ''} {_listed(list(map(str, minutes)))}"
    if len(hours) == _HOURS:
        return f"every hour {at}"
    steps = _every(hours, _HOURS, "hour")
    if steps:
        return f"{steps}, {at}"
    if _is_range(hours):
        return f"every hour from {hours[0]:02} to {hours[-1]:02}, {at}"
    return None


def _every(values: list[int], size: int, unit: str) -> str | None:
    """Say `every 15 minutes` where the values are the multiples of a number that divides the whole."""
    if len(values) == size:
        return f"every {unit}"
    step = values[1] if len(values) > 1 else 0
    if step and size % step == 0 and values == list(range(0, size, step)):
        return f"every {step} {unit}s"
    return None


def _within(hours: list[int]) -> str | None:
    """Say in which hours something repeats: nothing where in all of them; None where there are no short words."""
    if len(hours) == _HOURS:
        return ""
    return f" from {hours[0]:02}:00 to {hours[-1]:02}:59" if _is_range(hours) else None


def _days(schedule: Cron) -> str | None:
    """Say on which days: nothing where on all of them; None where there are no short words.

    Where neither day of month nor day of week is `*`, either will do; else both are required.
    """
    days = _day_of_month(_values(schedule.day_of_month))
    weekdays = _day_of_week(_values(schedule.day_of_week))
    months = _months(_values(schedule.month))
    if days is None or weekdays is None or months is None:
        return None
    either = not (schedule.day_of_month & STAR or schedule.day_of_week & STAR)
    if either:
        # One that names every day makes the other mean nothing.
        which = f"{days} or {weekdays}" if days and weekdays else ""
    elif days and weekdays:
        which = f"{days} where that is {weekdays}"
    else:
        which = days or weekdays
    return " ".join(filter(None, [which, months]))


def _day_of_month(days: list[int]) -> str | None:
    if len(days) == 31:
        return ""
    if len(days) >= _LEAST_RANGE and _is_range(days):
        return f"on days {days[0]} to {days[-1]} of the month"
    if len(days) > _LONGEST_LIST:
        return None
    return f"on day{'s' if len(days) > 1 else ''} {_listed(list(map(str, days)))} of the month"


def _day_of_week(days: list[int]) -> str | None:
    days = sorted((day - 1) % len(_DAYS) for day in days)  # cron's 0 is Sunday
    if len(days) == len(_DAYS):
        return ""
    if len(days) >= _LEAST_RANGE and _is_range(days):
        return f"{_DAYS[days[0]]} to {_DAYS[days[-1]]}"
    return f"on {_listed([_DAYS[day] for day in days])}"


def _months(months: list[int]) -> str | None:
    if len(months) == len(_MONTHS):
        return ""
    if len(months) >= _LEAST_RANGE and _is_range(months):
        return f"from {_MONTHS[months[0] - 1]} to {_MONTHS[months[-1] - 1]}"
    return None if len(months) > _LONGEST_LIST else f"in {_listed([_MONTHS[month - 1] for month in months])}"


def _values(bits: int) -> list[int]:
    return [value for value in range(_MINUTES) if bits >> value & 1]


def _is_range(values: list[int]) -> bool:
    return all(later == earlier + 1 for earlier, later in pairwise(values))


def _listed(words: list[str]) -> str:
    """Write `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
