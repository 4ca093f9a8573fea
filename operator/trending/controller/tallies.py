"""What this process has counted of each schedule's runs: the metrics that no status holds.

A run is counted when the status tells of it, and so once, by the one controller whose write was taken. A controller
that starts anew counts from zero, as Prometheus expects of a counter, and does not count again what the status tells.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Final, get_args

from trending.api.status import Result, Step
from trending.controller.runs import FinishedRun
from trending.controller.store import Key
from trending.schedule.observed import Schedule

START_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0)
"""Bounds in seconds: a second is good, a minute is what a slow controller takes, more is a run that Forbid held."""
DURATIONS: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""Bounds in seconds: by default a run has an hour."""
RESULTS: Final[tuple[str, ...]] = get_args(Result)
ACTIONS: Final = ("inserted", "updated", "deleted")


class Distribution:
    """A histogram's counts in a small space, since each schedule has its own."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return each bound, the last being +Inf, with how many values were at most that."""
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))


@dataclass(slots=True)
class Tally:
    """What has been counted of one schedule."""

    uid: str
    results: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    durations: Distribution = field(default_factory=lambda: Distribution(DURATIONS))
    """From the start of a run's Job to its end, in seconds."""
    start_delays: Distribution = field(default_factory=lambda: Distribution(START_DELAYS))
    """From a slot's time to its Job, in seconds."""
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """By target and action."""
    wal_bytes: int = 0
    missed: int = 0
    missed_time: datetime | None = None
    """When slots were last found to have been missed."""


_NOTHING: Final = Tally(uid="")


class Tallies:
    """The tallies of all schedules."""

    def __init__(self) -> None:
        self._tallies: dict[Key, Tally] = {}

    def of(self, schedule: Schedule) -> Tally:
        """Return a schedule's tally; one that was made anew under an old name begins with an empty one."""
        key = Key(schedule.namespace, schedule.name)
        tally = self._tallies.get(key)
        if tally is None or tally.uid != schedule.uid:
            tally = self._tallies[key] = Tally(uid=schedule.uid)
        return tally

    def peek(self, schedule: Schedule) -> Tally:
        """Return the same to be read; where nothing was counted, one that is shared."""
        tally = self._tallies.get(Key(schedule.namespace, schedule.name))
        return tally if tally is not None and tally.uid == schedule.uid else _NOTHING

    def forget(self, key: Key) -> None:
        """Forget a schedule that is gone."""
        self._tallies.pop(key, None)

    def keep(self, keys: Iterable[Key]) -> None:
        """Forget all schedules but these."""
        for key in self._tallies.keys() - set(keys):
            self.forget(key)

    def count_start(self, schedule: Schedule, delay: float) -> None:
        """Count the start of a slot, so many seconds after its time."""
        self.of(schedule).start_delays.observe(max(0.0, delay))

    def count_missed(self, schedule: Schedule, slots: int, *, now: datetime) -> None:
        """Count slots that were missed, which was found now."""
        if slots:
            tally = self.of(schedule)
            tally.missed += slots
            tally.missed_time = now

    def count_runs(self, schedule: Schedule, runs: Iterable[FinishedRun]) -> None:
        """Count runs that have finished."""
        for run in runs:
            _count(self.of(schedule), run)


def _count(tally: Tally, run: FinishedRun) -> None:
    last = run.last_run
    tally.results[last.result] += 1
    if last.start_time and last.completion_time:
        tally.durations.observe((last.completion_time - last.start_time).total_seconds())
    for step in last.steps:
        tally.wal_bytes += step.wal_bytes or 0
        if step.action == "Rewrite":
            for action, rows in zip(ACTIONS, _rows(step), strict=True):
                tally.rows[step.name, action] = tally.rows.get((step.name, action), 0) + (rows or 0)


def _rows(step: Step) -> tuple[int | None, ...]:
    return step.rows_inserted, step.rows_updated, step.rows_deleted
