"""Rewriting one target: one REPEATABLE READ transaction, begun again where another one was in its way."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.api.instant import format_precise
from trending.api.status import Step
from trending.runner import ledger, stage
from trending.runner.failure import LostLocksError, doing
from trending.runner.goal import Goal
from trending.runner.locks import SliceLocks
from trending.runner.patience import AGAINST_WRITES, Patience, holders_of_relation, lock_timeout
from trending.runner.progress import Progress
from trending.runner.rewrite import Destination, Plan, RewriteResult, choose
from trending.runner.stop import Stop
from trending.runner.wal import wal_bytes

Connection = psycopg.Connection[Any]

_TIMES: Final = 3
"""How often a target is begun again; each time its source is read again."""


@dataclass(frozen=True)
class Written:
    """What became of a target."""

    step: Step
    rows: int
    """How many rows its slice has."""
    is_superseded: bool = False
    """Its slice holds newer data than this run's, and nothing was written."""


class TargetWriter:
    """Rewrites targets of one run, one after another."""

    def __init__(
        self,
        *,
        run: ledger.RunIdentity,
        row: ledger.RunRow,
        locks: SliceLocks,
        patience: Patience,
        stop: Stop,
        progress: Progress,
    ) -> None:
        """`locks` hold the slices of all targets that are left."""
        self._run = run
        self._row = row
        self._locks = locks
        self._patience = patience
        self._stop = stop
        self._progress = progress

    def write(self, connection: Connection, goal: Goal, left: Sequence[Goal]) -> Written:
        """Rewrite the target; `left` are this one and those still to come, whose locks are taken again if lost.

        Begun again, at most three times, after a serialization failure or deadlock (class 40), after a 23505 (the stage
        has no duplicates, so another session wrote the same key), and when the locks were lost. Raises RunError and
        psycopg.Error, with nothing written.
        """
        begun, again = time.monotonic(), 0
        while True:
            self._stop.check()
            try:
                return self._attempt(connection, goal, begun, again)
            except (psycopg.OperationalError, psycopg.errors.UniqueViolation, LostLocksError) as error:
                if again == _TIMES or not _may_pass(error):
                    raise
                again += 1
                self._progress.says(f"target {goal.name}: begun again, since {_cause(error)}")
                self._stop.wait(random.uniform(0.1, 0.3) * again)  # noqa: S311 (no secret)
                if isinstance(error, LostLocksError):
                    self._locks.take(each.slice for each in left)

    def _attempt(self, connection: Connection, goal: Goal, begun: float, again: int) -> Written:
        with self._transaction(connection, goal) as entry:
            if done := entry.written_by(self._run.run_id, goal.name):
                return Written(done, entry.rows or 0)
            if newer := self._superseded_by(entry):
                note = f"superseded: {newer}; nothing was written"
                return Written(Step(name=goal.name, action="Rewrite", seconds=_since(begun), note=note), 0, True)
            wal = wal_bytes(connection)
            with doing(f"{goal.where}.query"):
                source = stage.fill(connection, goal, self._row.data_timestamp)
            strategy, why = choose(connection, goal.strategy)
            destination = Destination(slice=goal.slice, key=goal.key, now=self._row.data_timestamp)
            plan = strategy.plan(destination, source)
            result = strategy.apply(plan)
            step = Step(
                name=goal.name,
                action="Rewrite",
                strategy=strategy.name,
                seconds=_since(begun),
                rows_inserted=result.inserted,
                rows_updated=result.updated,
                rows_deleted=result.deleted,
                rows_unchanged=result.unchanged,
                wal_bytes=wal_bytes(connection) - wal,
                note=_note(why, plan, result, again),
            )
            ledger.write_slice(
                connection, self._run, self._row, goal.slice, target=goal.name, rows=source.rows, step=step
            )
            self._locks.check()
        return Written(step, source.rows)

    @contextmanager
    def _transaction(self, connection: Connection, goal: Goal) -> Iterator[ledger.SliceRow]:
        """Begin with the locks, so that whoever is in the way is met before the work is done; commit at the end."""
        entry = self._patience.until_had(
            f"a lock on {goal.table.qualified}",
            lambda seconds: _begin(connection, goal, seconds),
            lambda: holders_of_relation(connection, goal.table.oid, AGAINST_WRITES),
        )
        with _rolled_back_on_error(connection):
            yield entry
            connection.execute("COMMIT")

    def _superseded_by(self, entry: ledger.SliceRow) -> str | None:
        if entry.data_timestamp is None or entry.data_timestamp <= self._row.data_timestamp:
            return None
        return (
            f"the slice holds data of {format_precise(entry.data_timestamp)}, newer than this run's of "
            f"{format_precise(self._row.data_timestamp)}"
        )


def _begin(connection: Connection, goal: Goal, seconds: float) -> ledger.SliceRow:
    """Begin the transaction and lock table and ledger row; the snapshot is taken when the table's lock is had."""
    usual = connection.execute("SHOW lock_timeout").fetchone()
    with _rolled_back_on_error(connection):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
        connection.execute(lock_timeout(seconds))
        connection.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(goal.table.identifier))
        entry = ledger.lock_slice(connection, goal.slice)
        connection.execute("SELECT set_config('lock_timeout', %s, true)", usual)
    return entry


@contextmanager
def _rolled_back_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, psycopg.OperationalError) or (error.sqlstate or "").startswith("40")


def _cause(error: Exception) -> str:
    if not isinstance(error, psycopg.Error):
        return str(error)
    return f"another session wrote the same rows (SQLSTATE {error.sqlstate})"


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)


def _note(why: str | None, plan: Plan, result: RewriteResult, again: int) -> str | None:
    notes = [why, plan.note]
    planned, done = (plan.inserts, plan.updates, plan.deletes), (result.inserted, result.updated, result.deleted)
    if planned != done:
        # A trigger or a row policy of the table has left rows out.
        notes.append(f"the server wrote {sum(done)} rows of the {sum(planned)} that were to change")
    if again:
        notes.append(f"begun again {again} times, since other sessions wrote the same rows")
    return "; ".join(note for note in notes if note) or None
