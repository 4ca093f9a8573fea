"""What a run would do now, up to the decision: everything in transactions that are rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from trending.api.duration import format_duration
from trending.api.instant import format_instant, format_precise
from trending.api.spec import Refresh, Target, TrendingScheduleSpec
from trending.runner import ledger
from trending.runner.access import Access
from trending.runner.due import due_at
from trending.runner.failure import RunError, doing, from_driver
from trending.runner.history import Estimate, History, read_history
from trending.runner.planned import PlannedRefresh, PlannedRewrite, RunPlan
from trending.runner.preflight import Checked, Findings, Preflight, check, is_writable, usable_settings
from trending.runner.preview import Preview, preview
from trending.runner.session import Sessions
from trending.runner.stop import Stop
from trending.runner.view import View

Connection = psycopg.Connection[Any]

_OWN_SETTINGS: Final = {
    # Whatever is not in a transaction that says READ WRITE, and is rolled back, cannot write.
    "default_transaction_read_only": "on",
    # Readers' locks are all that it takes. Who holds one against readers for longer is told of, not waited for.
    "lock_timeout": "2s",
}


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """What is to be planned."""

    namespace: str
    schedule: str
    spec: TrendingScheduleSpec
    access: Access
    now: datetime | None = None
    """The data timestamp to plan for; the database's clock by default."""


def make_plan(inquiry: Inquiry, *, stop: Stop) -> RunPlan:
    """Plan a run. Raises RunError where the database cannot be reached, the connection is lost, or it is stopped."""
    try:
        return _make_plan(inquiry, stop)
    except RunError as error:
        raise error.with_answer(inquiry.access.redactor) from None
    except psycopg.Error as error:
        raise stop.error or from_driver(error, inquiry.access.redactor) from None


def _make_plan(inquiry: Inquiry, stop: Stop) -> RunPlan:
    findings = Findings(inquiry.access.redactor)
    plan = RunPlan(preflight=findings.all)
    with closing(_open(inquiry, findings, stop)) as connection:
        now = plan.data_timestamp = inquiry.now or _clock(connection)
        if not is_writable(connection, findings):
            return plan
        with doing("the preflight"), _rolled_back(connection):
            checked = check(
                connection,
                inquiry.spec,
                findings,
                namespace=inquiry.namespace,
                schedule=inquiry.schedule,
                now=now,
            )
        history = History([])
        if checked.has_ledger:
            history = read_history(connection, namespace=inquiry.namespace, schedule=inquiry.schedule)
        plan.refresh = [_refresh(each, checked.views, history) for each in inquiry.spec.refresh]
        targets = {each.goal.name: each for each in checked.targets}
        for index, target in enumerate(inquiry.spec.rewrite):
            stop.check()
            rewriting = _Rewriting(connection, plan, findings, checked, history, f"spec.rewrite[{index}]")
            plan.rewrite.append(rewriting.plan(target, targets.get(target.name), stop))
    return plan


def _open(inquiry: Inquiry, findings: Findings, stop: Stop) -> Connection:
    """Open a connection set up as a run's is, with those of the user's settings that the server takes."""
    settings = inquiry.spec.database.settings or {}
    with closing(_sessions(inquiry, {}, stop).open_for_work()) as probe:
        probe.execute("SET default_transaction_read_only = on")
        usable = usable_settings(probe, settings, findings)
    connection = _sessions(inquiry, usable, stop).open_for_work()
    for name, value in _OWN_SETTINGS.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    return connection


def _sessions(inquiry: Inquiry, settings: dict[str, str], stop: Stop) -> Sessions:
    return Sessions(inquiry.access, schedule=f"{inquiry.schedule}/plan", settings=settings, stop=stop)


