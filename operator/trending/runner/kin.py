"""Slices of two tables of which one is a partition of the other, or inherits from it: they may have rows in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.slices import Slice
from trending.runner.table import Table

Connection = psycopg.Connection[Any]

_TABLES: Final = """
    WITH RECURSIVE part (oid) AS (
        SELECT %(oid)s::oid UNION SELECT i.inhrelid FROM part JOIN pg_inherits AS i ON i.inhparent = part.oid
    )
    SELECT n.nspname::text, c.relname::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid IN (TABLE part) OR c.oid = ANY(%(above)s::oid[])
"""
"""A table, its parts at any level, and those of other oids: schema, name, and name as the ledger has it."""


def names_of_kin(connection: Connection, table: Table) -> list[str]:
    """Return the names, as the ledger has them, of the tables that this one is a part of, and of its parts."""
    found = connection.execute(_TABLES, {"oid": table.oid, "above": list(table.ancestors)})
    return [qualified for _, _, qualified in found if qualified != table.qualified]


def share_rows(connection: Connection, one: Slice, other: Slice) -> bool:
    """Tell whether a row could be in both.

    Of a table and a part of it the planner is asked whether that would have to be read for the slice: it knows what
    the bounds of partitions and the CHECK constraints of others rule out. Who may not read the table is not told.
    """
    if not one.overlaps(other):
        return False
    if one.table.oid == other.table.oid:
        return True
    whole, part = (one, other) if one.table.oid in other.table.ancestors else (other, one)
    found = connection.execute(_TABLES, {"oid": part.table.oid, "above": []})
    parts = {(schema, name) for schema, name, _ in found}
    explain = sql.SQL("EXPLAIN (FORMAT JSON, VERBOSE) SELECT FROM {} AS target WHERE {}").format(
        whole.table.identifier, whole.condition("target")
    )
    try:
        with connection.transaction():
            (plans,) = connection.execute(explain).fetchone() or ([],)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return any(relation in parts for each in plans for relation in _read(each["Plan"]))


def _read(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each relation that a plan reads."""
    if "Relation Name" in plan:
        yield plan["Schema"], plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from _read(below)
