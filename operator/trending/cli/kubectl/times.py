"""Times as people read them: ages as kubectl writes them, instants in the zone of who looks."""

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final

from trending.api.instant import parse_instant

_INSTANT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b")
_WITHIN_A_WEEK: Final = 7
_STEPS: Final = (
    (120, "s", ""),
    (600, "m", "s"),
    (10_800, "m", ""),
    (28_800, "h", "m"),
    (172_800, "h", ""),
    (691_200, "d", "h"),
    (63_072_000, "d", ""),
    (252_288_000, "y", "d"),
)
"""Below how many seconds which units are written; after HumanDuration of k8s.io/apimachinery/pkg/util/duration."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 31_536_000}


def human_age(span: timedelta) -> str:
    """Write a span as kubectl does, such as `45s`, `5m10s`, `12m`, `3h5m`, `26h`, `3d4h`; nothing below zero."""
    seconds = max(0, int(span.total_seconds()))
    large, small = next(((large, small) for below, large, small in _STEPS if seconds < below), ("y", ""))
    text = f"{seconds // _SECONDS[large]}{large}"
    rest = seconds % _SECONDS[large] // _SECONDS[small] if small else 0
    return f"{text}{rest}{small}" if rest else text


def local_time(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Write an instant for who reads it `now` in a zone, the machine's own by default: `20:00`, `tomorrow 08:00`."""
    there, here = moment.astimezone(zone), now.astimezone(zone)
    days = (there.date() - here.date()).days
    near = {-1: "yesterday ", 0: "", 1: "tomorrow "}
    if days in near:
        return f"{near[days]}{there:%H:%M}"
    if 0 < days < _WITHIN_A_WEEK:
        return f"{there:%A %H:%M}"
    return f"{there:%-d %B %H:%M}" if there.year == here.year else f"{there:%-d %B %Y %H:%M}"


def localized(text: str, now: datetime, zone: tzinfo | None = None) -> str:
    """Write each RFC 3339 time of a sentence as `local_time` does."""
    return _INSTANT.sub(lambda match: local_time(parse_instant(match[0]), now, zone), text)
