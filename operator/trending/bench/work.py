"""A bench from beginning to end on somebody's database, which is afterwards as it was."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import psycopg
from psycopg.pq import TransactionStatus

from trending.bench.campaign import Campaign, Listener, carry_out
from trending.bench.ledger import forget, lent_ledger
from trending.bench.machine import Machine, look_around
from trending.bench.measure import SETTINGS, Bench, BenchError, Measured
from trending.bench.report import Findings
from trending.bench.threshold import store, thresholds
from trending.bench.yard import Kind, Size, Yard
from trending.runner.access import Access

Connection = psycopg.Connection[Any]
Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(kw_only=True)
class Bout:
    """What came of a bench; filled while it goes on, so that one that is stopped has its results too."""

    machine: Machine
    parameters: dict[str, Any]
    runs: list[Measured] = field(default_factory=list)
    thresholds: dict[Kind, float] = field(default_factory=dict)
    are_stored: bool = False
    ended: str | None = None
    """Why it failed or was interrupted; None where it was not."""
    note: str | None = None
    """What is missing from it nevertheless."""
    was_interrupted: bool = False

    @property
    def findings(self) -> Findings:
        """What the runs come to."""
        return Findings(self.runs)

    def to_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            **self.findings.to_json(self.machine, self.parameters),
            "mergeBelow": self.thresholds,
            "stored": self.are_stored,
            "ended": self.ended,
            "note": self.note,
        }


def work(
    campaign: Campaign,
    size: Size,
    *,
    access: Access,
    connect: Connect,
    settings: Mapping[str, str],
    storing: bool,
    listener: Listener,
) -> Bout:
    """Measure, and drop all that was made, also where it is stopped (Ctrl-C, SIGTERM).

    `connect` opens connections of the role of `access`, in autocommit mode. Where `storing`, the thresholds go to the
    ledger in the end, unless it failed. Raises psycopg.Error and MigrationError.
    """
    with connect() as connection:
        bout = Bout(
            machine=look_around(connection),
            parameters={
                "rows": size.rows,
                "slices": size.slices,
                "rounds": campaign.rounds,
                "settings": {**SETTINGS, **settings},
            },
        )
        yard = Yard(connection, size)
        if left := yard.left_over():
            listener.says(f"other benches' schemas, at work or left by killed ones: {', '.join(left)}")
        bench = Bench(access, yard, connection, sees_cpu=bout.machine.is_local, settings=settings)
        with _interruptible(), lent_ledger(connect, keep=storing, say=listener.says):
            try:
                if not carry_out(campaign, bench, yard, listener=_Noting(listener, bout.runs)):
                    bout.note = f"the {campaign.minutes:g} minutes were over before all was measured"
            except KeyboardInterrupt as interruption:
                bout.ended, bout.was_interrupted = str(interruption) or "it was interrupted", True
            except BenchError as error:
                bout.ended = str(error)
            finally:
                _let_go(connection)
                _clean_up(connect, yard, bench)
            bout.thresholds = thresholds(bout.findings)
            if storing and bout.ended is None:
                with connect() as fresh:
                    store(fresh, bout.thresholds, measured_by=_measured_by(bout))
                bout.are_stored = True
    return bout


def _let_go(connection: Connection) -> None:
    """Have the server end what it may be doing for a connection, so that nobody waits for its locks.

    An interruption can come when a statement was sent and not waited for yet. Nothing can be sent on such a connection
    any more, not even what ends it in an orderly way.
    """
    if connection.info.transaction_status == TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):  # the server has ended the statement meanwhile, or is gone
            connection.cancel_safe(timeout=2)
        connection.close()


def _clean_up(connect: Connect, yard: Yard, bench: Bench) -> None:
    """Drop the schema on a connection of its own: the other's last statement may have been cut off."""
    with connect() as fresh:
        yard.drop(fresh)
        forget(fresh, schedule=bench.schedule, schema=yard.schema)


def _measured_by(bout: Bout) -> str:
    server = bout.machine.server.split(" on ")[0]
    return f"trending bench, {bout.parameters['rows']} rows a slice, {server}, {bout.machine.cores} cores"


class _Noting:
    """Notes results and hands them on."""

    def __init__(self, listener: Listener, runs: list[Measured]) -> None:
        self._listener = listener
        self._runs = runs

    def says(self, text: str) -> None:
        self._listener.says(text)

    def measured(self, result: Measured) -> None:
        self._runs.append(result)
        self._listener.measured(result)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does, and both the same everywhere: psycopg then cancels what the server is doing."""

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt(f"the bench was stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
