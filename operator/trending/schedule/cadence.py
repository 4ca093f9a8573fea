"""Whether runs take nearly as long as the time between them: the failure that is seen before any data are stale."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from trending.api.duration import format_duration
from trending.api.spec import TrendingScheduleSpec
from trending.schedule.gaps import gaps

REMEMBERED: Final = 5
"""How many runs' durations count, and so are kept in the status: history limits may leave fewer Jobs than that."""
_PERCENT: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Cadence:
    """Whether a schedule keeps its cadence, in the words of condition CadenceAtRisk."""

    at_risk: bool
    reason: str
    message: str


def judge_cadence(seconds: Sequence[int], spec: TrendingScheduleSpec, *, since: datetime) -> Cadence | None:
    """Compare the median of the last runs' durations with the shortest gap between slots; None before any run.

    Of fewer than five runs those that there are count: the first run of an hourly schedule that takes an hour is told
    at once. Raises InvalidScheduleError and UnknownTimeZoneError where the schedule cannot be read.
    """
    recent = list(seconds)[-REMEMBERED:]
    if not recent:
        return None
    interval, typical = gaps(spec.schedule, spec.time_zone, since).shortest, median(recent)
    runs = "The last run" if len(recent) == 1 else f"The median of the last {len(recent)} runs"
    took, apart = format_duration(timedelta(seconds=typical)), format_duration(interval)
    if typical * 100 > interval.total_seconds() * _PERCENT:
        message = (
            f"{runs} took {took}, over {_PERCENT} % of the {apart} between slots: "
            "data will go stale where runs grow longer still. status.lastRun.steps tells what takes how long; "
            "make that quicker, or the schedule slower."
        )
        return Cadence(at_risk=True, reason="NearInterval", message=message)
    message = f"{runs} took {took}, of the {apart} between slots."
    return Cadence(at_risk=False, reason="WithinInterval", message=message)
