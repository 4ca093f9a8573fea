"""The ledger, schema `trending` of the user's database: what every run did, and how fresh every slice is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from trending.api.document import Trigger
from trending.api.status import Step
from trending.report import Report
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Which run this is."""

    run_id: str
    """The same for every attempt of a Job."""
    namespace: str | None
    schedule: str
    job: str | None
    trigger: Trigger
    scheduled_time: datetime | None
    """None for a run without a cluster: the second it begins in."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """What the ledger knows of a run when an attempt begins."""

    data_timestamp: datetime
    """The run's `:now`, fixed by its first attempt."""
    scheduled_time: datetime
    started_at: datetime
    attempts: int
    report: dict[str, Any]

    @property
    def refreshed(self) -> dict[str, Step]:
        """The refreshes that an earlier attempt has committed, by the view's name."""
        steps = TypeAdapter(list[Step]).validate_python(self.report.get("steps", []))
        return {step.name: step for step in steps if step.action == "Refresh" and step.seconds is not None}


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """What the ledger knows of a slice; all None before its first write."""

    data_timestamp: datetime | None
    scheduled_time: datetime | None
    """The slot of its last scheduled write; None where only runs by hand have written it."""
    run_id: str | None
    target: str | None
    rows: int | None
    step: dict[str, Any] | None

    def written_by(self, run_id: str, target: str) -> Step | None:
        """Return the step of this run that has written the slice, where one has."""
        if self.run_id != run_id or self.target != target or self.step is None:
            return None
        return Step.model_validate(self.step)


@dataclass(frozen=True, kw_only=True)
class FreshSlice:
    """How fresh a slice is; all but table and slice are None before its first write."""

    table_name: str
    slice: dict[str, list[str]]
    namespace: str | None
    schedule: str | None
    target: str | None
    data_timestamp: datetime | None
    scheduled_time: datetime | None
    rows: int | None


_BEGIN: Final = """
    INSERT INTO trending.run AS run (run_id, namespace, schedule, job, trigger, scheduled_time, data_timestamp)
    VALUES (%(run_id)s, %(namespace)s, %(schedule)s, %(job)s, %(trigger)s,
        coalesce(%(scheduled_time)s, date_trunc('second', now())), coalesce(%(now)s, now()))
    ON CONFLICT (run_id) DO UPDATE
    SET attempts = run.attempts + 1, completed_at = NULL, result = NULL, reason = NULL, message = NULL
    RETURNING data_timestamp, scheduled_time, started_at, attempts, report
"""
_END: Final = """
    UPDATE trending.run
    SET completed_at = clock_timestamp(), result = %(result)s, reason = %(reason)s, message = %(message)s,
        report = %(report)s
    WHERE run_id = %(run_id)s
"""
_SLICE: Final = """
    SELECT data_timestamp, scheduled_time, run_id, target, rows, step FROM trending.freshness
    WHERE table_name = %s AND slice = %s::jsonb
"""
_WRITTEN: Final = """
    UPDATE trending.freshness
    SET namespace = %(namespace)s, schedule = %(schedule)s, target = %(target)s, data_timestamp = %(data_timestamp)s,
        scheduled_time = greatest(%(slot)s, scheduled_time), run_id = %(run_id)s, rows = %(rows)s, step = %(step)s
    WHERE table_name = %(table)s AND slice = %(slice)s::jsonb
"""


def begin_run(connection: Connection, run: RunIdentity, *, now: datetime | None) -> RunRow:
    """Commit the run's row, or count one more attempt of it. `now` is the data timestamp that a first attempt asks for;
    the database's clock by default."""
    cursor = connection.cursor(row_factory=class_row(RunRow)).execute(_BEGIN, {**vars(run), "now": now})
    row = cursor.fetchone()
    if row is None:
        raise AssertionError("INSERT .. RETURNING returned no row")
    return row


def write_steps(connection: Connection, run: RunIdentity, steps: list[Step]) -> None:
    """Write what has been done so far; the caller's transaction commits it together with the last of it."""
    report = Jsonb({"steps": [step.to_json_object() for step in steps]})
    connection.execute("UPDATE trending.run SET report = %s WHERE run_id = %s", [report, run.run_id])


def end_run(connection: Connection, run: RunIdentity, report: Report) -> None:
    """Complete the run's row."""
    parameters = {
        "run_id": run.run_id,
        "result": report.result,
        "reason": report.reason,
        "message": report.message,
        "report": Jsonb(report.to_json_object()),
    }
    connection.execute(_END, parameters)


def lock_slice(connection: Connection, slice_: Slice) -> SliceRow:
    """Lock the slice's row until the end of the transaction, making it where there is none."""
    place = [slice_.table.qualified, slice_.canonical]
    connection.execute(
        "INSERT INTO trending.freshness (table_name, slice) VALUES (%s, %s::jsonb) ON CONFLICT DO NOTHING", place
    )
    row = _read(connection, f"{_SLICE} FOR UPDATE", place)
    if row is None:
        raise psycopg.errors.SerializationFailure("the slice's row in the ledger was made by another transaction")
    return row


def read_slice(connection: Connection, slice_: Slice) -> SliceRow | None:
    """Return what the ledger knows of a slice."""
    return _read(connection, _SLICE, [slice_.table.qualified, slice_.canonical])


def read_all(connection: Connection) -> list[FreshSlice]:
    """Return what the ledger knows of every slice, the oldest data first."""
    query = """
        SELECT table_name, slice, namespace, schedule, target, data_timestamp, scheduled_time, rows
        FROM trending.freshness ORDER BY data_timestamp NULLS FIRST, table_name, slice
    """
    return connection.cursor(row_factory=class_row(FreshSlice)).execute(query).fetchall()


def write_slice(
    connection: Connection, run: RunIdentity, row: RunRow, slice_: Slice, *, target: str, rows: int, step: Step
) -> None:
    """Write that the slice now holds this run's data; the caller's transaction commits it together with these."""
    parameters = {
        "table": slice_.table.qualified,
        "slice": slice_.canonical,
        "namespace": run.namespace,
        "schedule": run.schedule,
        "target": target,
        "data_timestamp": row.data_timestamp,
        # A run by hand has no slot: what `every` counts from stays.
        "slot": row.scheduled_time if run.trigger == "Schedule" else None,
        "run_id": run.run_id,
        "rows": rows,
        "step": Jsonb(step.to_json_object()),
    }
    connection.execute(_WRITTEN, parameters)


def _read(connection: Connection, query: str, place: list[str]) -> SliceRow | None:
    return connection.cursor(row_factory=class_row(SliceRow)).execute(query.encode(), place).fetchone()
