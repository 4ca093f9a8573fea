"""Waiting for those who cannot see what was built: a snapshot older than it would find the new partition empty."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
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

# Every transaction that has a snapshot holds its virtual id; those that only maintain a table read no other. What has
# no session (a prepared transaction) asks nothing any more. Any role may see all this of any other's.
_OPEN: Final = """
    WITH locks AS MATERIALIZED (SELECT * FROM pg_locks)
    SELECT l.virtualxid AS id, l.pid, coalesce(age(a.backend_xmin) >= age(%s::xid8::xid), false) AS may_be_blind,
        EXISTS (SELECT FROM locks AS own WHERE own.pid = l.pid AND own.locktype = 'advisory') AS at_advisory_lock
    FROM locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
        AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum AS v WHERE v.pid = l.pid)
        AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze AS v WHERE v.pid = l.pid)
"""


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that was open at some time; the same one whatever it did then."""

    id: str
    """Its virtual id, which is never used again before the server is restarted."""
    pid: int
    may_be_blind: bool = field(compare=False)
    """Whether one of its snapshots, if it had any then, may be older than the build's commit.

    That of a READ COMMITTED transaction ends with its statement, and the next one is newer.
    """
    at_advisory_lock: bool = field(compare=False)
    """Whether it held or awaited an advisory lock, as the sessions do that keep the slices of other runs."""

    @property
    def sees(self) -> bool:
        """Whether it will not read with an older snapshot, though it was open when the build was committed.

        Asked only of those that keep advisory locks: a transaction that has just begun may be this run's own, and
        about to adopt the run's snapshot.
        """
        return self.at_advisory_lock and not self.may_be_blind


def open_transactions(connection: Connection, xid: str) -> frozenset[OpenTransaction]:
    """Return all other sessions' transactions that are open in this database; `xid` is the build's own."""
    return frozenset(connection.cursor(row_factory=class_row(OpenTransaction)).execute(_OPEN, [xid]))


def wait_for_older(connection: Connection, built: Built, *, own: Collection[int], stop: Stop, seconds: float) -> bool:
    """Wait until nobody can read with a snapshot that is older than the build's commit.

    That is, until every transaction has ended that was open then; one that keeps an advisory lock need only have no
    older snapshot left. `own` are the pids of the run's other sessions, which do not read the slice any more. False
    where that takes longer than `seconds`. Raises StoppedError.
    """
    until = time.monotonic() + seconds

    def look() -> set[OpenTransaction]:
        return {each for each in open_transactions(connection, built.xid) if each.pid not in own}

    def wait_for(left: Collection[OpenTransaction], is_needed: Callable[[OpenTransaction], bool]) -> bool:
        pause = _SHORTEST
        while left := {each for each in look() if each in left and is_needed(each)}:
            remaining = until - time.monotonic()
            if remaining <= 0:
                return False
            stop.wait(min(pause, remaining))
            pause = min(2 * pause, _LONGEST)
        return True

    # Those who had adopted an exported snapshot while its owner was waited for may have begun after the build.
    return wait_for(built.older, lambda each: not each.sees) and wait_for(look(), lambda each: each.may_be_blind)