def _clock(connection: Connection) -> datetime:
    row = connection.execute("SELECT now()").fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise AssertionError("SELECT now() returned no time")
    return row[0]


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """Begin a transaction that may make temporary views and tables, and end it without a trace."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()


def _refresh(refresh: Refresh, views: dict[str, View], history: History) -> PlannedRefresh:
    view = views.get(refresh.materialized_view)
    mode, why = _mode(refresh, view)
    estimate = history.estimate("Refresh", refresh.materialized_view, mode) if mode else Estimate()
    return PlannedRefresh(
        name=refresh.materialized_view,
        mode=mode,
        why=why,
        seconds=estimate.seconds,
        wal_bytes=estimate.wal_bytes,
        runs=estimate.runs,
    )


def _mode(refresh: Refresh, view: View | None) -> tuple[str | None, str]:
    """Decide as a refresh does (see refresh.py), and say why."""
    if view is None:
        return None, "there is no such view: see the preflight"
    if refresh.mode == "Blocking":
        return "Blocking", "mode is Blocking"
    if view.obstacle is None:
        return "Concurrent", "it is populated and has a unique index on plain columns"
    if refresh.mode == "Concurrently":
        return None, f"mode is Concurrently, and {view.obstacle}"
    return "Blocking", view.obstacle


@dataclass(frozen=True)
class _Rewriting:
    """The planning of one target."""

    connection: Connection
    whole: RunPlan
    findings: Findings
    checked: Preflight
    history: History
    where: str

    def plan(self, target: Target, checked: Checked | None, stop: Stop) -> PlannedRewrite:
        """Say what would become of the target."""
        if checked is None:
            return PlannedRewrite(name=target.name, due=True, error="it cannot be had: see the preflight")
        goal = checked.goal
        due, note = self._due(target, checked)
        base = PlannedRewrite(
            name=target.name,
            table=goal.table.qualified,
            slice={name: list(values) for name, values in goal.slice.values.items()},
            due=due,
            note=note,
        )
        if not self.checked.has_ledger or self.findings.has_errors(self.where):
            return _with(base, error="it would fail: see the preflight")
        if checked.source and any(read.is_unpopulated_view for read in checked.source.reads):
            unknown = "what would change is not known before the views that it reads are populated"
            return _with(base, note="; ".join(filter(None, (note, unknown))))
        try:
            with doing(self.where):
                return self._filled(base, preview(self.connection, goal, self._now()))
        except RunError as error:
            return self._failed(base, error.with_answer(self.findings.redactor))
        except psycopg.Error as error:
            if self.connection.closed or stop.error:
                raise
            return self._failed(base, from_driver(error, self.findings.redactor))

    def _now(self) -> datetime:
        if self.whole.data_timestamp is None:
            raise AssertionError("a target is planned before the data timestamp is known")
        return self.whole.data_timestamp

    def _failed(self, base: PlannedRewrite, error: RunError) -> PlannedRewrite:
        self.whole.may_pass = self.whole.may_pass or error.retry
        return _with(base, error=str(error))

    def _due(self, target: Target, checked: Checked) -> tuple[bool, str | None]:
        """Tell whether a run whose slot is the data timestamp would rewrite the target, and why not."""
        now = self._now()
        entry = ledger.read_slice(self.connection, checked.goal.slice) if self.checked.has_ledger else None
        if entry is None:
            return True, None
        if entry.data_timestamp and entry.data_timestamp > now:
            return True, (
                f"it would be superseded: the slice holds data of {format_precise(entry.data_timestamp)}, newer than "
                f"{format_precise(now)}, and nothing would be written"
            )
        at = due_at(target.every, entry.scheduled_time)
        if at is None or target.every is None or now >= at:
            return True, None
        return False, f"not due before {format_instant(at)} (every {format_duration(target.every)})"

    def _filled(self, base: PlannedRewrite, found: Preview) -> PlannedRewrite:
        estimate = self.history.estimate(
            "Rewrite", base.name, found.strategy, changes=found.inserts + found.updates + found.deletes
        )
        return _with(
            base,
            note="; ".join(filter(None, (base.note, found.note))) or None,
            strategy=found.strategy,
            why=found.why,
            rows=found.rows,
            rows_inserted=found.inserts,
            rows_updated=found.updates,
            rows_deleted=found.deletes,
            rows_unchanged=found.unchanged,
            seconds=estimate.seconds,
            wal_bytes=estimate.wal_bytes,
            runs=estimate.runs,
            error=found.refused,
        )


def _with(base: PlannedRewrite, **fields: Any) -> PlannedRewrite:
    return PlannedRewrite(**{**vars(base), **fields})
