"""The metrics of each schedule.

How fresh its targets are and when it runs next is read from the status that the store holds, at the moment in which it
is asked: nothing is kept that could outlive its schedule. Ten thousand schedules make half a million lines, so that
these are written as they go, not as the client library's objects.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trending.controller.store import Store
from trending.controller.tallies import ACTIONS, Distribution, Tallies, Tally
from trending.schedule.observed import Schedule

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
"""What is added to the family's name, labels besides namespace and schedule, value."""
Counted = tuple[Schedule, Tally]

_SCHEDULES: Final = 50
"""Of so many schedules the lines are yielded together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A metric: what it is called and means, and its samples of one schedule."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    samples: Callable[[Schedule, Tally], Iterable[Sample]]


class ScheduleMetrics(Collector):
    """The metrics of all schedules, in the order of their names."""

    def __init__(self, store: Store, tallies: Tallies, decides: Callable[[], bool]) -> None:
        self._store = store
        self._tallies = tallies
        self._decides = decides

    def collect(self) -> Iterator[Metric]:
        """Yield each family as the client library has it."""
        metrics = [(family, Metric(family.name, family.help, family.kind)) for family in FAMILIES]
        for schedule, tally in self._counted():
            here = {"namespace": schedule.namespace, "schedule": schedule.name}
            for family, metric in metrics:
                for suffix, labels, value in family.samples(schedule, tally):
                    metric.add_sample(f"{family.name}{suffix}", {**here, **dict(labels)}, value)
        yield from (metric for _, metric in metrics)

    def text(self) -> Iterator[str]:
        """Yield the same in Prometheus' text format, some thousand lines at a time.

        The store makes each schedule anew for this, so that all are gone through once, and their lines put together.
        """
        pages: list[list[str]] = [[] for _ in FAMILIES]
        for schedule, tally in self._counted():
            # No name of these needs an escape: the API server sees to that.
            here = f'namespace="{schedule.namespace}",schedule="{schedule.name}"'
            for family, page in zip(FAMILIES, pages, strict=True):
                lines = []
                for suffix, labels, value in family.samples(schedule, tally):
                    more = "".join([f',{key}="{text}"' for key, text in labels])
                    lines.append(f"{family.name}{suffix}{{{here}{more}}} {value}\n")
                page.append("".join(lines))
        for family, page in zip(FAMILIES, pages, strict=True):
            yield _head(family)
            for first in range(0, len(page), _SCHEDULES):
                yield "".join(page[first : first + _SCHEDULES])
            page.clear()

    def _counted(self) -> Iterator[Counted]:
        for schedule in self._store.schedules() if self._decides() else ():
            yield schedule, self._tallies.peek(schedule)


def _head(family: Family) -> str:
    name = f"{family.name}_total" if family.kind == "counter" else family.name
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


def _data_timestamps(schedule: Schedule, _: Tally) -> Iterator[Sample]:
    return _of_targets(schedule, {target.name: target.data_timestamp for target in schedule.status.targets})


def _stale_times(schedule: Schedule, _: Tally) -> Iterator[Sample]:
    return _of_targets(schedule, {target.name: target.stale_time for target in schedule.status.targets})


def _of_targets(schedule: Schedule, told: dict[str, datetime | None]) -> Iterator[Sample]:
    for target in schedule.spec.rewrite:
        instant = told.get(target.name)
        yield "", (("target", target.name),), instant.timestamp() if instant else 0.0


def _next_schedule_time(schedule: Schedule, _: Tally) -> Iterator[Sample]:
    instant = schedule.status.next_schedule_time
    if instant and not schedule.spec.suspend:
        yield "", (), instant.timestamp()


def _last_missed_time(schedule: Schedule, tally: Tally) -> Iterator[Sample]:
    """An alert asks what is new: when a slot's miss was found may be long after the slot, and is told by no status.
    What another controller has found since then, while it led, the status alone tells."""
    instant = max(filter(None, (tally.missed_time, schedule.status.last_missed_time)), default=None)
    yield "", (), instant.timestamp() if instant else 0.0


def _conditions(schedule: Schedule, _: Tally) -> Iterator[Sample]:
    for condition in schedule.status.conditions:
        yield "", (("condition", condition.type),), float(condition.status == "True")


def _runs(_: Schedule, tally: Tally) -> Iterator[Sample]:
    for result, count in tally.results.items():
        yield "_total", (("result", result),), count


def _rewritten_rows(schedule: Schedule, tally: Tally) -> Iterator[Sample]:
    for target in schedule.spec.rewrite:
        for action in ACTIONS:
            rows = tally.rows.get((target.name, action), 0)
            yield "_total", (("target", target.name), ("action", action)), rows


def _histogram(distribution: Distribution) -> Iterator[Sample]:
    buckets: Sequence[tuple[str, float]] = distribution.buckets()
    for bound, count in buckets:
        yield "_bucket", (("le", bound),), count
    yield "_count", (), buckets[-1][1]
    yield "_sum", (), distribution.total


FAMILIES: Final = (
    Family(
        name="trending_data_timestamp_seconds",
        kind="gauge",
        help="The instant that a target's data tell of; 0 where it never had data.",
        samples=_data_timestamps,
    ),
    Family(
        name="trending_stale_time_seconds",
        kind="gauge",
        help="From when on a target's data are stale: time() > this tells that they are. "
        "0 where it never had data, which is stale too.",
        samples=_stale_times,
    ),
    Family(
        name="trending_next_schedule_time_seconds",
        kind="gauge",
        help="When the next slot may start; absent while the schedule is suspended or not accepted.",
        samples=_next_schedule_time,
    ),
    Family(
        name="trending_suspended",
        kind="gauge",
        help="1 while the schedule is suspended, else 0.",
        samples=lambda schedule, _: [("", (), float(schedule.spec.suspend))],
    ),
    Family(
        name="trending_active_runs",
        kind="gauge",
        help="Runs that have not finished.",
        samples=lambda schedule, _: [("", (), schedule.status.active_count or 0)],
    ),
    Family(
        name="trending_consecutive_failures",
        kind="gauge",
        help="Runs that have failed since the last success.",
        samples=lambda schedule, _: [("", (), schedule.status.consecutive_failures or 0)],
    ),
    Family(
        name="trending_condition",
        kind="gauge",
        help="1 where a condition of the status is True, else 0; absent until it has been judged.",
        samples=_conditions,
    ),
    Family(
        name="trending_runs",
        kind="counter",
        help="Runs that have finished, by result.",
        samples=_runs,
    ),
    Family(
        name="trending_run_duration_seconds",
        kind="histogram",
        help="From the start of a run's Job to its end.",
        samples=lambda _, tally: _histogram(tally.durations),
    ),
    Family(
        name="trending_rewritten_rows",
        kind="counter",
        help="Rows that runs have written, by action.",
        samples=_rewritten_rows,
    ),
    Family(
        name="trending_wal_bytes",
        kind="counter",
        help="Write-ahead log that the server wrote during runs' steps, others' writes included.",
        samples=lambda _, tally: [("_total", (), tally.wal_bytes)],
    ),
    Family(
        name="trending_start_delay_seconds",
        kind="histogram",
        help="From a slot's time, spread included, to its Job; runs by hand are not among these.",
        samples=lambda _, tally: _histogram(tally.start_delays),
    ),
    Family(
        name="trending_missed",
        kind="counter",
        help="Slots that passed without a run.",
        samples=lambda _, tally: [("_total", (), tally.missed)],
    ),
    Family(
        name="trending_last_missed_time_seconds",
        kind="gauge",
        help="When this controller last found that slots had passed without a run, or the newest such slot that the "
        "status tells of, whichever is later. 0 where there never was one.",
        samples=_last_missed_time,
    ),
)
