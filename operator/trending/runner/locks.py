"""The lock session: a connection of its own that holds the locks of all slices of a run while others write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from trending.runner.failure import LostLocksError
from trending.runner.patience import Patience, holders_of_key, lock_timeout
from trending.runner.session import Sessions
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]


class SliceLocks:
    """Holds a lock on each slice, so that two writers of one never overlap, wherever they come from.

    One READ COMMITTED transaction holds them: they end with it, whatever happens to this process, and a query cannot
    release them. Taken in the order of their keys, so that two runs with slices in common do not wait for each other.
    """

    def __init__(self, sessions: Sessions, patience: Patience) -> None:
        self._sessions = sessions
        self._patience = patience
        self._connection: Connection | None = None

    def take(self, slices: Iterable[Slice]) -> None:
        """Take the locks of these slices, letting go of all others. Raises StoppedError where others keep them."""
        self.release()
        connection = self._connection = self._sessions.open_for_locks()
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        for key, slice_ in sorted({slice_.lock_key: slice_ for slice_ in slices}.items()):
            self._patience.until_had(
                f"slice {slice_}",
                lambda seconds, key=key: _lock(connection, key, seconds),  # type: ignore[misc]  # bound to this round
                lambda key=key: holders_of_key(connection, key),  # type: ignore[misc]  # bound to this round
            )

    def check(self) -> None:
        """Raise LostLocksError where the session has ended, and the locks with it."""
        if self._connection is None:
            raise LostLocksError("the locks of the slices were never taken")
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self.release()
            raise LostLocksError("the session that held the locks of the slices was lost") from None

    def release(self) -> None:
        """Let go of all locks."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _lock(connection: Connection, key: int, seconds: float) -> None:
    # Within a savepoint: when it fails, the locks taken before stay.
    with connection.transaction():
        connection.execute(lock_timeout(seconds))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [key])
