"""The transaction that a target is rewritten in: its locks, how it begins and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from trending.runner import ledger
from trending.runner.goal import Goal
from trending.runner.locks import SliceLocks
from trending.runner.patience import AGAINST_WRITES, Patience, holders_of_relation, lock_timeout
from trending.runner.progress import Progress
from trending.runner.stop import Stop

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the writers of a run have in common; each of them may be in a thread of its own."""

    run: ledger.RunIdentity
    row: ledger.RunRow
    locks: SliceLocks
    """Those of the slices of all targets that are left."""
    patience: Patience
    stop: Stop
    progress: Progress


@contextmanager
def transaction(
    work: Work, connection: Connection, goal: Goal, *, locks_table: bool = True, again: int | None = None
) -> Iterator[ledger.SliceRow]:
    """Begin REPEATABLE READ with the slice's row of the ledger locked, and commit at the end.

    With `locks_table` the table is locked for writing too, so that whoever is in the way is met before the work is
    done; without it, others may exchange partitions of it meanwhile (see `lock_table`). `again`, how often the target
    was begun again, has the transaction see what the run's other writers see; None leaves it what is there now.
    """
    entry = work.patience.until_had(
        f"a lock on {goal.table.qualified}",
        lambda seconds: _begin(work, connection, goal, seconds, locks_table=locks_table, again=again),
        lambda: holders_of_relation(connection, goal.table.oid, AGAINST_WRITES),
    )
    with rolled_back_on_error(connection):
        yield entry
        connection.execute("COMMIT")


def lock_table(work: Work, connection: Connection, goal: Goal) -> None:
    """Lock the table for writing, within a transaction that began without."""
    work.patience.until_had(
        f"a lock on {goal.table.qualified}",
        lambda seconds: _lock_table(connection, goal, seconds),
        lambda: holders_of_relation(connection, goal.table.oid, AGAINST_WRITES),
    )


def _begin(
    work: Work, connection: Connection, goal: Goal, seconds: float, *, locks_table: bool, again: int | None
) -> ledger.SliceRow:
    """Begin the transaction and lock table and ledger row; the snapshot is taken when the table's lock is had."""
    usual = connection.execute("SHOW lock_timeout").fetchone()
    with rolled_back_on_error(connection):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
        if again is not None:
            work.locks.adopt_snapshot(connection, again=again)
        connection.execute(lock_timeout(seconds))
        if locks_table:
            connection.execute(_lock_statement(goal))
        entry = ledger.lock_slice(connection, goal.slice)
        connection.execute("SELECT set_config('lock_timeout', %s, true)", usual)
    return entry


def _lock_table(connection: Connection, goal: Goal, seconds: float) -> None:
    usual = connection.execute("SHOW lock_timeout").fetchone()
    # Within a savepoint: when it fails, what was done before stays.
    with connection.transaction():
        connection.execute(lock_timeout(seconds))
        connection.execute(_lock_statement(goal))
        connection.execute("SELECT set_config('lock_timeout', %s, true)", usual)


def _lock_statement(goal: Goal) -> sql.Composed:
    return sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(goal.table.identifier)


@contextmanager
def rolled_back_on_error(connection: Connection) -> Iterator[None]:
    """Roll the transaction back where it fails, if there still is a connection."""
    try:
        yield
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
