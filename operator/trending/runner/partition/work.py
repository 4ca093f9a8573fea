"""Partitioning a table, and the reverse, while readers go on.

Two sessions. The keeper's one transaction holds the locks of the slices and a SHARE ROW EXCLUSIVE lock on the table
(under SHARE a second one of these could begin) from before the copy until the exchange, which it does itself: no write
can be lost, and when it ends early nothing has happened. The worker copies and commits before the exchange. In one
transaction this could not be right: a REPEATABLE READ transaction whose snapshot is older than the commit would find
the exchanged table empty. So the keeper waits for those that were open then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import ConfigurationError, RunError, doing
from trending.runner.partition.exchange import exchange, grants
from trending.runner.partition.obstacles import find_obstacles
from trending.runner.partition.task import Request, Task, prepare
from trending.runner.partition.twin import Twin
from trending.runner.partition.waiting import Listener, Waits, try_all
from trending.runner.patience import (
    AGAINST_ALL,
    AGAINST_EXCLUSIVE,
    holders_of_key,
    holders_of_relation,
    lock_timeout,
)
from trending.runner.stop import Stop
from trending.runner.table import Table

Connection = psycopg.Connection[Any]

_AGAINST_COPY: Final = AGAINST_EXCLUSIVE[1:]
"""The locks that keep SHARE ROW EXCLUSIVE out: those of writers and of maintenance, not of readers."""
_CHUNK_PAGES: Final = 8192
"""Pages copied by one statement, 64 MiB: how often the progress is told and a lost keeper is noticed."""
_LOOK_EVERY: Final = 0.2
"""Seconds between two looks at who is still in an older transaction."""
_SETTINGS: Final = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET idle_session_timeout = 0",
    "SET lock_timeout = 0",
    "SET default_transaction_isolation = 'read committed'",
    "SET default_transaction_read_only = off",
    "SET client_connection_check_interval = '10s'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
)

# The transactions of this database that are open, except those of the two of us and of whoever waits for the keeper's
# own locks: they would never end before it does.
_OPEN: Final = """
    SELECT lock.pid, lock.virtualxid FROM pg_locks AS lock JOIN pg_stat_activity AS active USING (pid)
    WHERE lock.locktype = 'virtualxid' AND lock.granted AND active.datname = current_database()
        AND lock.pid <> ALL(%(own)s)
        AND NOT (%(keeper)s = ANY(CASE WHEN EXISTS (
            SELECT FROM pg_locks AS waiting WHERE waiting.pid = lock.pid AND NOT waiting.granted
        ) THEN pg_blocking_pids(lock.pid) ELSE '{}' END))
"""
_LEFT_BEHIND: Final = """
    SELECT oid FROM pg_class WHERE oid = to_regclass(%s) AND obj_description(oid, 'pg_class') = %s
