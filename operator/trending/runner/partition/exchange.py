"""The exchange of names: the statements of the instant in which nobody reads the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.partition import names
from trending.runner.partition.original import Original
from trending.runner.partition.twin import Twin

Connection = psycopg.Connection[Any]

_KEPT: Final = "_before_partition"

_GRANTS: Final = """
    SELECT ''::text, coalesce(r.rolname, '')::text, privilege_type::text, is_grantable
    FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) LEFT JOIN pg_roles AS r ON r.oid = grantee WHERE c.oid = %(oid)s
    UNION ALL
    SELECT attname::text, coalesce(r.rolname, '')::text, privilege_type::text, is_grantable
    FROM pg_attribute CROSS JOIN aclexplode(attacl) LEFT JOIN pg_roles AS r ON r.oid = grantee
    WHERE attrelid = %(oid)s AND NOT attisdropped
    ORDER BY 1, 2, 3
"""
# Of the twin and its partitions: those that ALTER DEFAULT PRIVILEGES gave them, which the table may not have had.
_GRANTED_BY_DEFAULT: Final = """
    SELECT DISTINCT n.nspname::text, c.relname::text, coalesce(r.rolname, '')::text
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN aclexplode(c.relacl)
    LEFT JOIN pg_roles AS r ON r.oid = grantee
    WHERE (c.oid = %(twin)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(twin)s))) AND grantee <> c.relowner
    ORDER BY 1, 2, 3
"""


def kept_name(original: Original) -> str:
    """Return what the old table is called where it is kept."""
    return names.fitted(original.table.name, _KEPT)


def grants(connection: Connection, original: Original, twin: Twin, twin_oid: int) -> Iterator[sql.Composed]:
    """Return the statements that give the twin the table's grants, no more and no less.

    The owner is the grantor of all of them, also of those that a grantee has passed on.
    """
    for schema, name, role in connection.execute(_GRANTED_BY_DEFAULT, {"twin": twin_oid}):
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.Identifier(schema, name), _role(role))
    rows = connection.execute(_GRANTS, {"oid": original.table.oid}).fetchall()
    if any(not column for column, *_ in rows):
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(twin.identifier, sql.Identifier(original.relation.owner))
    for column, role, privilege, is_grantable in rows:
        yield sql.SQL("GRANT {}{} ON {} TO {}{}").format(
            sql.SQL(privilege),
            sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""),
            twin.identifier,
            _role(role),
            sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
        )


def exchange(twin: Twin, *, keep_old: bool) -> Iterator[sql.Composed]:
    """Return the statements that give the twin the table's name and the names of what hangs on it.

    They need ACCESS EXCLUSIVE on the table, and touch no row.
    """
    original = twin.original
    table = original.table
    for sequence in original.sequences:
        yield sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(
            sql.Identifier(sequence.schema, sequence.name),
            sql.Identifier(table.schema, twin.name, sequence.column),
        )
    if keep_old:
        yield from _step_aside(twin)
    else:
        yield sql.SQL("DROP TABLE {}").format(table.identifier)
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(twin.identifier, sql.Identifier(table.name))
    yield sql.SQL("COMMENT ON TABLE {} IS {}").format(table.identifier, sql.Literal(original.relation.comment))
    for index in original.indexes:
        before = twin.in_schema(twin.provisional(index.name))
        yield sql.SQL("ALTER INDEX {} RENAME TO {}").format(before, sql.Identifier(index.name))
    for each in original.statistics:
        before = sql.Identifier(each.schema, twin.provisional(each.name))
        yield sql.SQL("ALTER STATISTICS {} RENAME TO {}").format(before, sql.Identifier(each.name))


def _step_aside(twin: Twin) -> Iterator[sql.Composed]:
    original = twin.original
    for index in original.indexes:
        kept = sql.Identifier(names.fitted(index.name, _KEPT))
        yield sql.SQL("ALTER INDEX {} RENAME TO {}").format(twin.in_schema(index.name), kept)
    for each in original.statistics:
        kept = sql.Identifier(names.fitted(each.name, _KEPT))
        yield sql.SQL("ALTER STATISTICS {} RENAME TO {}").format(sql.Identifier(each.schema, each.name), kept)
    kept = sql.Identifier(kept_name(original))
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(original.table.identifier, kept)


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")
