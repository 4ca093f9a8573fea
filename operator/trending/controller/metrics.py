"""What Prometheus is told, at /metrics on a port of its own; docs/metrics.md lists all of it."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from trending.controller.schedule_metrics import ScheduleMetrics
from trending.controller.scraping import serving_metrics
from trending.controller.store import Key, Store
from trending.controller.tallies import Tallies

_LATENCIES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REMEMBERED_WRITES: Final = 5_000

_T = TypeVar("_T")


class Metrics:
    """All metrics of a controller."""

    def __init__(self, store: Store, *, decides: Callable[[], bool]) -> None:
        """Export what `store` holds while `decides` says that this controller is the one that decides: with each
        replica telling the same, every schedule would be counted twice."""
        self.tallies = Tallies()
        self._schedules = ScheduleMetrics(store, self.tallies, decides)
        self._own = CollectorRegistry()
        self.registry = CollectorRegistry()
        """All of them, as the client library has it."""
        self.registry.register(self._own)
        self.registry.register(self._schedules)
        self._queue_depth: Callable[[], int] = lambda: 0
        ProcessCollector(registry=self._own)
        Gauge(
            "trending_controller_decides",
            "1 where this controller decides and exports schedules' metrics; 0 where it stands by.",
            registry=self._own,
        ).set_function(decides)
        Gauge(
            "trending_unreadable_schedules",
            "Schedules that this version cannot read, and starts nothing for; 0 where this controller stands by.",
            registry=self._own,
        ).set_function(lambda: store.unreadable if decides() else 0)
        Gauge(
            "trending_queue_depth",
            "Schedules that are to be looked at now and are not yet.",
            registry=self._own,
        ).set_function(lambda: self._queue_depth())
        self._wait = Histogram(
            "trending_queue_wait_seconds",
            "How long a schedule that was to be looked at waited until it was.",
            buckets=_LATENCIES,
            registry=self._own,
        )
        self._passes = Histogram(
            "trending_pass_duration_seconds",
            "How long one look at a schedule took, its API requests included.",
            ["outcome"],
            buckets=_LATENCIES,
            registry=self._own,
        )
        self._requests = Histogram(
            "trending_api_request_duration_seconds",
            "How long the API server took to answer; watches are not among these.",
            ["verb", "resource", "code"],
            buckets=_LATENCIES,
            registry=self._own,
        )
        self._listed = Gauge(
            "trending_listed_timestamp_seconds",
            "When all schedules and Jobs were last listed, as they are every 5 minutes.",
            registry=self._own,
        )
        self._watched = Counter(
            "trending_watch_events",
            "What watches delivered.",
            ["resource", "type"],
            registry=self._own,
        )
        self._watch_delay = Histogram(
            "trending_watch_delay_seconds",
            "From the answer to a write of our own until the watch delivered it: what kopf and the API server take.",
            ["resource"],
            buckets=_LATENCIES,
            registry=self._own,
        )
        self._written: OrderedDict[str, float] = OrderedDict()

    def observe_queue(self, depth: Callable[[], int]) -> None:
        """Ask `depth` for how many schedules are to be looked at and are not yet."""
        self._queue_depth = depth

    def timed(self, look_at: Callable[[Key], Awaitable[_T]]) -> Callable[[Key], Awaitable[_T]]:
        """Return a pass that does the same and is counted."""

        async def timed(key: Key) -> _T:
            began, outcome = time.monotonic(), "failed"
            try:
                result = await look_at(key)
                outcome = "ended"
                return result
            finally:
                self._passes.labels(outcome).observe(time.monotonic() - began)

        return timed

    def observe_request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Count a request to the API server."""
        self._requests.labels(verb, resource, code).observe(seconds)

    def observe_listing(self) -> None:
        """Note that everything has just been listed."""
        self._listed.set_to_current_time()

    def observe_wait(self, seconds: float) -> None:
        """Count a schedule that waited so long until it was looked at."""
        self._wait.observe(seconds)

    def observe_write(self, version: str) -> None:
        """Note that the API server has just answered a write, which gave an object this resource version."""
        self._written[version] = time.monotonic()
        if len(self._written) > _REMEMBERED_WRITES:
            self._written.popitem(last=False)

    def observe_watch(self, resource: str, kind: str | None, version: str = "") -> None:
        """Count an event of a watch; those of the list before a watch have no kind."""
        self._watched.labels(resource, kind or "LISTED").inc()
        written = self._written.pop(version, None)
        if written is not None and kind is not None:
            self._watch_delay.labels(resource).observe(time.monotonic() - written)

    def text(self) -> Iterator[str]:
        """Yield all of them in Prometheus' text format, piece by piece."""
        yield generate_latest(self._own).decode()
        yield from self._schedules.text()

    def served(self, port: int) -> AbstractContextManager[int]:
        """Serve them while the context lasts; it gives the port. Raises PortError where it is taken."""
        return serving_metrics(self.text, port=port)
