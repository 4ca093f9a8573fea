"""What a target's step says of how it was written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg

from trending.api.status import Step
from trending.runner.goal import Goal
from trending.runner.rewrite import Plan, RewriteResult
from trending.runner.wal import wal_bytes

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Account:
    """What is known of a rewrite before it is done."""

    goal: Goal
    begun: float
    """When, by time.monotonic()."""
    wal: int
    """The WAL position then, in bytes."""
    again: int
    """How often it was begun again."""
    why: str | None
    """Why the strategy was taken, where the choice was ours."""

    def step(self, connection: Connection, strategy: str, plan: Plan, result: RewriteResult, *more: str | None) -> Step:
        """Return the step; `more` is what else is to be said."""
        return Step(
            name=self.goal.name,
            action="Rewrite",
            strategy=strategy,
            seconds=round(time.monotonic() - self.begun, 3),
            rows_inserted=result.inserted,
            rows_updated=result.updated,
            rows_deleted=result.deleted,
            rows_unchanged=result.unchanged,
            wal_bytes=wal_bytes(connection) - self.wal,
            note=self._note(plan, result, more),
        )

    def _note(self, plan: Plan, result: RewriteResult, more: tuple[str | None, ...]) -> str | None:
        notes = [self.why, *more, plan.note]
        updates = result.updated if plan.updates is None else plan.updates
        planned, done = (plan.inserts, updates, plan.deletes), (result.inserted, result.updated, result.deleted)
        if planned != done:
            # A trigger or a row policy of the table has left rows out.
            notes.append(f"the server wrote {sum(done)} rows of the {sum(planned)} that were to change")
        if self.again:
            notes.append(f"begun again {self.again} times, since other sessions wrote the same rows")
        return "; ".join(note for note in notes if note) or None
