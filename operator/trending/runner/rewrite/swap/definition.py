"""What a partition is made of besides its rows, so that one can be made like it and a change is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from trending.runner.rewrite.swap.tree import ChangedError

Connection = psycopg.Connection[Any]

_TABLE: Final = """
    SELECT r.rolname AS owner, am.amname AS access_method,
        t.spcname AS tablespace, c.relreplident::text AS replica_identity, c.relacl IS NOT NULL AS has_acl,
        obj_description(c.oid, 'pg_class') AS comment,
        ARRAY(SELECT o.option_name || '=' || o.option_value FROM pg_options_to_table(c.reloptions) AS o) AS options,
        ARRAY(SELECT o.option_name || '=' || o.option_value FROM pg_class AS toast,
            pg_options_to_table(toast.reloptions) AS o WHERE toast.oid = c.reltoastrelid) AS toast_options
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner LEFT JOIN pg_am AS am ON am.oid = c.relam
    LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
    WHERE c.oid = %s
"""
_COLUMNS: Final = """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_not_null,
        concat_ws(' ', a.attcollation, a.attgenerated, a.attidentity, a.attstorage, a.attcompression) AS details,
        pg_get_expr(d.adbin, d.adrelid) AS default,
        CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::int END AS statistics_target,
        ARRAY(SELECT o.option_name || '=' || o.option_value FROM pg_options_to_table(a.attoptions) AS o) AS options
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_INDEXES: Final = """
    SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition,
        format('CREATE %%sINDEX %%I ON %%I.%%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname,
            n.nspname, own.relname) AS beginning,
        t.spcname AS tablespace, k.conname AS constraint_name, pg_get_constraintdef(k.oid) AS constraint_definition,
        i.indisclustered AS is_clustered, i.indisreplident AS is_identity,
        obj_description(c.oid, 'pg_class') AS comment,
        obj_description(k.oid, 'pg_constraint') AS constraint_comment,
        ARRAY(SELECT o.option_name || '=' || o.option_value FROM pg_options_to_table(c.reloptions) AS o) AS options,
        ARRAY(SELECT a.attnum || '=' || a.attstattarget FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS statistics_targets
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS own ON own.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = own.relnamespace
    LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
    LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
    WHERE i.indrelid = %s
    ORDER BY k.contype = 'p' DESC NULLS LAST, c.relname
"""
_CHECKS: Final = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = %s AND contype NOT IN ('p', 'u', 'x', 'n') ORDER BY conname
"""
_NOT_NULLS: Final = """
    SELECT a.attname::text, k.conname::text
    FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    WHERE k.conrelid = %s AND k.contype = 'n' ORDER BY a.attnum
"""
_STATISTICS: Final = """
    SELECT n.nspname::text, s.stxname::text, CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::int END
    FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
    WHERE s.stxrelid = %s ORDER BY s.oid
"""
_GRANTS: Final = """
    SELECT a.name, r.rolname AS grantee, a.privilege, a.may_grant
    FROM (
        SELECT NULL::text AS name, x.grantee, x.privilege_type AS privilege, x.is_grantable AS may_grant
        FROM pg_class AS c, aclexplode(c.relacl) AS x WHERE c.oid = %(oid)s
        UNION ALL
        SELECT b.attname::text, x.grantee, x.privilege_type, x.is_grantable
        FROM pg_attribute AS b, aclexplode(b.attacl) AS x WHERE b.attrelid = %(oid)s AND NOT b.attisdropped
    ) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    ORDER BY a.name NULLS FIRST, r.rolname NULLS FIRST, a.privilege, a.may_grant
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What LIKE does not carry over of a column, and what ATTACH compares."""

    name: str
    type: str
    is_not_null: bool
    details: str
    default: str | None
    statistics_target: int | None
    options: list[str]


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index, with the constraint that it serves."""

    name: str
    definition: str
    beginning: str
    """The definition up to its method; what follows makes the same index on another table."""
    tablespace: str | None
    constraint_name: str | None
    constraint_definition: str | None
    is_clustered: bool
    is_identity: bool
    """Whether it is the table's replica identity."""
    comment: str | None
    constraint_comment: str | None
    options: list[str]
    statistics_targets: list[str]
    """`number=target` of its columns that have a target."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One privilege of one role."""

    name: str | None
    """The column; None for the table."""
    grantee: str | None
    """None for PUBLIC."""
    privilege: str
    may_grant: bool


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A table's definition; equal as long as nothing has changed it."""

    owner: str
    access_method: str | None
    tablespace: str | None
    """None for the database's."""
    replica_identity: str
    has_acl: bool
    """Whether a privilege was ever granted or revoked; without, only the owner has any."""
    comment: str | None
    options: list[str]
    toast_options: list[str]
    columns: list[Column]
    indexes: list[Index]
    checks: list[tuple[Any, ...]]
    not_nulls: list[tuple[Any, ...]]
    """Column and constraint's name, from PostgreSQL 18 on."""
    statistics: list[tuple[Any, ...]]
    """Extended statistics: schema, name, target."""
    grants: list[Grant]


def read_definition(connection: Connection, oid: int) -> Definition:
    """Read it from the catalog. Raises ChangedError where the table, or an index of it, is dropped meanwhile."""
    table = connection.cursor(row_factory=class_row(_Table)).execute(_TABLE, [oid]).fetchone()
    if table is None:
        raise ChangedError(f"the table with oid {oid} was dropped while it was looked up")
    indexes = connection.cursor(row_factory=class_row(Index)).execute(_INDEXES, [oid]).fetchall()
    if any(index.definition is None for index in indexes):
        raise ChangedError(f"an index of the table with oid {oid} was dropped while it was looked up")
    return Definition(
        **{name: getattr(table, name) for name in _Table.__dataclass_fields__},
        columns=connection.cursor(row_factory=class_row(Column)).execute(_COLUMNS, [oid]).fetchall(),
        indexes=indexes,
        checks=connection.execute(_CHECKS, [oid]).fetchall(),
        not_nulls=connection.execute(_NOT_NULLS, [oid]).fetchall(),
        statistics=connection.execute(_STATISTICS, [oid]).fetchall(),
        grants=read_grants(connection, oid),
    )


def read_grants(connection: Connection, oid: int) -> list[Grant]:
    """Read who may do what with a table and its columns."""
    return connection.cursor(row_factory=class_row(Grant)).execute(_GRANTS, {"oid": oid}).fetchall()


@dataclass(frozen=True, kw_only=True)
class _Table:
    owner: str
    access_method: str | None
    tablespace: str | None
    replica_identity: str
    has_acl: bool
    comment: str | None
    options: list[str]
    toast_options: list[str]
