"""Rewriting a run's targets: one after another, or side by side on several connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import psycopg

from trending.api.status import StepAction
from trending.report import TargetReport
from trending.runner import ledger
from trending.runner.failure import RunError, UnreachableError, doing
from trending.runner.goal import Goal
from trending.runner.locks import SliceLocks
from trending.runner.phase import phase
from trending.runner.progress import Progress
from trending.runner.record import Record
from trending.runner.session import Sessions
from trending.runner.shared import Group, SharedInputs, computed, grouped
from trending.runner.stop import Stop
from trending.runner.target import TargetWriter
from trending.runner.watch import Watch

Connection = psycopg.Connection[Any]
Noting = Callable[[StepAction, str], AbstractContextManager[None]]


class Rewriting:
    """The targets of a run that are still to be written, and the threads that take one group after another of them."""

    def __init__(
        self,
        goals: Sequence[Goal],
        *,
        row: ledger.RunRow,
        writer: TargetWriter,
        sessions: Sessions,
        locks: SliceLocks,
        stop: Stop,
        progress: Progress,
        watch: Watch,
        record: Record,
        noting: Noting,
    ) -> None:
        """`noting` has a target that fails fail alone. `locks` are taken here."""
        self._left = deque(grouped(goals))
        self._row = row
        self._writer = writer
        self._sessions = sessions
        self._locks = locks
        self._stop = stop
        self._progress = progress
        self._watch = watch
        self._record = record
        self._noting = noting

    def write_all(self, connected: Callable[[], Connection], *, parallelism: int) -> None:
        """Write every target on at most `parallelism` connections, never more than there are groups of targets.

        `connected` returns the run's own connection, which this thread works with; the others open one each, and where
        they cannot, fewer work. One that fails does not stop the others. With several they all begin with one snapshot.
        Raises StoppedError where the run is to stop before the last target.
        """
        side_by_side = min(parallelism, len(self._left))
        with doing("taking the locks of the slices"):
            slices = [goal.slice for group in self._left for goal in group.goals]
            self._locks.take(slices, share_snapshot=side_by_side > 1)
        if side_by_side <= 1:
            self._write_in_turn(connected)
            return
        with ThreadPoolExecutor(side_by_side - 1, thread_name_prefix="target") as threads:
            others = [threads.submit(self._write_beside) for _ in range(side_by_side - 1)]
            self._write_in_turn(connected)
        for other in others:
            other.result()

    def _write_beside(self) -> None:
        """Work with a connection of one's own, another one where that was lost."""
        connections: list[Connection] = []

        def connected() -> Connection:
            if not connections or connections[-1].closed:
                connections.append(self._sessions.open_for_work())
            return connections[-1]

        try:
            connected()
        except UnreachableError as error:
            self._progress.says(f"one connection less than parallelism asks for: {error}")
            return
        try:
            self._write_in_turn(connected)
        finally:
            for connection in connections:
                connection.close()

    def _write_in_turn(self, connected: Callable[[], Connection]) -> None:
        while group := self._next():
            with self._inputs(connected, group) as inputs:
                for goal in group.goals:
                    if not self._may_go_on():
                        return
                    self._progress.starts("Rewrite", goal.name)
                    with self._noting("Rewrite", goal.name), doing(goal.where):
                        self._write(connected(), goal, inputs)
                    self._locks.done(goal.slice)

    def _next(self) -> Group | None:
        try:
            return self._left.popleft() if self._may_go_on() else None
        except IndexError:
            return None

    def _may_go_on(self) -> bool:
        if self._record.was_stopped:
            return False
        self._stop.check()
        return True

    @contextmanager
    def _inputs(self, connected: Callable[[], Connection], group: Group) -> Iterator[SharedInputs]:
        """Compute what the group's targets share; where that fails, each reads for itself, and tells what is wrong."""
        with ExitStack() as stack:
            inputs = SharedInputs(group)
            if group.inputs:
                try:
                    connection = connected()
                    shared = computed(connection, group, now=self._row.data_timestamp, locks=self._locks)
                    with self._watch.step(connection, "Rewrite", group.goals[0].name):
                        phase(f"reading what {len(group.goals)} targets share")
                        inputs = stack.enter_context(shared)
                except (psycopg.Error, RunError) as error:
                    self._stop.check()
                    names = ", ".join(goal.name for goal in group.goals)
                    self._progress.says(f"targets {names} read for themselves ({type(error).__name__})")
            yield inputs

    def _write(self, connection: Connection, goal: Goal, inputs: SharedInputs) -> None:
        with self._watch.step(connection, "Rewrite", goal.name):
            written = self._writer.write(connection, inputs.goal(goal, connection))
        self._record.done(written.step, is_superseded=written.is_superseded)
        if written.is_due and not written.is_superseded:
            self._record.fresh[goal.name] = TargetReport(
                name=goal.name, data_timestamp=self._row.data_timestamp, rows=written.rows
            )
            if note := inputs.note(connection):
                self._record.remark("Rewrite", goal.name, note)
        self._progress.ends(written.step)
