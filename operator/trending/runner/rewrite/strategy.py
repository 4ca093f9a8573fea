"""What the strategies share: a slice of a table, a stage with the rows it is to hold, a plan, a result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
from psycopg import sql

from trending.runner.slices import Slice
from trending.runner.stage import Stage
from trending.runner.table import Table

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the stage's rows go."""

    slice: Slice
    key: tuple[str, ...]
    now: datetime
    """The run's data timestamp."""

    @property
    def table(self) -> Table:
        """The table that the slice is of."""
        return self.slice.table


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would change."""

    destination: Destination
    source: Stage
    inserts: int
    updates: int
    deletes: int
    changes: sql.Identifier | None = None
    """Where a strategy has written down which rows change; it ends with the transaction."""
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class RewriteResult:
    """What did change, as the server counted it."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int


class Strategy(Protocol):
    """A way to make a slice hold the stage's rows, within the caller's REPEATABLE READ transaction."""

    @property
    def name(self) -> str:
        """The word for reports."""
        ...

    def plan(self, target: Destination, source: Stage) -> Plan:
        """Find out what would change, writing nothing to the table."""
        ...

    def apply(self, plan: Plan) -> RewriteResult:
        """Change it."""
        ...


def insert_rows(connection: Connection, plan: Plan, rows: sql.Composable) -> int:
    """Insert `rows`, a FROM item with the stage's columns named `staged`, stamped; return how many the server took."""
    target, source = plan.destination, plan.source
    columns: list[sql.Composable] = [sql.Identifier(name) for name in source.columns]
    values: list[sql.Composable] = [sql.SQL("staged.{}").format(column) for column in columns]
    if source.stamp:
        columns.append(sql.Identifier(source.stamp))
        values.append(sql.SQL("{}::timestamptz").format(target.now))
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        target.table.identifier, sql.SQL(", ").join(columns), sql.SQL(", ").join(values), rows
    )
    return connection.execute(insert).rowcount
