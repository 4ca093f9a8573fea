"""How old data may become, and whether they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trending.api.duration import format_duration
from trending.api.instant import format_instant
from trending.api.spec import Target, TrendingScheduleSpec
from trending.api.status import TargetStatus
from trending.schedule.gaps import gaps

_GAPS: Final = 2
"""One missed run is no reason to wake anybody; two are."""


def stale_after(spec: TrendingScheduleSpec, *, since: datetime) -> timedelta:
    """Return spec.staleAfter, else twice the longest gap between slots; targets may have another (see below).

    Raises InvalidScheduleError and UnknownTimeZoneError where the schedule cannot be read.
    """
    if spec.stale_after is not None:
        return spec.stale_after
    return _GAPS * gaps(spec.schedule, spec.time_zone, since).longest


def target_stale_after(target: Target, schedules: timedelta | None) -> timedelta | None:
    """Return how old a target's data may become: its own staleAfter, else the schedule's plus its `every`.

    None where it has none of its own and `schedules`, the schedule's, is not known.
    """
    if target.stale_after is not None:
        return target.stale_after
    return None if schedules is None else schedules + (target.every or timedelta(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a schedule's data are fresh, in the words of condition Fresh."""

    fresh: bool
    reason: str
    message: str
    stale_time: datetime | None = None
    """When the target that goes stale first does; None where a target has no data, which is stale already."""


def judge(targets: Sequence[TargetStatus], *, ever_succeeded: bool, now: datetime) -> Verdict:
    """Judge freshness by the clock: whatever the runs did, data are stale from their stale time on."""
    empty = [target.name for target in targets if target.data_timestamp is None or target.stale_time is None]
    if empty and not ever_succeeded:
        message = f"No run has succeeded yet, and target {empty[0]} has no data."
        return Verdict(fresh=False, reason="NeverSucceeded", message=message)
    if empty:
        return Verdict(fresh=False, reason="TargetWithoutData", message=f"Target {empty[0]} has never had data.")
    first = first_to_go_stale(targets)
    if first is None or first.stale_time is None or first.data_timestamp is None:
        return Verdict(fresh=False, reason="NeverSucceeded", message="There are no targets.")
    timestamp = format_instant(first.data_timestamp)
    if now >= first.stale_time:
        allowed = format_duration(first.stale_time - first.data_timestamp)
        message = (
            f"The data of target {first.name} are of {timestamp} and became stale at "
            f"{format_instant(first.stale_time)}, {allowed} later."
        )
        return Verdict(fresh=False, reason="TooOld", message=message, stale_time=first.stale_time)
    message = (
        f"The data are of {timestamp} or newer; target {first.name} goes stale first, "
        f"at {format_instant(first.stale_time)}."
    )
    return Verdict(fresh=True, reason="UpToDate", message=message, stale_time=first.stale_time)


def first_to_go_stale(targets: Sequence[TargetStatus]) -> TargetStatus | None:
    """Return the target whose data become too old first, of those that have data."""
    dated = [target for target in targets if target.stale_time is not None]
    return min(dated, key=lambda target: (target.stale_time, target.name), default=None)
