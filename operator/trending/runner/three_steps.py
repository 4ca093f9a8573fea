"""Swap in three steps: the caller's transaction has staged the source and committed; build and wait; exchange."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from trending.api.status import Step
from trending.runner import ledger
from trending.runner.failure import LostLocksError
from trending.runner.patience import AGAINST_ALL, holders_of_relation, lock_timeout
from trending.runner.phase import phase
from trending.runner.rewrite import Plan, RewriteResult
from trending.runner.rewrite.limits import check_deletions
from trending.runner.rewrite.merge import Merge
from trending.runner.rewrite.swap import (
    Built,
    ChangedError,
    Kept,
    ObstacleError,
    Partitions,
    build,
    discard,
    exchange,
    find_partitions,
    wait_for_older,
)
from trending.runner.rewrite.swap.older import open_transactions
from trending.runner.transaction import Work, rolled_back_on_error, transaction
from trending.runner.written import Account

Connection = psycopg.Connection[Any]

_LOCK_SECONDS: Final = 0.05
"""How long an exchange waits for its lock: for so long every reader of the table queues up behind it."""
_PAUSES: Final = (0.05, 2.0)
"""Seconds between two tries, from the first to the last: for as long readers have the table for themselves."""
_EXCHANGE_SECONDS: Final = 120.0
"""How long the exchange is tried. Many refusals are cheap, the Merge that would take its place is not."""
_OLDER_SECONDS: Final = 300.0
"""How long older transactions are waited for."""
_SHARE_OF_TIME: Final = 0.25
"""Of the time that is left to the run, how much may go into each of the two: the rest is for the Merge instead."""


@dataclass(frozen=True, kw_only=True)
class Swapping:
    """A slice that is to be swapped, and whose stage outlived the transaction that chose so."""

    work: Work
    connection: Connection
    entry: ledger.SliceRow
    """What the ledger said when the source was read."""
    account: Account
    plan: Plan
    held: int
    """The locks' generation."""

    def swap(self, partitions: Partitions) -> Step:
        """Build, wait, exchange; where that cannot be, merge the same stage, and say so in the step.

        Raises LostLocksError where another run has written the slice meanwhile, ChangedError where somebody has changed
        its partitions, and whatever the server answers; what was built is gone then.
        """
        plan = self.plan
        self.work.locks.check(self.held)
        try:
            with self._changes_told(partitions):
                built = build(self.connection, partitions, plan.destination, plan.source, run_id=self.work.run.run_id)
        except ObstacleError as error:
            return self._merge(f"Merge instead of Swap, since {error.obstacle.sentence}")
        try:
            done = self._wait_and_exchange(built)
        except BaseException:
            self._discard(built)
            raise
        if isinstance(done, Step):
            return done
        kept = self._discard(built)
        return self._merge("; ".join([f"Merge instead of Swap, since {done}", *map(str, kept)]))

    @contextmanager
    def _changes_told(self, partitions: Partitions) -> Iterator[None]:
        """Raise ChangedError where the server finds something missing, or of another kind, since it was changed."""
        try:
            yield
        except psycopg.ProgrammingError as error:
            if not self.connection.closed and find_partitions(self.connection, partitions.slice) != partitions:
                said = error.diag.message_primary
                raise ChangedError(f"the partitions of {partitions.slice} were changed meanwhile ({said})") from None
            raise

    def _wait_and_exchange(self, built: Built) -> Step | str:
        """Return the step, or why it could not be."""
        work = self.work
        # The run's other writers may have begun with its older snapshot since the build committed: from here on they
        # begin with a newer one, and those that have not are open now.
        work.locks.renew_snapshot()
        built = replace(built, older=built.older | open_transactions(self.connection, built.xid))
        seconds = self._at_most(_OLDER_SECONDS)
        phase("waiting for older transactions")
        # The lock session's transaction is as old as the run, and reads nothing.
        own = [pid] if (pid := work.locks.backend_pid) else []
        if not wait_for_older(self.connection, built, own=own, stop=work.stop, seconds=seconds):
            return f"transactions that would have seen an empty partition were still open after {seconds:.0f} s"
        seconds, pause = self._at_most(_EXCHANGE_SECONDS), _PAUSES[0]
        begun, refusals = time.monotonic(), 0
        phase("exchanging the partition")
        while True:
            work.stop.check()
            try:
                return self._exchange(built, refusals)
            except psycopg.errors.LockNotAvailable:
                refusals += 1
                holders = holders_of_relation(self.connection, self.account.goal.table.oid, AGAINST_ALL)
            if time.monotonic() - begun > seconds:
                return f"its lock was refused {refusals} times in {seconds:.0f} s, the last time for {holders}"
            # At random, so that two who exchange partitions of one table do not do so in step.
            work.stop.wait(random.uniform(0.5, 1.0) * pause)  # noqa: S311 (no secret)
            pause = min(2 * pause, _PAUSES[1])

    def _exchange(self, built: Built, refusals: int) -> Step:
        """Exchange and write the ledger. Raises LockNotAvailable with nothing done and no transaction left."""
        plan, connection = self.plan, self.connection
        with rolled_back_on_error(connection):
            # A snapshot would hide what others have done to the partitions meanwhile.
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            connection.execute(lock_timeout(_LOCK_SECONDS))
            self._check(ledger.lock_slice(connection, self.account.goal.slice))
            result = RewriteResult(inserted=plan.source.rows, updated=0, deleted=plan.before, unchanged=0)
            more = f"its lock was refused {refusals} times before" if refusals else None
            step = self.account.step(connection, "Swap", plan, result, more)
            self._write_ledger(step)
            # Last of all: every reader of the table waits from here to the commit.
            exchange(connection, built, lock_seconds=_LOCK_SECONDS)
            connection.execute("COMMIT")
        return step

    def _merge(self, why: str) -> Step:
        """Merge the stage, in a transaction that sees it and what the slice holds now."""
        plan, connection = self.plan, self.connection
        phase("merging instead", rows=plan.source.rows)
        with transaction(self.work, connection, self.account.goal) as entry:
            self._check(entry)
            merge = Merge(connection)
            merged = merge.plan(plan.destination, plan.source)
            check_deletions(self.account.goal, merged)
            step = self.account.step(connection, merge.name, merged, merge.apply(merged), why)
            self._write_ledger(step)
        return step

    def _check(self, entry: ledger.SliceRow) -> None:
        """Check that nobody has written the slice since its source was read."""
        if entry != self.entry:
            raise LostLocksError("another run has written the slice meanwhile")

    def _write_ledger(self, step: Step) -> None:
        work, goal = self.work, self.account.goal
        ledger.write_slice(
            self.connection, work.run, work.row, goal.slice, target=goal.name, rows=self.plan.source.rows, step=step
        )
        work.locks.check(self.held)

    def _discard(self, built: Built) -> list[Kept]:
        """Drop what was built, if there still is a connection; a later run drops what could not be."""
        kept = [] if self.connection.closed else discard(self.connection, built)
        for each in kept:
            self.work.progress.says(f"target {self.account.goal.name}: {each}")
        return kept

    def _at_most(self, seconds: float) -> float:
        return max(1.0, min(seconds, _SHARE_OF_TIME * self.work.stop.seconds_left))
