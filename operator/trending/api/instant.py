"""Instants as Kubernetes writes them: RFC 3339 in UTC, whole seconds, `Z`."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, PlainSerializer, WithJsonSchema


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 time with a zone or offset; the result is in UTC.

    Raises ValueError, whose text says what to write, where the text is no time or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write it as 2026-11-23T18:00:00Z") from None
    return _in_utc(moment)


def format_instant(moment: datetime) -> str:
    """Write an instant in UTC to the second it lies in: `2026-11-23T18:00:00Z`."""
    return _rfc3339(moment, "seconds")


def format_precise(moment: datetime) -> str:
    """Write an instant in UTC to the microsecond, as PostgreSQL keeps it: `2026-11-23T18:00:00.123456Z`."""
    return _rfc3339(moment, "microseconds")


def _rfc3339(moment: datetime, precision: Literal["seconds", "microseconds"]) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no zone: write it as {moment.isoformat()}Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is not within the years 1 to 9999 of UTC") from None


_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "date-time"})

Instant = Annotated[
    datetime, AfterValidator(_in_utc), PlainSerializer(format_instant, return_type=str, when_used="json"), _SCHEMA
]
"""A field that holds an instant to the second."""

PreciseInstant = Annotated[
    datetime, AfterValidator(_in_utc), PlainSerializer(format_precise, return_type=str, when_used="json"), _SCHEMA
]
"""A field that holds an instant to the microsecond."""
