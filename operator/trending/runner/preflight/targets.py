"""The targets: rights on their tables, keys that tell rows apart, columns that a row cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.api.spec import Target
from trending.runner.goal import Goal, overlap, resolve, wish
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.rights import grant, lacking_on_table, role
from trending.runner.preflight.source import Source, check_source
from trending.runner.preflight.unique import check_unique

Connection = psycopg.Connection[Any]

_COLUMNS: Final = """
    SELECT a.attname AS name, a.attnotnull AS is_not_null,
        a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS has_default,
        sequence.oid AS sequence_oid, sequence.oid::regclass::text AS sequence
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS value ON value.adrelid = a.attrelid AND value.adnum = a.attnum
    LEFT JOIN LATERAL (
        SELECT s.oid FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
        WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = value.oid AND d.refclassid = 'pg_class'::regclass LIMIT 1
    ) AS sequence ON true
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    is_not_null: bool
    has_default: bool
    sequence_oid: int | None
    """The sequence that its default takes numbers from."""
    sequence: str | None


@dataclass(frozen=True)
class Checked:
    """A target that the database has, and its query as the server plans it; None where it does not."""

    goal: Goal
    source: Source | None


def check_targets(
    connection: Connection, targets: Sequence[Target], now: datetime, findings: Findings
) -> list[Checked]:
    """Look at every target; return those whose table, slice and key are there."""
    checked: list[Checked] = []
    for index, target in enumerate(targets):
        where = f"spec.rewrite[{index}]"
        with findings.within(connection, where):
            goal = resolve(connection, wish(target, where))
            count = len(findings.all)
            checked.append(Checked(goal, _check(connection, goal, now, findings)))
            if len(findings.all) == count:
                findings.ok(where, f"target {goal.name}: rights, key, query and types are as they have to be")
    with findings.within(connection, "spec.rewrite"):
        if sentence := overlap(connection, [each.goal for each in checked]):
            findings.error("spec.rewrite", sentence)
    return checked


def _check(connection: Connection, goal: Goal, now: datetime, findings: Findings) -> Source | None:
    _check_rights(connection, goal, findings)
    columns = connection.cursor(row_factory=class_row(_Column)).execute(_COLUMNS, [goal.table.oid]).fetchall()
    with findings.within(connection, f"{goal.where}.key"):
        _check_key(connection, goal, columns, findings)
    source = None
    with findings.within(connection, f"{goal.where}.query"):
        source = check_source(connection, goal, now, findings)
    if source:
        _check_columns(connection, goal, columns, source, findings)
        check_unique(connection, goal, source, findings)
    return source


def _check_rights(connection: Connection, goal: Goal, findings: Findings) -> None:
    privileges = ["SELECT", "INSERT", "DELETE"]
    if goal.strategy != "DeleteInsert":
        privileges.insert(2, "UPDATE")
    to = role(connection)
    if lacking := lacking_on_table(connection, goal.table.oid, privileges):
        findings.error(
            f"{goal.where}.table",
            f"the role {to} may not rewrite {goal.table.qualified}: {grant(lacking, goal.table.qualified, to)}",
        )
    row = connection.execute("SELECT row_security_active(%s::oid)", [goal.table.oid]).fetchone()
    if row and row[0]:
        findings.warning(
            f"{goal.where}.table",
            f"row security hides rows of {goal.table.qualified} from the role {to}, and they are neither compared nor "
            f"deleted: use the owner's role, or ALTER ROLE {to} BYPASSRLS",
        )


def _check_key(connection: Connection, goal: Goal, columns: Sequence[_Column], findings: Findings) -> None:
    where, named = f"{goal.where}.key", ", ".join(goal.key)
    if lacking_on_table(connection, goal.table.oid, ["SELECT"]):
        return  # told already
    _check_null_keys(connection, goal, columns, findings)
    if goal.table.is_unique((*goal.key, *goal.slice.constants)):
        return
    if found := _repeated_key(connection, goal):
        count, key = found
        sentence = f"the key ({named}) does not tell the rows of {goal.slice} apart: {count} of them have {key}"
        if goal.strategy == "DeleteInsert":
            findings.warning(where, f"{sentence}; DeleteInsert replaces them all the same")
        else:
            findings.error(where, f"{sentence}; name more columns in key, or use strategy DeleteInsert")
        return
    findings.warning(
        where,
        f"no unique index of {goal.table.qualified} holds the key ({named}) to be unique: it is now, and is looked at "
        "again by each run; make one",
    )


def _check_null_keys(connection: Connection, goal: Goal, columns: Sequence[_Column], findings: Findings) -> None:
    nullable = [column.name for column in columns if column.name in goal.key and not column.is_not_null]
    if not nullable:
        return
    condition = sql.SQL(" OR ").join(sql.SQL("target.{} IS NULL").format(sql.Identifier(name)) for name in nullable)
    query = sql.SQL("SELECT count(*) FROM {} AS target WHERE {} AND ({})").format(
        goal.table.identifier, goal.slice.condition("target"), condition
    )
    count = (connection.execute(query).fetchone() or (0,))[0]
    table = goal.table.identifier.as_string(connection)
    changes = ", ".join(f"ALTER COLUMN {sql.Identifier(name).as_string(connection)} SET NOT NULL" for name in nullable)
    findings.warning(
        f"{goal.where}.key",
        f"columns of the key may be null ({', '.join(nullable)}), and {count:,} rows of the slice have one: no row of "
        f"the query can match those, so they are deleted; then: ALTER TABLE {table} {changes}",
    )


def _repeated_key(connection: Connection, goal: Goal) -> tuple[int, str] | None:
    """Return how many rows of the slice have one key, and that key, where a key is had by more than one."""
    names = [sql.Identifier(name) for name in goal.key]
    texts = sql.SQL(", ").join(sql.SQL("left({}::text, 100)").format(name) for name in names)
    query = sql.SQL("SELECT count(*), {} FROM {} AS target WHERE {} AND {} GROUP BY {} HAVING count(*) > 1 LIMIT 1")
    row = connection.execute(
        query.format(
            texts,
            goal.table.identifier,
            goal.slice.condition("target"),
            sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(name) for name in names),
            sql.SQL(", ").join(names),
        )
    ).fetchone()
    return (
        (row[0], ", ".join(f"{name}={value}" for name, value in zip(goal.key, row[1:], strict=True))) if row else None
    )


def _check_columns(
    connection: Connection, goal: Goal, columns: Sequence[_Column], source: Source, findings: Findings
) -> None:
    """Look at the columns that a new row gets from nobody, or from a sequence."""
    given = {*source.columns, *goal.slice.constants, goal.stamp}
    to = role(connection)
    for column in columns:
        if column.name in given:
            continue
        if column.is_not_null and not column.has_default:
            findings.error(
                f"{goal.where}.query",
                f"it does not return {column.name!r}, which is NOT NULL in {goal.table.qualified} and has no default: "
                "a new row could not be inserted; return it",
            )
        if column.sequence_oid is None:
            continue
        may = connection.execute("SELECT has_sequence_privilege(%s::oid, 'USAGE, UPDATE')", [column.sequence_oid])
        if not (may.fetchone() or (False,))[0]:
            findings.error(
                f"{goal.where}.table",
                f"new rows of {goal.table.qualified} take {column.name!r} from a sequence that the role {to} may not "
                f"use: {grant(['USAGE'], f'SEQUENCE {column.sequence}', to)}",
            )
