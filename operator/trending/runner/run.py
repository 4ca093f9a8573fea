"""A run from beginning to end: refresh the views, rewrite the targets, keep the ledger, say how it went."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.api.instant import format_precise
from trending.api.spec import Refresh, TrendingScheduleSpec
from trending.api.status import Step, StepAction
from trending.report import TargetReport
from trending.runner import ledger
from trending.runner.access import Access
from trending.runner.due import not_due
from trending.runner.failure import ConfigurationError, RunError, doing, from_driver
from trending.runner.goal import Goal, overlap, resolve, wish
from trending.runner.history import read_history
from trending.runner.locks import SliceLocks
from trending.runner.maintenance import dead_rows, maintain, tell_statistics
from trending.runner.migrate import ledger_is_there
from trending.runner.neighbours import read_writes, who_else_writes
from trending.runner.patience import Patience
from trending.runner.progress import Progress
from trending.runner.record import Outcome, Record
from trending.runner.refresh import refresh_view
from trending.runner.rewriting import Rewriting
from trending.runner.session import Sessions
from trending.runner.stop import Stop
from trending.runner.target import TargetWriter
from trending.runner.view import look_up_view
from trending.runner.watch import Watch

Connection = psycopg.Connection[Any]

_LAST_WORDS: Final = "5s"
"""How long each statement may take that says how the run ended: the pod may be about to be killed."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be done."""

    run: ledger.RunIdentity
    spec: TrendingScheduleSpec
    access: Access
    now: datetime | None = None
    """The data timestamp to write; the database's clock by default."""


def perform(order: Order, *, stop: Stop, progress: Progress) -> Outcome:
    """Do a run. Never raises an Exception: whatever fails is in the report."""
    return _Run(order, stop, progress).perform()