"""


@dataclass(frozen=True)
class Done:
    """How it went."""

    task: Task
    seconds: float
    held_seconds: float
    """How long writers had to wait, at most."""
    left_behind: str | None
    """The unfinished copy of an earlier time that was dropped."""


class ObstaclesError(ConfigurationError):
    """What hangs on the table, one sentence a line."""


def carry_out(
    keeper: Connection, worker: Connection, request: Request, *, wait_seconds: float, stop: Stop, listener: Listener
) -> Done:
    """Do what is asked for; both connections are in autocommit mode, and of no use to others afterwards.

    Waits for a lock, and for older transactions, at most `wait_seconds` each. Raises RunError and psycopg.Error: then
    nothing has changed.
    """
    return _Work(keeper, worker, request, wait_seconds, stop, listener).carry_out()


class _Work:
    def __init__(
        self,
        keeper: Connection,
        worker: Connection,
        request: Request,
        wait_seconds: float,
        stop: Stop,
        listener: Listener,
    ) -> None:
        self._keeper, self._worker = keeper, worker
        self._request, self._wait_seconds = request, wait_seconds
        self._stop, self._listener = stop, listener
        self._waits = Waits(wait_seconds, stop, listener)
        self._held_since = 0.0
        self._twin_oid: int | None = None

    def carry_out(self) -> Done:
        begun = time.monotonic()
        task = prepare(self._worker, self._request)
        _check(task)
        for connection in (self._keeper, self._worker):
            self._set_up(connection, task.original.relation.owner)
        self._lock(task)
        left_behind = self._drop_left_behind(task)
        task = self._build(task)
        try:
            self._vacuum(task.twin)
            self._wait_for_older()
            self._exchange(task)
        except BaseException:
            self._discard(task.twin)
            raise
        ended = time.monotonic()
        return Done(task, ended - begun, ended - self._held_since, left_behind)

    def _set_up(self, connection: Connection, owner: str) -> None:
        self._stop.covers(connection)
        for setting in _SETTINGS:
            connection.execute(setting)
        if connection.info.server_version >= 170000:
            connection.execute("SET transaction_timeout = 0")
        # So that all that is made is the owner's, whoever of its members this is.
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))

    def _lock(self, task: Task) -> None:
        """Take the locks: of the slices in the order of their keys, as runs do, then of the table."""
        table = task.original.table
        self._keeper.execute("BEGIN")
        for slice_ in sorted(task.slices, key=lambda each: each.lock_key):
            key = slice_.lock_key
            statement = sql.SQL("SELECT pg_advisory_xact_lock({})").format(sql.Literal(key))
            self._waits.until_had(
                f"slice {slice_}",
                lambda seconds, statement=statement: try_all(self._keeper, seconds, [statement]),  # type: ignore[misc]  # bound to this round
                lambda key=key: holders_of_key(self._keeper, key),  # type: ignore[misc]  # bound to this round
            )
        self._waits.until_had(
            f"a lock on {table.qualified}",
            lambda seconds: self._lock_table(table, seconds),
            lambda: holders_of_relation(self._keeper, table.oid, _AGAINST_COPY),
        )
        self._worker.execute("SET LOCAL lock_timeout = '10s'")
        self._held_since = time.monotonic()
        self._listener.says(f"writers of {table.qualified} wait from now on; readers go on")

    def _lock_table(self, table: Table, seconds: float) -> None:
        # Both or none: behind somebody who waits for an exclusive lock the worker would wait for the keeper's end. No
        # transaction of a worker is open while its keeper waits: another one's exchange would wait for that.
        lock = sql.SQL("LOCK TABLE {} IN {} MODE")
        with self._keeper.transaction():
            self._keeper.execute(lock_timeout(seconds))
            self._keeper.execute(lock.format(table.identifier, sql.SQL("SHARE ROW EXCLUSIVE")))
            self._worker.execute("BEGIN")
            try:
                try_all(self._worker, seconds, [lock.format(table.identifier, sql.SQL("ACCESS SHARE"))])
            except psycopg.Error:
                self._worker.rollback()
                raise

    def _drop_left_behind(self, task: Task) -> str | None:
        """Drop the copy that was committed by a time that was cut off before the exchange."""
        twin = task.twin
        name = twin.identifier.as_string(self._keeper)
        if self._keeper.execute(_LEFT_BEHIND, [name, twin.mark]).fetchone() is None:
            return None
        # By the worker, which commits with the copy; it would be dropped by an unfinished transaction otherwise.
        self._worker.execute(sql.SQL("DROP TABLE {}").format(twin.identifier))
        self._listener.says(f"dropped {name}, the unfinished copy of a time that was cut off")
        return name

    def _build(self, old: Task) -> Task:
        """Copy, constrain and index in the worker's transaction, and commit."""
        # Again, now that nobody writes: what was seen before may have changed.
        self._worker.execute("RESET ROLE")
        task = prepare(self._worker, self._request)
        self._worker.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(task.original.relation.owner)))
        _check(task)
        if task.original.table.oid != old.original.table.oid:
            raise RunError(f"{task.original.table.qualified} was exchanged by somebody else meanwhile: try again")
        twin = task.twin
        with doing(f"making the copy of {task.original.table.qualified}"):
            for statement in twin.make():
                self._worker.execute(statement)
        self._copy(task)
        self._listener.says("building its indexes")
        with doing("building the indexes of the copy"):
            for statement in twin.finish():
                self._stop.check()
                self._worker.execute(statement)
        made = self._worker.execute(_LEFT_BEHIND, [twin.identifier.as_string(None), twin.mark]).fetchone()
        self._twin_oid = made[0] if made else None
        self._worker.execute("COMMIT")
        return task

    def _copy(self, task: Task) -> None:
        total = 0
        for leaf in task.original.leaves:
            for first, last in _chunks(leaf.pages):
                self._stop.check()
                self._check_keeper()
                with doing(f"copying {task.original.table.qualified}"):
                    total += self._worker.execute(task.twin.copy(leaf, first, last)).rowcount
                self._listener.copied(total, task.rows)
        if total != task.rows:
            raise RunError(
                f"{total} rows were copied of the {task.rows} that {task.original.table.qualified} has; "
                "are some hidden from this role?"
            )

    def _check_keeper(self) -> None:
        try:
            self._keeper.execute("SELECT 1")
        except psycopg.Error as error:
            raise RunError("the session that keeps writers out was lost", server=error) from None

    def _vacuum(self, twin: Twin) -> None:
        """Outside of a transaction: hint bits, visibility map and statistics, so that no reader pays for them."""
        self._listener.says("VACUUM (ANALYZE) of the copy")
        with doing("VACUUM (ANALYZE) of the copy"):
            self._worker.execute(twin.vacuum())

    def _wait_for_older(self) -> None:
        """Wait until all have ended that were open when the copy was committed: they would see it empty."""
        own = [self._keeper.info.backend_pid, self._worker.info.backend_pid]
        parameters = {"own": own, "keeper": own[0]}
        latest = time.monotonic() + self._wait_seconds
        older = set(self._keeper.execute(_OPEN, parameters))
        told = False
        while older:
            who = ", ".join(f"pid {pid}" for pid, _ in sorted(older)[:3])
            what = f"{len(older)} transactions that are older than the copy and would find it empty ({who})"
            if time.monotonic() >= latest:
                raise RunError(f"waited {self._wait_seconds:.0f} s for {what}: end them, or try again when they have")
            if not told:
                self._listener.says(f"waiting for {what}")
                told = True
            with self._stop.explained(f"while waiting for {what}"):
                self._stop.wait(_LOOK_EVERY)
            older &= set(self._keeper.execute(_OPEN, parameters))

    def _exchange(self, task: Task) -> None:
        table, twin = task.original.table, task.twin
        self._listener.says("exchanging the names")
        with doing("exchanging the names"):
            self._waits.until_had(
                f"the instant to exchange {table.qualified}",
                lambda seconds: try_all(self._keeper, seconds, self._statements_of_exchange(task)),
                lambda: holders_of_relation(self._keeper, table.oid, AGAINST_ALL),
            )
            self._keeper.execute("COMMIT")
        self._listener.says(f"{twin.name} is {table.qualified} now")

    def _statements_of_exchange(self, task: Task) -> Iterator[sql.Composed]:
        table, twin = task.original.table, task.twin
        yield sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier)
        # What needs no more than a reader's lock may have come since: a view.
        if obstacles := find_obstacles(self._keeper, task.original, task.by):
            raise ObstaclesError("\n".join(obstacles))
        name = twin.identifier.as_string(self._keeper)
        row = self._keeper.execute("SELECT to_regclass(%s)::oid", [name]).fetchone()
        if row is None or row[0] is None or row[0] != self._twin_oid:
            raise RunError(f"{name}, the finished copy, was dropped by somebody else")
        yield from grants(self._keeper, task.original, twin, row[0])
        yield from exchange(twin, keep_old=self._request.keep_old)

    def _discard(self, twin: Twin) -> None:
        """Drop the finished copy that is not wanted any more, as far as the database can still be reached."""
        name = twin.identifier.as_string(None)
        self._stop.ended()
        try:
            self._worker.execute("SET lock_timeout = '10s'")
            row = self._worker.execute(_LEFT_BEHIND, [name, twin.mark]).fetchone()
            # Where the keeper is lost another one may have begun, whose copy has the same name.
            if row is not None and row[0] == self._twin_oid:
                self._worker.execute(sql.SQL("DROP TABLE {}").format(twin.identifier))
        except psycopg.Error:
            self._listener.says(f"{name}, the finished copy, could not be dropped: the next time does so")


def _check(task: Task) -> None:
    if task.obstacles:
        raise ObstaclesError("\n".join(task.obstacles))
    if task.is_done:
        raise RunError(f"{task.original.table.qualified} has been done by somebody else meanwhile")


def _chunks(pages: int) -> Iterator[tuple[int, int | None]]:
    """Split a table into pieces; the last one is open, though nobody adds pages."""
    starts = range(0, max(pages, 1), _CHUNK_PAGES)
    for first in starts:
        yield first, first + _CHUNK_PAGES if first + _CHUNK_PAGES < pages else None
