"""Rewriting one target, begun again where another session was in its way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from trending.api.instant import format_precise
from trending.api.status import Step
from trending.runner import ledger, stage
from trending.runner.failure import LostLocksError, doing
from trending.runner.goal import Goal
from trending.runner.locks import SliceLocks
from trending.runner.patience import Patience
from trending.runner.phase import phase
from trending.runner.progress import Progress
from trending.runner.rewrite import Choice, Destination, check_swap, choose
from trending.runner.rewrite.swap import ChangedError, Kept, Obstacle, Partitions, drop_leftovers, find_partitions
from trending.runner.stop import Stop
from trending.runner.three_steps import Swapping
from trending.runner.transaction import Work, lock_table, transaction
from trending.runner.wal import wal_bytes
from trending.runner.written import Account

Connection = psycopg.Connection[Any]
NotDue = Callable[[Goal, ledger.SliceRow], str | None]

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
    is_due: bool = True
    """False where it was left out, since it was not due."""


class TargetWriter:
    """Rewrites targets of one run; each thread that calls `write` has a connection of its own."""

    def __init__(
        self,
        *,
        run: ledger.RunIdentity,
        row: ledger.RunRow,
        locks: SliceLocks,
        patience: Patience,
        stop: Stop,
        progress: Progress,
        not_due: NotDue = lambda _goal, _entry: None,
    ) -> None:
        """`locks` hold the slices of all targets that are left; `not_due` says why a target is left out, if it is."""
        self._work = Work(run=run, row=row, locks=locks, patience=patience, stop=stop, progress=progress)
        self._not_due = not_due

    def write(self, connection: Connection, goal: Goal, left: Sequence[Goal] = ()) -> Written:  # noqa: ARG002 (locks know)
        """Rewrite the target.

        Begun again, at most three times, after a serialization failure or deadlock (class 40), after a 23505 (the stage
        has no duplicates, so another session wrote the same key), where somebody changed the partitions that were to be
        exchanged, and when the locks were lost, which are then taken again. Raises RunError and psycopg.Error, with
        nothing written.
        """
        work = self._work
        begun, again = time.monotonic(), 0
        while True:
            work.stop.check()
            held = work.locks.generation
            try:
                return _Attempt(work, connection, goal, self._not_due, begun, again, held).write()
            except (psycopg.OperationalError, psycopg.errors.UniqueViolation, LostLocksError, ChangedError) as error:
                if again == _TIMES or not _may_pass(error):
                    raise
                again += 1
                work.progress.says(f"target {goal.name}: begun again, since {_cause(error)}")
                work.stop.wait(random.uniform(0.1, 0.3) * again)  # noqa: S311 (no secret)
                if isinstance(error, LostLocksError):
                    work.locks.renew(held)


@dataclass
class _Attempt:
    """One beginning of a target."""

    work: Work
    connection: Connection
    goal: Goal
    not_due: NotDue
    begun: float
    again: int
    held: int
    """The locks' generation under which it began."""
    stage: stage.Stage | None = field(default=None, init=False)

    def write(self) -> Written:
        """Stage the source, decide, and write: in one transaction, or, for Swap, in three steps."""
        if self.goal.strategy in ("Auto", "Swap"):
            self._drop_leftovers()
        with self._stage_dropped():
            return self._write()

    def _write(self) -> Written:
        connection, goal = self.connection, self.goal
        place = self._place()
        obstacle = place.sentence if isinstance(place, Obstacle) else None
        check_swap(goal, obstacle)  # before a query is run in vain
        outlives = isinstance(place, Partitions)
        with transaction(self.work, connection, goal, locks_table=not outlives, again=self.again) as entry:
            if nothing_to_do := self._look_at(entry):
                return nothing_to_do
            wal = wal_bytes(connection)
            phase("staging", rows=entry.rows)
            with doing(f"{goal.where}.query"):
                self.stage = source = stage.fill(connection, goal, self.work.row.data_timestamp, outlives=outlives)
            destination = Destination(slice=goal.slice, key=goal.key, now=self.work.row.data_timestamp)
            phase("comparing", rows=source.rows)
            choice = choose(
                connection,
                goal,
                destination,
                source,
                swap_obstacle=obstacle,
                rows_before=entry.rows,
            )
            account = Account(goal=goal, begun=self.begun, wal=wal, again=self.again, why=choice.why)
            if choice.strategy is not None:
                if outlives:
                    lock_table(self.work, connection, goal)
                return Written(self._write_here(choice, account), source.rows)
        assert isinstance(place, Partitions)  # noqa: S101 (choose takes Swap only where there is no obstacle)
        swapping = Swapping(
            work=self.work, connection=connection, entry=entry, account=account, plan=choice.plan, held=self.held
        )
        return Written(swapping.swap(place), source.rows)

    def _drop_leftovers(self) -> None:
        """Drop what killed runs have built; without the lock that would be what another one is building now."""
        self.work.locks.check(self.held)
        for dropped in drop_leftovers(self.connection, self.goal.slice):
            if isinstance(dropped, Kept):
                self.work.progress.says(f"target {self.goal.name}: {dropped}")

    def _place(self) -> Partitions | Obstacle:
        if self.goal.strategy in ("Auto", "Swap"):
            return find_partitions(self.connection, self.goal.slice)
        return Obstacle("another strategy was asked for")

    def _write_here(self, choice: Choice, account: Account) -> Step:
        assert choice.strategy is not None  # noqa: S101 (the caller has looked)
        phase("writing", rows=_to_write(choice))
        result = choice.strategy.apply(choice.plan)
        step = account.step(self.connection, choice.strategy.name, choice.plan, result)
        work = self.work
        ledger.write_slice(
            self.connection,
            work.run,
            work.row,
            self.goal.slice,
            target=self.goal.name,
            rows=choice.plan.source.rows,
            step=step,
        )
        work.locks.check(self.held)
        return step

    def _look_at(self, entry: ledger.SliceRow) -> Written | None:
        """Return what is to be said where the slice needs no writing."""
        work, goal = self.work, self.goal
        if done := entry.written_by(work.run.run_id, goal.name):
            return Written(done, entry.rows or 0)
        if newer := self._superseded_by(entry):
            note = f"superseded: {newer}; nothing was written"
            seconds = round(time.monotonic() - self.begun, 3)
            return Written(Step(name=goal.name, action="Rewrite", seconds=seconds, note=note), 0, is_superseded=True)
        if sentence := self.not_due(goal, entry):
            return Written(Step(name=goal.name, action="Rewrite", note=sentence), entry.rows or 0, is_due=False)
        return None

    def _superseded_by(self, entry: ledger.SliceRow) -> str | None:
        ours = self.work.row.data_timestamp
        if entry.data_timestamp is None or entry.data_timestamp <= ours:
            return None
        return (
            f"the slice holds data of {format_precise(entry.data_timestamp)}, newer than this run's of "
            f"{format_precise(ours)}"
        )

    @contextmanager
    def _stage_dropped(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self.stage is not None and not self.connection.closed:
                stage.drop(self.connection, self.stage)


def _to_write(choice: Choice) -> int:
    plan = choice.plan
    return plan.inserts + (plan.updates or 0) + plan.deletes


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, psycopg.OperationalError) or (error.sqlstate or "").startswith("40")


def _cause(error: Exception) -> str:
    if not isinstance(error, psycopg.Error):
        return str(error)
    return f"another session wrote the same rows (SQLSTATE {error.sqlstate})"
