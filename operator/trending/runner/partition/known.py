"""Which slices of a table are known: those that runs have written, and those of schedules at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from trending.api.spec import TrendingScheduleSpec
from trending.runner.failure import ConfigurationError
from trending.runner.goal import wish
from trending.runner.migrate import ledger_is_there
from trending.runner.slices import Slice, canonical_slice
from trending.runner.table import Table

Connection = psycopg.Connection[Any]


def slices_in_ledger(connection: Connection, table: Table) -> list[Slice]:
    """Return the slices of this table that the ledger knows; none where there is no ledger."""
    if not ledger_is_there(connection):
        return []
    query = "SELECT slice FROM trending.freshness WHERE table_name = %s ORDER BY slice"
    found = [values for (values,) in connection.execute(query, [table.qualified])]
    return [
        Slice(table=table, values={name: tuple(texts) for name, texts in sorted(values.items())})
        for values in found
        if set(values) <= set(table.columns)  # else of another table that had this name once
    ]


def slices_of_schedule(connection: Connection, table: Table, spec: TrendingScheduleSpec) -> list[Slice]:
    """Return the slices of this table that a schedule's targets rewrite. Raises ConfigurationError."""
    found = []
    for index, target in enumerate(spec.rewrite):
        wanted = wish(target, f"spec.rewrite[{index}]")
        row = connection.execute("SELECT to_regclass(%s)::oid", [wanted.table]).fetchone()
        if row is not None and row[0] == table.oid:
            found.append(canonical_slice(connection, table, wanted.slice, where=f"{wanted.where}.slice"))
    return found


def columns_of(table: Table, slices: Sequence[Slice]) -> tuple[str, ...]:
    """Return the columns that slices name: those that most of them name first, then in the table's order.

    Raises ConfigurationError where no slice names a column.
    """
    places = list(table.columns)
    named = {name for each in slices for name in each.values}
    if not named:
        raise ConfigurationError(
            f"no slice of {table.qualified} is known that names a column: give the schedule that rewrites it "
            "(-f FILE), or the columns (--by COLUMN,COLUMN)"
        )
    return tuple(sorted(named, key=lambda name: (-sum(name in each.values for each in slices), places.index(name))))
