"""The lock session: a connection of its own that holds the locks of all slices of a run while others write them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import LostLocksError
from trending.runner.patience import Patience, holders_of_key, lock_timeout
from trending.runner.session import Sessions
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]

_NO_SUCH_SNAPSHOT: Final = (
    psycopg.errors.InvalidParameterValue,
    psycopg.errors.UndefinedObject,
    psycopg.errors.ObjectNotInPrerequisiteState,
)
"""What the server answers where the session that exported a snapshot has ended (22023, from 17 on 42704; 55000 where it
ends meanwhile)."""


class SliceLocks:
    """Holds a lock on each slice, so that two writers of one never overlap, wherever they come from.

    One READ COMMITTED transaction holds them: they end with it, whatever happens to this process, and a query cannot
    release them. Taken in the order of their keys, so that two runs with slices in common do not wait for each other.
    The connections that write under them may be several, each in a thread of its own.
    """

    def __init__(self, sessions: Sessions, patience: Patience) -> None:
        self._sessions = sessions
        self._patience = patience
        self._connection: Connection | None = None
        self._slices: dict[int, Slice] = {}
        self._shares_snapshot = False
        self._snapshot: str | None = None
        self._with_own_snapshot: set[Connection] = set()
        self._generation = 0
        self._alone = threading.RLock()

    @property
    def generation(self) -> int:
        """How often the locks were taken: whoever begins to write notes it, and checks it before the commit."""
        return self._generation

    @property
    def backend_pid(self) -> int | None:
        """The process on the server that holds the locks; None where none are held."""
        with self._alone:
            return self._connection.info.backend_pid if self._connection and not self._connection.closed else None

    def take(self, slices: Iterable[Slice], *, share_snapshot: bool = False) -> None:
        """Take the locks of these slices, letting go of all others; then export a snapshot, where it is to be shared.

        Raises StoppedError where others keep them until the run is to stop.
        """
        with self._alone:
            self._slices = {slice_.lock_key: slice_ for slice_ in slices}
            self._shares_snapshot = share_snapshot
            self._take()

    def renew(self, generation: int | None = None) -> None:
        """Take the locks again of all slices that are not done, in a new session; not where another writer has done so
        since `generation`."""
        with self._alone:
            if generation is None or generation == self._generation:
                self._take()

    def done(self, slice_: Slice) -> None:
        """Say that this slice is written, or given up: its lock is kept, but not taken again."""
        with self._alone:
            self._slices.pop(slice_.lock_key, None)

    def check(self, generation: int | None = None) -> None:
        """Raise LostLocksError where the session has ended, and the locks with it, at any time since `generation`."""
        with self._alone:
            if self._connection is None:
                raise LostLocksError("the locks of the slices were not taken")
            if generation is not None and generation != self._generation:
                raise _lost()
            self._execute("SELECT 1")

    def adopt_snapshot(self, connection: Connection, *, again: int) -> None:
        """Have the transaction that `connection` has just begun, before any query, see what the others of this run see.

        `again` is how often its work was begun again: then it sees what is there now, since on the old snapshot it
        would fail alike. Does nothing where no snapshot is shared, and for a connection with a `snapshot_of_its_own`.
        Raises LostLocksError where the session that keeps the snapshot has ended.
        """
        with self._alone:
            if not self._shares_snapshot or connection in self._with_own_snapshot:
                return
            if self._connection is None or self._snapshot is None:
                raise _lost()
            snapshot = self._exported() if again else self._snapshot
        try:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        except _NO_SUCH_SNAPSHOT:
            raise _lost() from None

    def renew_snapshot(self) -> None:
        """Have the transactions that begin from now on share a new snapshot.

        To be called once a partition is built that is to take another's place, before those are waited for that are
        open: on a snapshot older than the build even one that begins after the exchange would see it empty.
        """
        with self._alone:
            if self._shares_snapshot:
                self._snapshot = self._exported()

    @contextmanager
    def snapshot_of_its_own(self, connection: Connection) -> Iterator[None]:
        """Have the transactions of this connection see what is there when they begin: its sources lie ready in
        temporary tables, filled from the shared snapshot."""
        with self._alone:
            self._with_own_snapshot.add(connection)
        try:
            yield
        finally:
            with self._alone:
                self._with_own_snapshot.discard(connection)

    def release(self) -> None:
        """Let go of all locks."""
        with self._alone:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _take(self) -> None:
        self.release()
        self._generation += 1
        connection = self._connection = self._sessions.open_for_locks()
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        for key, slice_ in sorted(self._slices.items()):
            self._patience.until_had(
                f"slice {slice_}",
                lambda seconds, key=key: _lock(connection, key, seconds),  # type: ignore[misc]  # bound to this round
                lambda key=key: holders_of_key(connection, key),  # type: ignore[misc]  # bound to this round
            )
        # Taken after the last lock, so that it has all that former holders of them committed.
        self._snapshot = self._exported() if self._shares_snapshot else None

    def _exported(self) -> str:
        row = self._execute("SELECT pg_export_snapshot()").fetchone()
        if row is None:
            raise AssertionError("a SELECT without FROM returned no row")
        return str(row[0])

    def _execute(self, query: str) -> psycopg.Cursor[Any]:
        if self._connection is None:
            raise _lost()
        try:
            return self._connection.execute(query.encode())
        except psycopg.Error:
            self.release()
            raise _lost() from None


def _lost() -> LostLocksError:
    return LostLocksError("the session that held the locks of the slices was lost")


def _lock(connection: Connection, key: int, seconds: float) -> None:
    # Within a savepoint: when it fails, the locks taken before stay.
    with connection.transaction():
        connection.execute(lock_timeout(seconds))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [key])
