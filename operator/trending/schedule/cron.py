"""Cron expressions, read exactly as Kubernetes reads them: robfig/cron v3, `ParseStandard` (parser.go).

An expression becomes five bit sets, as there. What robfig accepts is accepted (`?`, `+5`, `1,,2`, `*/100`), what it
rejects is rejected (a sixth field, day of week 7), in our own words.
"""

import re
from dataclasses import dataclass
from typing import Final

STAR: Final = 1 << 63
"""Set in a field that is `*` or `?`: day of month and day of week are then both required instead of either."""


class InvalidScheduleError(ValueError):
    """An expression that cannot be read or never fires; the text says what is wrong and what to write."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A five-field expression: a bit for each value that matches."""

    minute: int
    hour: int
    day_of_month: int
    month: int
    day_of_week: int


@dataclass(frozen=True, slots=True)
class Every:
    """`@every D`: slots D seconds apart."""

    seconds: int


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    """Names of the values from `least` on."""

    def number(self, text: str) -> int:
        """Read a number or a name; a sign + and leading zeros are as good to robfig (strconv.Atoi) as none."""
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.least
        return _integer(text, self.name)


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_SPACE: Final = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""What Go's strings.Fields takes for space; Python's own split() takes four control characters too."""
_LARGEST_INTEGER: Final = 2**63 - 1

_EVERY: Final = "@every "
_GO_DURATION: Final = re.compile(r"\+?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+")
_GO_PART: Final = re.compile(r"([0-9]*)\.?([0-9]*)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1000,
    "\u00b5s": 1000,
    "\u03bcs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
"""Go writes micro with either of the two letters."""
_LEAST_EVERY: Final = 60
_MOST_EVERY: Final = 100 * 366 * 86_400


def parse_schedule(expression: str) -> Cron | Every:
    """Read an expression.

    Raises InvalidScheduleError, whose text names the field and says what to write instead.
    """
    if "TZ=" in expression:
        raise InvalidScheduleError(
            f"{expression!r}: the time zone does not belong into the schedule; write it in spec.timeZone"
        )
    if expression.startswith(_EVERY):
        return _every(expression)
    if expression.startswith("@"):
        if expression not in _DESCRIPTORS:
            raise InvalidScheduleError(
                f"{expression!r}: the words are {', '.join(_DESCRIPTORS)} and @every with a duration, in lower case"
            )
        expression = _DESCRIPTORS[expression]
    parts = [part for part in _SPACE.split(expression) if part]
    if len(parts) != len(_FIELDS):
        raise InvalidScheduleError(
            f"{expression!r} has {len(parts)} fields; write five: minute, hour, day of month, month, day of week"
        )
    return Cron(*(_bits(part, field) for part, field in zip(parts, _FIELDS, strict=True)))


def _every(expression: str) -> Every:
    text = expression.removeprefix(_EVERY)
    if not _GO_DURATION.fullmatch(text):
        raise InvalidScheduleError(f"{expression!r}: @every takes a positive duration, such as @every 90m")
    seconds = sum(_nanoseconds(*part) for part in _GO_PART.findall(text)) // 10**9
    if seconds < _LEAST_EVERY:
        raise InvalidScheduleError(
            f"{expression!r}: @every takes a minute or more, since a run's Job is named by the minute of its slot"
        )
    if seconds > _MOST_EVERY:
        raise InvalidScheduleError(f"{expression!r}: @every takes a hundred years at most")
    return Every(seconds)


def _nanoseconds(whole: str, fraction: str, unit: str) -> int:
    """Count a part of a duration as Go's time.ParseDuration does, which counts the fraction in floating point."""
    count, kept = _NANOSECONDS[unit], 0
    while kept < len(fraction) and int(fraction[:kept] or "0") <= _LARGEST_INTEGER // 10:
        kept += 1
    return int(whole or "0") * count + int(float(fraction[:kept] or "0") * (float(count) / 10.0**kept))


def _bits(text: str, field: _Field) -> int:
    bits = 0
    for part in text.split(","):
        if part:
            bits |= _range_bits(part, field)
    return bits


def _range_bits(text: str, field: _Field) -> int:
    """Read `a`, `a-b`, `a-b/step`, `a/step` or `*`; after getRange of robfig's parser.go."""
    span, *steps = text.split("/")
    low, *highs = span.split("-")
    star = low in ("*", "?")
    if len(steps) > 1 or (len(highs) > 1 and not star):
        raise InvalidScheduleError(f"{field.name} {text!r}: write it as a-b/step, with one minus and one slash at most")
    if star:
        first, last = field.least, field.most
    else:
        first = field.number(low)
        last = field.number(highs[0]) if highs else first
    step = _integer(steps[0], field.name) if steps else 1
    if steps and not highs:
        last = field.most  # a/step means a-max/step
    if first < field.least or last > field.most:
        raise InvalidScheduleError(f"{field.name} {text!r}: values go from {field.least} to {field.most}")
    if first > last:
        raise InvalidScheduleError(
            f"{field.name} {text!r}: the range ends before it begins; write two ranges with a comma"
        )
    if step == 0:
        raise InvalidScheduleError(f"{field.name} {text!r}: a step is 1 or more")
    bits = sum(1 << value for value in range(first, last + 1, step))
    return bits | STAR if star and step == 1 else bits


def _integer(text: str, field: str) -> int:
    if not re.fullmatch(r"\+?[0-9]+", text) or int(text) > _LARGEST_INTEGER:
        raise InvalidScheduleError(f"{field} {text!r}: write numbers, ranges such as 1-5, steps such as */15, or names")
    return int(text)
