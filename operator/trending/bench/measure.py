"""One measured run: `trending run`'s own code on one target, with its time, CPU time and write-ahead log."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from trending.api.spec import Strategy, TrendingScheduleSpec
from trending.api.status import Step, StepAction
from trending.bench.machine import cpu_seconds
from trending.bench.yard import SLICE, Kind, Yard
from trending.runner.access import Access
from trending.runner.ledger import RunIdentity
from trending.runner.run import Order, perform
from trending.runner.stop import Stop
from trending.runner.wal import wal_bytes

Connection = psycopg.Connection[Any]

SETTINGS: Final = {
    "work_mem": "256MB",
    "jit": "off",
    # A parallel worker's CPU time is not its leader's: with none, the leader's is all there is.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
"""The database settings of a measured run, as in spec.database.settings."""
_LONGEST: Final = timedelta(hours=6)
_BACKENDS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"


class BenchError(Exception):
    """Nothing can be measured; a sentence."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run took, source query included, and what it left to be vacuumed."""

    kind: Kind
    strategy: Strategy
    share: float
    """Of the slice's rows that were to change; about, since they are chosen by hash."""
    round: int
    """From 1."""
    nth: int
    """How many runs this table has seen, this one included."""
    wall: float
    """Seconds."""
    cpu: float | None
    """Seconds, user and system, of the run's backends; None where the server is not on this machine."""
    wal: int
    """Bytes that the server wrote meanwhile."""
    changed: int
    """Rows inserted, updated and deleted."""
    ran: str
    """The strategy that did it: Auto's choice, or what one fell back to."""
    note: str | None
    vacuum_wall: float
    vacuum_cpu: float | None
    vacuum_wal: int


class Gauge:
    """Listens to a run and reads the meters when its rewriting begins and ends."""

    def __init__(self, observer: Connection, application: str, *, sees_cpu: bool) -> None:
        """`application` is the application_name of the run's connections; `observer` is not one of them."""
        self._observer = observer
        self._application = application
        self._sees_cpu = sees_cpu
        self._wall, self._cpu, self._wal = 0.0, 0.0, 0
        self.wall: float = 0
        self.cpu: float | None = None
        self.wal: int = 0
        self.step: Step | None = None

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        """Hear it."""

    def says(self, text: str) -> None:
        """Hear it."""

    def starts(self, action: StepAction, name: str) -> None:  # noqa: ARG002 (the protocol's)
        """Read the meters before."""
        self._cpu = self._cpu_seconds()
        self._wal = wal_bytes(self._observer)
        self._wall = time.perf_counter()

    def ends(self, step: Step) -> None:
        """Read the meters after; the run's connections are still open."""
        self.wall = time.perf_counter() - self._wall
        self.wal = wal_bytes(self._observer) - self._wal
        self.cpu = round(self._cpu_seconds() - self._cpu, 3) if self._sees_cpu else None
        self.step = step

    def _cpu_seconds(self) -> float:
        pids = self._observer.execute(_BACKENDS, [self._application]).fetchall() if self._sees_cpu else []
        return sum(cpu_seconds(pid) or 0.0 for (pid,) in pids)


class Bench:
    """Measures runs on the tables of a yard."""

    def __init__(
        self, access: Access, yard: Yard, observer: Connection, *, sees_cpu: bool, settings: Mapping[str, str]
    ) -> None:
        """`observer` is a connection in autocommit mode that makes tables, vacuums and reads meters; `settings` go on
        top of SETTINGS."""
        self._access = access
        self._yard = yard
        self._observer = observer
        self._sees_cpu = sees_cpu
        self._settings = {**SETTINGS, **settings}
        self._runs: dict[tuple[Kind, Strategy], int] = {}
        self.schedule = yard.schema.replace("_", "-")
        """What the ledger knows these runs by."""

    def build(self, kind: Kind, strategy: Strategy) -> None:
        """Make the table of this kind and strategy anew."""
        self._yard.build(kind, strategy)
        self._runs[kind, strategy] = 0

    def measure(self, kind: Kind, strategy: Strategy, *, share: float, round_: int) -> Measured:
        """Do a run and the VACUUM after it. Raises BenchError where it fails, KeyboardInterrupt when stopped."""
        self._checkpoint()
        gauge = self.gauge()
        step = self.run(kind, strategy, gauge)
        begun, cpu, wal = time.perf_counter(), self._own_cpu(), wal_bytes(self._observer)
        self._yard.vacuum(kind, strategy)
        after = self._own_cpu()
        return Measured(
            kind=kind,
            strategy=strategy,
            share=share,
            round=round_,
            nth=self._runs[kind, strategy],
            wall=round(gauge.wall, 3),
            cpu=gauge.cpu,
            wal=gauge.wal,
            changed=sum(rows or 0 for rows in (step.rows_inserted, step.rows_updated, step.rows_deleted)),
            ran=step.strategy or "",
            note=step.note,
            vacuum_wall=round(time.perf_counter() - begun, 3),
            vacuum_cpu=None if cpu is None or after is None else round(after - cpu, 3),
            vacuum_wal=wal_bytes(self._observer) - wal,
        )

    def gauge(self) -> Gauge:
        """Return what listens to a run of this bench and reads the meters."""
        return Gauge(self._observer, f"trending/{self.schedule}", sees_cpu=self._sees_cpu)

    def run(self, kind: Kind, strategy: Strategy, gauge: Gauge) -> Step:
        """Do a run alone. Raises as `measure` does."""
        stop = Stop(datetime.now(UTC) + _LONGEST)
        order = Order(run=self._identity(), spec=self._spec(kind, strategy), access=self._access)
        with stop.watching(signal.SIGINT, signal.SIGTERM):
            outcome = perform(order, stop=stop, progress=gauge)
        if stop.error is not None:
            raise KeyboardInterrupt(str(stop.error))
        if outcome.exit_code or gauge.step is None:
            raise BenchError(f"a run with {strategy} on the {kind} table failed: {outcome.report.message}")
        self._runs[kind, strategy] += 1
        return gauge.step

    def _identity(self) -> RunIdentity:
        return RunIdentity(
            run_id=f"bench/{uuid.uuid4()}",
            namespace=None,
            schedule=self.schedule,
            job=None,
            trigger="Manual",
            scheduled_time=None,
        )

    def _spec(self, kind: Kind, strategy: Strategy) -> TrendingScheduleSpec:
        target = {
            "name": "bench",
            "table": self._yard.table(kind, strategy),
            "slice": SLICE,
            "query": self._yard.query,
            "strategy": strategy,
        }
        database = {
            "secretKeyRef": {"name": "bench", "key": "uri"},
            "settings": self._settings,
            "maintenance": "Never",  # measured apart
        }
        return TrendingScheduleSpec.model_validate({"schedule": "@hourly", "database": database, "rewrite": [target]})

    def _checkpoint(self) -> None:
        """Have each run write the full-page images that a run after a checkpoint writes: hourly ones always do.

        Where the role may not, chance decides, as it does in production.
        """
        try:
            self._observer.execute("CHECKPOINT")
        except psycopg.errors.InsufficientPrivilege:
            return

    def _own_cpu(self) -> float | None:
        return cpu_seconds(self._observer.info.backend_pid) if self._sees_cpu else None
