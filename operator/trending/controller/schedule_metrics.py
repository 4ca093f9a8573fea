"""The metrics of each schedule.

How fresh its targets are and when it runs next is read from the status that the store holds, at the moment in which it
is asked: nothing is kept that could outlive its schedule.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from trending.controller.store import Store
from trending.controller.tallies import ACTIONS, Tallies, Tally
from trending.schedule.observed import Schedule

_SCHEDULE: Final = ("namespace", "schedule")
_TARGET: Final = (*_SCHEDULE, "target")

Labelled = tuple[Schedule, list[str], Tally]
"""A schedule, the values of its labels, and what was counted of it."""
Family = Callable[[list[Labelled]], Metric]


class ScheduleMetrics(Collector):
    """The metrics of each schedule."""

    def __init__(self, store: Store, tallies: Tallies, decides: Callable[[], bool]) -> None:
        self._store = store
        self._tallies = tallies
        self._decides = decides

    def collect(self) -> Iterator[Metric]:
        """Yield each family with the samples of all schedules, in the order of their names."""
        schedules = self._store.schedules() if self._decides() else []
        schedules.sort(key=lambda schedule: (schedule.namespace, schedule.name))
        labelled = [(each, [each.namespace, each.name], self._tallies.peek(each)) for each in schedules]
        for family in (*_GAUGES, *_COUNTS):
            yield family(labelled)

    def describe(self) -> Iterator[Metric]:
        """Yield the families without a sample."""
        for family in (*_GAUGES, *_COUNTS):
            yield family([])


def _data_timestamp(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily(
        "trending_data_timestamp_seconds",
        "The instant that a target's data tell of; 0 where it never had data.",
        labels=_TARGET,
    )
    for schedule, labels, _ in schedules:
        told = {target.name: target for target in schedule.status.targets}
        for spec in schedule.spec.rewrite:
            target = told.get(spec.name)
            family.add_metric([*labels, spec.name], _epoch(target.data_timestamp if target else None))
    return family


def _stale_time(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily(
        "trending_stale_time_seconds",
        "From when on a target's data are stale: time() > this tells that they are. "
        "0 where it never had data, which is stale too.",
        labels=_TARGET,
    )
    for schedule, labels, _ in schedules:
        told = {target.name: target for target in schedule.status.targets}
        for spec in schedule.spec.rewrite:
            target = told.get(spec.name)
            family.add_metric([*labels, spec.name], _epoch(target.stale_time if target else None))
    return family


def _next_schedule_time(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily(
        "trending_next_schedule_time_seconds",
        "When the next slot may start; absent while the schedule is suspended or not accepted.",
        labels=_SCHEDULE,
    )
    for schedule, labels, _ in schedules:
        if schedule.status.next_schedule_time and not schedule.spec.suspend:
            family.add_metric(labels, _epoch(schedule.status.next_schedule_time))
    return family


def _suspended(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily("trending_suspended", "1 while the schedule is suspended, else 0.", labels=_SCHEDULE)
    for schedule, labels, _ in schedules:
        family.add_metric(labels, int(schedule.spec.suspend))
    return family


def _active_runs(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily("trending_active_runs", "Runs that have not finished.", labels=_SCHEDULE)
    for schedule, labels, _ in schedules:
        family.add_metric(labels, schedule.status.active_count or 0)
    return family


def _consecutive_failures(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily(
        "trending_consecutive_failures", "Runs that have failed since the last success.", labels=_SCHEDULE
    )
    for schedule, labels, _ in schedules:
        family.add_metric(labels, schedule.status.consecutive_failures or 0)
    return family


def _condition(schedules: list[Labelled]) -> Metric:
    family = GaugeMetricFamily(
        "trending_condition",
        "1 where a condition of the status is True, else 0; absent until it has been judged.",
        labels=(*_SCHEDULE, "condition"),
    )
    for schedule, labels, _ in schedules:
        for condition in schedule.status.conditions:
            family.add_metric([*labels, condition.type], int(condition.status == "True"))
    return family


def _runs(schedules: list[Labelled]) -> Metric:
    family = CounterMetricFamily("trending_runs", "Runs that have finished, by result.", labels=(*_SCHEDULE, "result"))
    for _, labels, tally in schedules:
        for result, count in tally.results.items():
            family.add_metric([*labels, result], count)
    return family


def _run_duration(schedules: list[Labelled]) -> Metric:
    family = HistogramMetricFamily(
        "trending_run_duration_seconds", "From the start of a run's Job to its end.", labels=_SCHEDULE
    )
    for _, labels, tally in schedules:
        family.add_metric(labels, tally.durations.buckets(), tally.durations.total)
    return family


def _rewritten_rows(schedules: list[Labelled]) -> Metric:
    family = CounterMetricFamily(
        "trending_rewritten_rows", "Rows that runs have written, by action.", labels=(*_TARGET, "action")
    )
    for schedule, labels, tally in schedules:
        for target in schedule.spec.rewrite:
            for action in ACTIONS:
                family.add_metric([*labels, target.name, action], tally.rows.get((target.name, action), 0))
    return family


def _wal_bytes(schedules: list[Labelled]) -> Metric:
    family = CounterMetricFamily(
        "trending_wal_bytes",
        "Write-ahead log that the server wrote during runs' steps, others' writes included.",
        labels=_SCHEDULE,
    )
    for _, labels, tally in schedules:
        family.add_metric(labels, tally.wal_bytes)
    return family


def _start_delay(schedules: list[Labelled]) -> Metric:
    family = HistogramMetricFamily(
        "trending_start_delay_seconds",
        "From a slot's time, spread included, to its Job; runs by hand are not among these.",
        labels=_SCHEDULE,
    )
    for _, labels, tally in schedules:
        family.add_metric(labels, tally.start_delays.buckets(), tally.start_delays.total)
    return family


def _missed(schedules: list[Labelled]) -> Metric:
    family = CounterMetricFamily("trending_missed", "Slots that passed without a run.", labels=_SCHEDULE)
    for _, labels, tally in schedules:
        family.add_metric(labels, tally.missed)
    return family


def _epoch(instant: datetime | None) -> float:
    return instant.timestamp() if instant else 0.0


_GAUGES: Final[tuple[Family, ...]] = (
    _data_timestamp,
    _stale_time,
    _next_schedule_time,
    _suspended,
    _active_runs,
    _consecutive_failures,
    _condition,
)
_COUNTS: Final[tuple[Family, ...]] = (
    _runs,
    _run_duration,
    _rewritten_rows,
    _wal_bytes,
    _start_delay,
    _missed,
)
