"""The ledger: there, of this version, with the rights that a run needs; and who else writes the same slices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import psycopg

from trending.api.instant import format_instant
from trending.runner.goal import Goal
from trending.runner.migrate import LEDGER
from trending.runner.neighbours import read_writes
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.rights import grant, lacking_on_table, may_use_schema, role

Connection = psycopg.Connection[Any]

WHERE: Final = "ledger"
_SCHEMA: Final = "trending"
_WRITTEN: Final = ("run", "freshness")
"""The tables that a run writes; it only reads the others."""
_MIGRATE: Final = "run `trending migrate` on it once, as the owner of the database"

_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS trending\.(\w+) \(\n(.*?)\n\);", re.DOTALL)
_COLUMN: Final = re.compile(r"^    ([a-z_]+) ", re.MULTILINE)
# By the catalog: without USAGE on the schema its tables cannot be named.
_COLUMNS: Final = """
    SELECT c.relname, c.oid, array_agg(a.attname::text)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND c.relkind IN ('r', 'p')
    GROUP BY c.oid
"""
# A run of a Job is named by its schedule's uid, then the Job.
_UIDS: Final = """
    WITH uids AS (
        SELECT split_part(run_id, '/', 1) AS uid, min(started_at) AS first, max(started_at) AS last
        FROM trending.run WHERE namespace = %s AND schedule = %s AND job IS NOT NULL
        GROUP BY 1
    )
    SELECT a.uid, b.uid FROM uids AS a JOIN uids AS b ON a.first < b.first AND b.first < a.last
    ORDER BY b.last DESC LIMIT 1
"""


def expected_tables() -> dict[str, tuple[str, ...]]:
    """Return the ledger's tables with their columns, as this version's migration makes them."""
    text = (files("trending") / "migrations" / f"{LEDGER}.sql").read_text(encoding="utf-8")
    return {name: tuple(_COLUMN.findall(body)) for name, body in _TABLE.findall(text)}


def check_ledger(connection: Connection, findings: Findings) -> bool:
    """Look whether a run could keep the ledger; return whether it can at least be read."""
    is_readable = False
    with findings.within(connection, WHERE):
        found = {name: (oid, set(columns)) for name, oid, columns in connection.execute(_COLUMNS, [_SCHEMA])}
        is_readable = _check_shape(findings, {name: columns for name, (_, columns) in found.items()})
        if is_readable:
            is_readable = _check_rights(connection, findings, {name: oid for name, (oid, _) in found.items()})
    return is_readable


def check_others(connection: Connection, goals: Sequence[Goal], findings: Findings, *, ours: tuple[str, str]) -> None:
    """Look for other schedules that write rows of these slices; `ours` are namespace and name. Needs a readable
    ledger."""
    with findings.within(connection, WHERE):
        for goal in goals:
            for write in read_writes(connection, goal.slice):
                theirs = (write.namespace or "", write.schedule or "")
                if theirs == ours:
                    continue
                by = f"target {write.target} of schedule {'/'.join(filter(None, theirs))}"
                what = "this slice" if write.is_of(goal.slice) else "rows of this slice"
                findings.warning(
                    goal.where,
                    f"{by} has written {what} of {goal.table.qualified} at "
                    f"{format_instant(write.data_timestamp)}: two schedules on the same rows undo each other's work; "
                    "remove one, or, where it is gone already, delete its row from trending.freshness",
                )
        _check_clusters(connection, findings, ours)


def _check_clusters(connection: Connection, findings: Findings, ours: tuple[str, str]) -> None:
    if row := connection.execute(_UIDS, ours).fetchone():
        findings.warning(
            WHERE,
            f"runs of schedule {'/'.join(ours)} come by turns from two objects (uids {row[0]} and {row[1]}), as where "
            "two clusters have one of this name for the same database: remove one of them",
        )


def _check_shape(findings: Findings, found: dict[str, set[str]]) -> bool:
    expected = expected_tables()
    if not found.keys() & expected.keys():
        findings.error(WHERE, f"the database has no ledger (schema {_SCHEMA}): {_MIGRATE}")
        return False
    for name, columns in expected.items():
        if lacking := [column for column in columns if column not in found.get(name, ())]:
            what = f"lacks column {', '.join(lacking)}" if name in found else "is not there"
            findings.error(WHERE, f"the ledger is not of this version: table {_SCHEMA}.{name} {what}; {_MIGRATE}")
            return False
    return True


def _check_rights(connection: Connection, findings: Findings, oids: dict[str, int]) -> bool:
    to, is_readable = role(connection), True
    if not may_use_schema(connection, _SCHEMA):
        findings.error(WHERE, f"the role {to} may not use the ledger: {grant(['USAGE'], f'SCHEMA {_SCHEMA}', to)}")
        is_readable = False
    for name in expected_tables():
        wanted = ("SELECT", "INSERT", "UPDATE") if name in _WRITTEN else ("SELECT",)
        if lacking := lacking_on_table(connection, oids[name], wanted):
            statement = grant(lacking, f"{_SCHEMA}.{name}", to)
            findings.error(WHERE, f"the role {to} has not all rights on {_SCHEMA}.{name}: {statement}")
            is_readable = is_readable and "SELECT" not in lacking
    if not findings.has_errors(WHERE):
        findings.ok(WHERE, "it is there, of this version, and the role may write it")
    return is_readable
