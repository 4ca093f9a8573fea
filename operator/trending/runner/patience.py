"""How locks are waited for: never long at a time, since others queue up behind whoever waits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql

from trending.runner.progress import Progress
from trending.runner.stop import Stop

Connection = psycopg.Connection[Any]
Found = TypeVar("Found")

_SHORTEST: Final = 0.1
_LONGEST: Final = 2.5
"""Seconds to wait at a time, from the first to the last. Longer than deadlock_timeout (1 s by default) in the end: only
then does the server cancel an autovacuum that is in the way."""
_SLACK: Final = 0.5
"""Seconds by which a cancelled wait may last longer."""
_SILENCE: Final = 30.0
"""Seconds between two words about it."""


class Patience:
    """Tries for a lock again and again until the run's deadline."""

    def __init__(self, stop: Stop, progress: Progress) -> None:
        """`progress` is told whenever somebody else is found to hold the lock."""
        self._stop = stop
        self._progress = progress
        self._silent_until = 0.0

    def until_had(self, what: str, attempt: Callable[[float], Found], blockers: Callable[[], str]) -> Found:
        """Call `attempt` with the seconds it may wait for a lock, until it does not raise LockNotAvailable.

        `attempt` leaves no failed transaction behind; `blockers` says who holds the lock. On giving up, that is in the
        error (StoppedError, DeadlineError).
        """
        seconds, held_by = _SHORTEST, None
        while True:
            self._stop.check()
            begun = time.monotonic()
            try:
                return attempt(seconds)
            except psycopg.errors.LockNotAvailable:
                held_by = blockers()
            except psycopg.Error:
                # Cancelled, perhaps: while it waited for the lock, or long after it had it?
                if self._stop.error is None or held_by is None or time.monotonic() - begun > seconds + _SLACK:
                    raise
            self._pause(seconds, f"waiting for {what}, held by {held_by}")
            seconds = min(2 * seconds, _LONGEST)

    def _pause(self, seconds: float, doing: str) -> None:
        if time.monotonic() >= self._silent_until:
            self._progress.says(doing)
            self._silent_until = time.monotonic() + _SILENCE
        # At random, so that two who wait for each other's locks do not do so in step.
        with self._stop.explained(f"while {doing}"):
            self._stop.wait(random.uniform(0.5, 1.0) * seconds)  # noqa: S311 (no secret)


def lock_timeout(seconds: float) -> sql.Composed:
    """Return the statement that limits how long this transaction waits for each lock; it takes no snapshot."""
    return sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{round(seconds * 1000)}ms"))


_HOLDERS: Final = """
    SELECT held.pid, active.usename::text, active.application_name,
        extract(epoch FROM clock_timestamp() - active.xact_start)::float8
    FROM (SELECT DISTINCT pid FROM pg_locks WHERE granted AND pid IS DISTINCT FROM pg_backend_pid() AND {which}) AS held
    LEFT JOIN pg_stat_activity AS active USING (pid)
    ORDER BY active.xact_start NULLS LAST LIMIT 3
"""
_OF_RELATION: Final = """
    locktype = 'relation' AND relation = %s AND mode = ANY(%s)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_OF_KEY: Final = """
    locktype = 'advisory' AND objsubid = 1 AND (classid::int8 << 32 | objid::int8) = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

AGAINST_WRITES: Final = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""The locks that keep a writer (ROW EXCLUSIVE) out."""
AGAINST_EXCLUSIVE: Final = ("RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", *AGAINST_WRITES)
"""The locks that keep a concurrent refresh out: all but that of readers."""
AGAINST_ALL: Final = ("AccessShareLock", *AGAINST_EXCLUSIVE)
"""The locks that keep a blocking refresh out: all."""


def holders_of_relation(connection: Connection, oid: int, modes: tuple[str, ...]) -> str:
    """Say who holds one of these locks on a table or view: pid, user, application, age of the transaction."""
    return _told(connection.execute(_HOLDERS.format(which=_OF_RELATION), [oid, list(modes)]).fetchall())


def holders_of_key(connection: Connection, key: int) -> str:
    """Say who holds the advisory lock with this key."""
    return _told(connection.execute(_HOLDERS.format(which=_OF_KEY), [key]).fetchall())


def _told(rows: list[tuple[Any, ...]]) -> str:
    return " and ".join(_one(*row) for row in rows) or "a session that has let go meanwhile"


def _one(pid: int | None, user: str | None, application: str | None, age: float | None) -> str:
    if pid is None:
        return "a prepared transaction"
    # Without the right to look (pg_read_all_stats) the age of another user's transaction is hidden.
    since = "of unknown age" if age is None else f"open for {age:.0f} s"
    return f"pid {pid} (user {user}, application {application or 'unnamed'}, transaction {since})"
