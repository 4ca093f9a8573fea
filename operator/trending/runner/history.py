"""What earlier runs of a schedule took, from the ledger: what the next one is expected to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import psycopg
from pydantic import TypeAdapter

from trending.api.status import Step, StepAction

Connection = psycopg.Connection[Any]

_RUNS: Final = 20
"""How many of the newest runs are looked at: an older one tells little of today's data."""

_BY_ROW: Final = ("Merge", "Upsert")
"""The strategies that write what differs; the others write the whole slice, whatever that is."""

_STEPS: Final = """
    SELECT coalesce(report->'steps', '[]') FROM trending.run
    WHERE namespace = %s AND schedule = %s ORDER BY started_at DESC LIMIT %s
"""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a step is expected to take; medians, None where nothing is known."""

    seconds: float | None = None
    wal_bytes: int | None = None
    """Others' writing meanwhile is counted with it."""
    runs: int = 0
    """How many earlier steps it rests on."""


class History:
    """The steps of a schedule's newest runs."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """`steps` with the newest run's first; not counted: what was not done, or wrote nothing since superseded."""
        self._steps = [step for step in steps if step.seconds is not None and (step.mode or step.strategy)]

    def estimate(self, action: StepAction, name: str, how: str | None, *, changes: int | None = None) -> Estimate:
        """Return what this step is expected to take when it is done in this mode or by this strategy (`how`).

        With `changes`, the number of rows that are to change, the WAL of Merge and Upsert is that of a row changed,
        times that number, which is what it depends on; with none it is that of the runs that changed none.
        """
        steps = [
            step
            for step in self._steps
            if (step.action, step.name) == (action, name) and how in (step.mode, step.strategy)
        ]
        if not steps:
            return Estimate()
        seconds = round(median(step.seconds for step in steps if step.seconds is not None), 3)
        return Estimate(seconds=seconds, wal_bytes=_wal_bytes(steps, changes), runs=len(steps))

    def expected(self, action: StepAction, name: str) -> float | None:
        """Return how many seconds this step is expected to take when it is done as it was the last time."""
        for step in self._steps:
            if (step.action, step.name) == (action, name):
                return self.estimate(action, name, step.mode or step.strategy).seconds
        return None


def read_history(connection: Connection, *, namespace: str, schedule: str) -> History:
    """Read what the ledger knows of this schedule's runs."""
    rows = connection.execute(_STEPS, [namespace, schedule, _RUNS]).fetchall()
    of_runs = TypeAdapter(list[list[Step]]).validate_python([steps for (steps,) in rows])
    return History([step for steps in of_runs for step in steps])


def _wal_bytes(steps: Sequence[Step], changes: int | None) -> int | None:
    known = [step for step in steps if step.wal_bytes is not None]
    if not known:
        return None
    if changes is None or known[0].strategy not in _BY_ROW:
        return round(median(step.wal_bytes or 0 for step in known))
    if changes == 0:
        idle = [step.wal_bytes or 0 for step in known if not _changed(step)]
        return round(median(idle)) if idle else None
    rates = [(step.wal_bytes or 0) / rows for step in known if (rows := _changed(step))]
    return round(median(rates) * changes) if rates else None


def _changed(step: Step) -> int:
    return sum(rows or 0 for rows in (step.rows_inserted, step.rows_updated, step.rows_deleted))
