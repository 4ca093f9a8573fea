"""Rewriting a run's targets: one after another, or side by side on several connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from trending.api.status import StepAction
from trending.report import TargetReport
from trending.runner import ledger
from trending.runner.failure import UnreachableError, doing
from trending.runner.goal import Goal
from trending.runner.locks import SliceLocks
from trending.runner.progress import Progress
from trending.runner.record import Record
from trending.runner.session import Sessions
from trending.runner.stop import Stop
from trending.runner.target import TargetWriter

Connection = psycopg.Connection[Any]
Noting = Callable[[StepAction, str], AbstractContextManager[None]]


class Rewriting:
    """The targets of a run that are still to be written, and the threads that take one after another of them."""

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
        record: Record,
        noting: Noting,
    ) -> None:
        """`noting` has a target that fails fail alone. `locks` are taken here."""
        self._left = deque(goals)
        self._row = row
        self._writer = writer
        self._sessions = sessions
        self._locks = locks
        self._stop = stop
        self._progress = progress
        self._record = record
        self._noting = noting

    def write_all(self, connected: Callable[[], Connection], *, parallelism: int) -> None:
        """Write every target on at most `parallelism` connections, never more than there are targets.

        `connected` returns the run's own connection, which this thread works with; the others open one each, and where
        they cannot, fewer work. One that fails does not stop the others. With several they all begin with one snapshot.
        Raises StoppedError where the run is to stop before the last target.
        """
        side_by_side = min(parallelism, len(self._left))
        with doing("taking the locks of the slices"):
            self._locks.take((goal.slice for goal in self._left), share_snapshot=side_by_side > 1)
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
        while goal := self._next():
            self._progress.starts("Rewrite", goal.name)
            with self._noting("Rewrite", goal.name), doing(goal.where):
                self._write(connected(), goal)
            self._locks.done(goal.slice)

    def _next(self) -> Goal | None:
        if self._record.was_stopped:
            return None
        self._stop.check()
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def _write(self, connection: Connection, goal: Goal) -> None:
        written = self._writer.write(connection, goal, [goal, *self._left])
        self._record.done(written.step, is_superseded=written.is_superseded)
        if written.is_due and not written.is_superseded:
            self._record.fresh[goal.name] = TargetReport(
                name=goal.name, data_timestamp=self._row.data_timestamp, rows=written.rows
            )
        self._progress.ends(written.step)
