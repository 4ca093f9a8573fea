"""Durations as Go and Kubernetes write them: `90s`, `2h`, `1h30m`."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from trending.api.model import Rule, rules

_SHAPE: Final = re.compile(r"(?:[0-9]{1,7}[hms])+")
_PART: Final = re.compile(r"([0-9]+)([hms])")
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}
_LONGEST: Final = 32
"""With seven digits a number this is some thousand years: an instant plus a duration stays within what a datetime
holds."""

POSITIVE: Final = Rule(
    cel="self.matches('^([0-9]{1,7}[hms])+$') && self.matches('[1-9]')",
    message="a duration is whole hours, minutes and seconds greater than zero, without a sign: write 90s, 30m, 2h or "
    "1h30m",
)

NOT_NEGATIVE: Final = Rule(
    cel="self.matches('^([0-9]{1,7}[hms])+$')",
    message="a duration is whole hours, minutes and seconds, without a sign: write 0s, 90s, 30m, 2h or 1h30m",
)


def parse_duration(text: str) -> timedelta:
    """Read `1h30m` as a positive span of whole seconds.

    Raises ValueError, whose text says what to write, for anything else: a sign, a fraction, another unit, zero.
    """
    span = _span(text, POSITIVE)
    if not span:
        raise ValueError(f"{text!r} is not a duration: {POSITIVE.message}")
    return span


def _span(text: str, rule: Rule) -> timedelta:
    if len(text) > _LONGEST or not _SHAPE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: {rule.message}")
    return timedelta(seconds=sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text)))


def format_duration(span: timedelta) -> str:
    """Write a span in whole seconds as Go would, without the zeros: `3m2s`, `2h`, `0s`."""
    seconds = max(0, round(span.total_seconds()))
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _from_json(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _from_json_or_zero(value: Any) -> Any:
    return _span(value, NOT_NEGATIVE) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_from_json),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(rules(POSITIVE, type="string", maxLength=_LONGEST)),
]
"""A field that holds a duration: text in the API, a timedelta in Python."""

DurationOrZero = Annotated[
    timedelta,
    BeforeValidator(_from_json_or_zero),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(rules(NOT_NEGATIVE, type="string", maxLength=_LONGEST)),
]
"""The same where none at all may be said too, as 0s."""
