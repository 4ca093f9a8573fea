"""A target's query: planned by the server, its columns' types against the table's, and what it reads."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.runner.failure import from_driver
from trending.runner.goal import Goal
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.reads import Read, read_by
from trending.runner.preflight.rights import grant, lacking_by, lacking_on_table, role

Connection = psycopg.Connection[Any]

_CURES: Final = {
    "42883": "create the function or operator, or the extension that has it (pg_available_extensions), or add casts",
    "42704": "create the type, or the extension that has it, or correct its name",
    "42P01": "create it, or correct its name (as in SQL, with its schema where that is not in the search_path)",
    "42703": "correct the name of the column",
    "0A000": "write a SELECT that only reads",
}
"""What to do, by what the server answers when it is asked to plan the query (SQLSTATE)."""

_COLUMNS: Final = """
    SELECT a.attname AS name, a.atttypid AS type, format_type(a.atttypid, a.atttypmod) AS shown,
        t.typcategory::text AS category
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
# Casts that PostgreSQL makes only when it stores: between numbers or between moments these may lose something.
_NARROWING: Final = """
    SELECT FROM pg_cast WHERE castsource = %s AND casttarget = %s AND castcontext = 'a'
"""


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    type: int
    shown: str
    category: str
    """pg_type.typcategory: N numbers, D dates and times."""


@dataclass(frozen=True)
class Source:
    """What planning a query has shown."""

    columns: frozenset[str]
    reads: tuple[Read, ...]
    """What it reads; a function's reads are hidden from the catalog."""


def check_source(connection: Connection, goal: Goal, now: datetime, findings: Findings) -> Source | None:
    """Have the server plan the target's query without running it; None where it cannot."""
    where = f"{goal.where}.query"
    try:
        with connection.transaction():
            view = _as_view(connection, goal, now)
    except psycopg.errors.InsufficientPrivilege as error:
        findings.error(where, f"{lacking_by(connection, error)}: {findings.redactor.driver_text(error)}")
        return None
    except psycopg.Error as error:
        if _may_pass(error, findings):
            raise
        cure = _CURES.get(error.sqlstate or "", "correct the query")
        findings.error(where, f"the server cannot plan it; {cure}: {findings.redactor.driver_text(error)}")
        return None
    reads = read_by(connection, view)
    if not _may_read(connection, goal, reads, now, findings, where):
        return None
    columns = {column.name: column for column in _columns(connection, view)}
    with findings.within(connection, where):
        _check_types(connection, goal, columns, findings, where)
    return Source(frozenset(columns), tuple(reads))


def _as_view(connection: Connection, goal: Goal, now: datetime) -> int:
    """Make the query a temporary view, which shows its columns and what it reads, and needs no rights on that.

    A view has no parameters; the text for `:now` is put where they stand. It ends with the caller's rollback.
    """
    identifier = sql.Identifier("pg_temp", f"trending_plan_{secrets.token_hex(4)}")
    value = sql.Literal(now.isoformat()).as_string(connection)
    text = goal.query.text.replace("($1::timestamptz)", f"({value}::timestamptz)")
    # As runs have it: as a subquery, which has to be a SELECT.
    query = sql.SQL("CREATE TEMPORARY VIEW {} AS SELECT * FROM (\n{}\n) AS source").format(identifier, _raw(text))
    connection.execute(query)
    row = connection.execute("SELECT %s::regclass::oid", [identifier.as_string(connection)]).fetchone()
    if row is None:
        raise AssertionError("SELECT without FROM returned no row")
    return int(row[0])


def _may_read(
    connection: Connection, goal: Goal, reads: list[Read], now: datetime, findings: Findings, where: str
) -> bool:
    """Have the server check the rights, as it does when a plan is begun; on refusal tell which are lacking."""
    explain = sql.SQL("EXPLAIN SELECT * FROM (\n{}\n) AS source").format(_raw(goal.query.text))
    try:
        with connection.transaction():
            psycopg.RawCursor(connection).execute(explain, [now] if goal.query.uses_now else None)
    except psycopg.errors.InsufficientPrivilege as error:
        to = role(connection)
        lacking = [read for read in reads if read.is_direct and lacking_on_table(connection, read.oid, ["SELECT"])]
        statements = "; ".join(grant(["SELECT"], read.qualified, to) for read in lacking)
        said = findings.redactor.driver_text(error)
        findings.error(
            where, f"the role {to} may not read all that it reads: {statements or 'grant the right'}: {said}"
        )
        return False
    except psycopg.Error as error:
        if _may_pass(error, findings):
            raise
        findings.error(where, f"the server cannot plan it: {findings.redactor.driver_text(error)}")
        return False
    return True


def _may_pass(error: psycopg.Error, findings: Findings) -> bool:
    """Tell whether the query is not to blame: a lock, a lost connection."""
    return error.sqlstate not in _CURES and from_driver(error, findings.redactor).retry


def _check_types(
    connection: Connection, goal: Goal, columns: Mapping[str, _Column], findings: Findings, where: str
) -> None:
    table = {column.name: column for column in _columns(connection, goal.table.oid)}
    for name, source in columns.items():
        target = table.get(name)
        if target is None or target.type == source.type or name not in goal.table.columns:
            continue
        if not _can_be_stored(connection, goal, name, source):
            findings.error(
                where,
                f"it returns {name} as {source.shown}, and the column of {goal.table.qualified} is {target.shown}, "
                f"which that is not stored in: write {name}::{target.shown}",
            )
        elif _may_lose(connection, source, target):
            findings.warning(
                where,
                f"it returns {name} as {source.shown}, and the column of {goal.table.qualified} is {target.shown}: "
                "values are rounded, cut or out of range when they are stored; write the cast that you mean",
            )


def _can_be_stored(connection: Connection, goal: Goal, name: str, source: _Column) -> bool:
    """Ask the server whether it casts one type to the other when it stores, as it does when the stage is filled."""
    stage = sql.Identifier("pg_temp", f"trending_plan_{secrets.token_hex(4)}")
    with connection.transaction():
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
                stage, sql.Identifier(name), goal.table.identifier
            )
        )
    try:
        with connection.transaction():
            connection.execute(
                sql.SQL("EXPLAIN INSERT INTO {} SELECT source.c FROM (SELECT NULL::{} AS c) AS source").format(
                    stage, _raw(source.shown)
                )
            )
    except psycopg.errors.DatatypeMismatch:
        return False
    return True


def _may_lose(connection: Connection, source: _Column, target: _Column) -> bool:
    if source.category != target.category or source.category not in ("N", "D"):
        return False
    return connection.execute(_NARROWING, [source.type, target.type]).rowcount > 0


def _columns(connection: Connection, oid: int) -> list[_Column]:
    return connection.cursor(row_factory=class_row(_Column)).execute(_COLUMNS, [oid]).fetchall()


def _raw(text: str) -> sql.SQL:
    """Return the user's query, or a type as format_type() writes it, as SQL: that is what they are."""
    return sql.SQL(text)