class _Run:
    """A run under way."""

    def __init__(self, order: Order, stop: Stop, progress: Progress) -> None:
        self._order = order
        self._stop = stop
        self._progress = progress
        self._record = Record(order.run, order.spec)
        self._patience = Patience(stop, progress)
        self._sessions = Sessions(
            order.access, schedule=order.run.schedule, settings=order.spec.database.settings or {}, stop=stop
        )
        self._watch = Watch(self._sessions, progress)
        self._sessions.when_refused = self._watch.give_way
        self._locks = SliceLocks(self._sessions, self._patience)
        self._connection: Connection | None = None
        self._goals: list[Goal] = []

    def perform(self) -> Outcome:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 (whatever ends the run has to be told)
            self._record.ended_by(self._explained(error))
        self._stop.ended()
        self._watch.close()
        self._locks.release()
        outcome = self._say_how_it_ended()
        if self._connection is not None:
            self._connection.close()
        return outcome

    def _work(self) -> None:
        connection = self._connected()
        with doing("the ledger"):
            if not ledger_is_there(connection):
                raise ConfigurationError(
                    f"{self._order.access.place} has no ledger (schema trending): run `trending migrate` on it once"
                )
            self._record.row = row = ledger.begin_run(connection, self._order.run, now=self._order.now)
        self._record.take_over(row.refreshed)
        self._resolve(connection)
        self._leave_out_what_is_not_due(connection)
        self._warn_of_the_future(connection)
        self._look_back(connection)
        self._progress.plans(self._record.left)
        # Where no target can be had, or is due, there is nothing to refresh for.
        if self._goals and self._refresh():
            if self._order.spec.refresh:
                self._look_again()
            others = self._look_for_others(row)
            self._rewrite(row)
            for name, sentence in others.items():
                self._record.remark("Rewrite", name, sentence)
            # Whoever waits for the slices need not wait for this; a shared snapshot would keep dead rows alive.
            self._locks.release()
            if self._order.spec.database.maintenance == "Auto" and not self._record.was_stopped:
                self._maintain()

    def _look_back(self, connection: Connection) -> None:
        """Read what earlier runs took; a run does without it."""
        run = self._order.run
        if not self._watch.is_on or run.namespace is None:
            return
        try:
            history = read_history(connection, namespace=run.namespace, schedule=run.schedule)
        except (psycopg.Error, ValueError):
            if connection.closed:
                raise
        else:
            self._watch.look_back(history, self._record.left)

    def _resolve(self, connection: Connection) -> None:
        """Look every target up. One that cannot be had fails alone."""
        self._goals = self._resolved(connection, [target.name for target in self._order.spec.rewrite])
        with doing("comparing the targets' slices"):
            sentence = overlap(connection, self._goals)
        if sentence:
            raise ConfigurationError(sentence)
        self._look_at_freshness(connection)

    def _resolved(self, connection: Connection, names: Collection[str]) -> list[Goal]:
        goals: list[Goal] = []
        for index, target in enumerate(self._order.spec.rewrite):
            if target.name in names:
                with self._noting("Rewrite", target.name), doing(f"spec.rewrite[{index}]"):
                    goals.append(resolve(connection, wish(target, f"spec.rewrite[{index}]")))
        return goals

    def _look_again(self) -> None:
        """Look the targets up once more: refreshes take their time, and tables are altered meanwhile."""
        with doing("looking the targets up"):
            self._goals = self._resolved(self._connected(), [goal.name for goal in self._goals])

    def _warn_of_the_future(self, connection: Connection) -> None:
        """Say that runs whose data timestamps are the clock's will be superseded until that has caught up."""
        if self._order.now is None:
            return
        row = connection.execute("SELECT now() < %s", [self._order.now]).fetchone()
        if row == (True,):
            self._progress.says(
                f"the data timestamp {format_precise(self._order.now)} is later than the database's clock: until then "
                "no other run writes these slices, since that would go back behind it"
            )

    def _leave_out_what_is_not_due(self, connection: Connection) -> None:
        """Keep the targets that are due; where none is, no view is refreshed either.

        Where one is, all views are: which of them an own query reads, nobody knows.
        """
        due = [goal for goal in self._goals if not self._is_left_out(connection, goal)]
        if self._goals and not due:
            for action, name in self._record.left:
                self._record.leave_out(action, name, "not done: no target is due")
        self._goals = due

    def _is_left_out(self, connection: Connection, goal: Goal) -> bool:
        sentence = self._not_due(goal, ledger.read_slice(connection, goal.slice))
        if sentence:
            self._progress.says(f"target {goal.name}: {sentence}")
            self._record.leave_out("Rewrite", goal.name, sentence)
        return sentence is not None

    def _not_due(self, goal: Goal, entry: ledger.SliceRow | None) -> str | None:
        if self._record.row is None:
            raise AssertionError("targets are written after the run's row")
        every = next(target.every for target in self._order.spec.rewrite if target.name == goal.name)
        return not_due(every, entry, self._order.run, self._record.row)

    def _refresh(self) -> bool:
        """Refresh the views that no earlier attempt has refreshed, in order; return whether all went well."""
        for index, refresh in enumerate(self._order.spec.refresh):
            name = refresh.materialized_view
            if ("Refresh", name) not in self._record.left:
                continue
            self._stop.check()
            self._progress.starts("Refresh", name)
            with self._noting("Refresh", name), doing(f"spec.refresh[{index}]"):
                self._refresh_one(index, refresh)
            if self._record.has_failed("Refresh", name):
                return False
        return True

    def _refresh_one(self, index: int, refresh: Refresh) -> None:
        connection = self._connected()
        with self._watch.step(connection, "Refresh", refresh.materialized_view):
            step = refresh_view(
                connection,
                refresh,
                where=f"spec.refresh[{index}]",
                patience=self._patience,
                record=lambda step: ledger.write_steps(connection, self._order.run, [*self._record.steps, step]),
            )
        self._record.done(step)
        self._progress.ends(step)

    def _look_for_others(self, row: ledger.RunRow) -> dict[str, str]:
        """Return, by target, who else writes the same rows: each of them alone finds nothing wrong."""
        connection, told = self._connected(), {}
        for goal in self._goals:
            writes = read_writes(connection, goal.slice)
            if sentence := who_else_writes(goal.slice, writes, self._order.run, row.data_timestamp):
                self._progress.says(f"target {goal.name}: {sentence}")
                told[goal.name] = sentence
        return told

    def _rewrite(self, row: ledger.RunRow) -> None:
        writer = TargetWriter(
            run=self._order.run,
            row=row,
            locks=self._locks,
            patience=self._patience,
            stop=self._stop,
            progress=self._progress,
            not_due=self._not_due,
        )
        Rewriting(
            self._goals,
            row=row,
            writer=writer,
            sessions=self._sessions,
            locks=self._locks,
            stop=self._stop,
            progress=self._progress,
            watch=self._watch,
            record=self._record,
            noting=self._noting,
        ).write_all(self._connected, parallelism=self._order.spec.database.parallelism)

    def _maintain(self) -> None:
        """VACUUM what was churned."""
        connection = self._connection
        if connection is None or connection.closed:
            return
        tell_statistics(connection)
        for index, refresh in enumerate(self._order.spec.refresh):
            step = self._record.done_step("Refresh", refresh.materialized_view)
            if step and step.mode == "Concurrent":
                with self._only_remarked(step), doing("maintenance"):
                    view = look_up_view(connection, refresh.materialized_view, where=f"spec.refresh[{index}]")
                    self._maintain_one(connection, view.oid, step, written=None)
        for oid in dict.fromkeys(goal.table.oid for goal in self._goals):
            names = [goal.name for goal in self._goals if goal.table.oid == oid]
            if steps := [step for name in names if (step := self._record.done_step("Rewrite", name))]:
                with self._only_remarked(steps[-1]), doing("maintenance"):
                    self._maintain_one(connection, oid, steps[-1], written=dead_rows(steps))

    def _maintain_one(self, connection: Connection, oid: int, step: Step, *, written: int | None) -> None:
        with self._watch.step(connection, step.action, step.name):
            for sentence in maintain(connection, oid, written=written, stop=self._stop):
                self._record.remark(step.action, step.name, sentence)

    @contextmanager
    def _only_remarked(self, step: Step) -> Iterator[None]:
        """What the run is for is committed: whatever fails now is no more than a note."""
        try:
            yield
        except (psycopg.Error, RunError) as error:
            self._record.remark(step.action, step.name, f"not vacuumed: {self._explained(error)}")

    def _connected(self) -> Connection:
        """Return the connection that works, a new one where the last was lost."""
        if self._connection is None or self._connection.closed:
            self._connection = self._sessions.open_for_work()
        return self._connection

    @contextmanager
    def _noting(self, action: StepAction, name: str) -> Iterator[None]:
        """Have a view or target that fails fail alone."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 (whatever it is: the others go on, and the report tells)
            self._progress.ends(self._record.failed(action, name, self._explained(error)))

    def _explained(self, error: Exception) -> RunError:
        """Turn whatever was raised into a sentence without secrets."""
        redactor = self._order.access.redactor
        if isinstance(error, RunError):
            return error.with_answer(redactor)
        if self._stop.error is not None:
            return self._stop.error  # its cancellation is what the driver tells of
        if isinstance(error, psycopg.errors.QueryCanceled):
            return RunError(f"{from_driver(error, redactor)}; {self._sessions.limit_of_statements}")
        if isinstance(error, psycopg.Error):
            return from_driver(error, redactor)
        self._progress.says(redactor.foreign(traceback.format_exc()))
        return RunError(f"a bug of the runner, {type(error).__name__}: {redactor.foreign(str(error))}")

    def _look_at_freshness(self, connection: Connection) -> None:
        for goal in self._goals:
            if row := ledger.read_slice(connection, goal.slice):
                self._record.fresh[goal.name] = TargetReport(
                    name=goal.name, data_timestamp=row.data_timestamp, rows=row.rows
                )

    def _say_how_it_ended(self) -> Outcome:
        """Complete the run's row in the ledger, and return the report.

        A database that does not answer any more changes nothing about how the run went: the report is told elsewhere
        too, with what was known of each target.
        """
        connection = self._connection
        redactor = self._order.access.redactor
        if connection is None or connection.closed or self._record.row is None:
            return self._record.outcome(redactor)
        try:
            connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(_LAST_WORDS)))
            self._look_at_freshness(connection)
            outcome = self._record.outcome(redactor)
            ledger.end_run(connection, self._order.run, outcome.report)
        except psycopg.Error as error:
            self._progress.says(f"the ledger does not know how the run ended: {redactor.driver_text(error)}")
            return self._record.outcome(redactor)
        return outcome
