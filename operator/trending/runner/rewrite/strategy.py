"""What the strategies share: a slice of a table, a stage with the rows it is to hold, a plan, a result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql

from trending.runner.rewrite.columns import all_of, c, numbers
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
    updates: int | None
    """None where only the writing tells."""
    deletes: int
    moves: int = 0
    """Of the updates, those that are made by deleting the row and inserting it."""
    before: int
    """Rows of the slice as it is."""
    vanishing: int
    """Those of them whose key the source does not have, or a bound that they are not above (see limits.py)."""
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


def defaulted_columns(target: Destination, source: Stage) -> list[str]:
    """Return the columns that a row written anew gets from the table's defaults, since nothing else gives them."""
    return [
        column.name
        for column in target.table.columns.values()
        if column.name not in source.columns and column.name != source.stamp and not column.is_servers
    ]


@dataclass(frozen=True, kw_only=True)
class Met:
    """How slice and stage meet."""

    before: int
    """Rows of the slice."""
    kept: int
    """Those of them whose key the stage has too; or fewer, where fewer are enough to know."""


def count_rows(connection: Connection, target: Destination) -> int:
    """Count the slice's rows."""
    query = sql.SQL("SELECT count(*) FROM {} AS target WHERE {}").format(
        target.table.identifier, target.slice.condition("target")
    )
    (rows,) = connection.execute(query).fetchone() or (0,)
    return int(rows)


_MEET: Final = sql.SQL("""
    SELECT count(*), count(new.present)
    FROM (SELECT {columns} FROM {table} AS target WHERE {slice}) AS old
    LEFT JOIN (SELECT true AS present, {columns} FROM {stage}) AS new ON {same_key}
""")


def meet(connection: Connection, target: Destination, source: Stage) -> Met:
    """Count the slice's rows, and those whose key stays: one hash join on the key alone."""
    number = numbers(source)
    key = [number[name] for name in target.key]
    query = _MEET.format(
        columns=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier(name), c(number[name])) for name in target.key
        ),
        table=target.table.identifier,
        slice=target.slice.condition("target"),
        stage=source.identifier,
        same_key=all_of(sql.SQL("old.{0} = new.{0}").format(c(at)) for at in key),
    )
    before, kept = connection.execute(query).fetchone() or (0, 0)
    return Met(before=before, kept=kept)


def plan_all_anew(target: Destination, source: Stage, met: Met) -> Plan:
    """Return the plan of a strategy that writes every row anew: all of the slice's go, all of the stage's come."""
    lacking = defaulted_columns(target, source)
    return Plan(
        destination=target,
        source=source,
        inserts=source.rows,
        updates=0,
        deletes=met.before,
        before=met.before,
        vanishing=met.before - met.kept,
        note=f"columns that the query does not return have their defaults: {', '.join(lacking)}" if lacking else None,
    )


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
