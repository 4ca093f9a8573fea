"""Waiting for those who cannot see what was built: a snapshot older than it would find the new partition empty."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.rows import class_row

from trending.runner.stop import Stop

if TYPE_CHECKING:
    from trending.runner.rewrite.swap.build import Built

Connection = psycopg.Connection[Any]

_SHORTEST: Final = 0.02
_LONGEST: Final = 1.0
"""Seconds between two looks, from the first to the last."""

# Every transaction that has a snapshot holds its virtual id, which any role may see; those that only maintain a table
# read no other. What has no session (a prepared transaction) asks nothing any more.
_OPEN: Final = """
    SELECT l.virtualxid AS id, l.pid
    FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
        AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum AS v WHERE v.pid = l.pid)
        AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze AS v WHERE v.pid = l.pid)
"""


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that was open at some time."""

    id: str
    """Its virtual id, which is never used again before the server is restarted."""
    pid: int


def open_transactions(connection: Connection) -> frozenset[OpenTransaction]:
    """Return all other sessions' transactions that are open in this database."""
    return frozenset(connection.cursor(row_factory=class_row(OpenTransaction)).execute(_OPEN))


def wait_for_older(connection: Connection, built: Built, *, own: Collection[int], stop: Stop, seconds: float) -> bool:
    """Wait until every transaction has ended that was open when the build was committed.

    `own` are the pids of the run's other sessions, which do not read the slice any more. False where that takes longer
    than `seconds`. Raises StoppedError.
    """
    until, pause = time.monotonic() + seconds, _SHORTEST
    left = {older for older in built.older if older.pid not in own}
    while left := left & open_transactions(connection):
        remaining = until - time.monotonic()
        if remaining <= 0:
            return False
        stop.wait(min(pause, remaining))
        pause = min(2 * pause, _LONGEST)
    return True
