"""A table as it is before it is exchanged: all that its twin must have too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.runner.table import Table

Connection = psycopg.Connection[Any]

_RELATION: Final = """
    SELECT c.relkind::text AS kind, o.rolname::text AS owner, obj_description(c.oid, 'pg_class') AS comment,
        coalesce(s.spcname, '')::text AS tablespace, coalesce(am.amname, '')::text AS access_method,
        coalesce(leaf.reloptions, '{}') AS options, coalesce(toast.reloptions, '{}') AS toast_options
    FROM pg_class AS c
    JOIN pg_roles AS o ON o.oid = c.relowner
    JOIN pg_class AS leaf ON leaf.oid = coalesce(
        (SELECT tree.relid FROM pg_partition_tree(c.oid) AS tree WHERE c.relkind = 'p' AND tree.isleaf LIMIT 1), c.oid)
    LEFT JOIN pg_class AS toast ON toast.oid = leaf.reltoastrelid
    LEFT JOIN pg_tablespace AS s ON s.oid = leaf.reltablespace
    LEFT JOIN pg_am AS am ON am.oid = leaf.relam
    WHERE c.oid = %s
"""
_COLUMNS: Final = """
    SELECT attname::text AS name, attgenerated <> '' AS is_generated,
        CASE WHEN attstattarget >= 0 THEN attstattarget END::int AS target, coalesce(attoptions, '{}') AS options
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
# pg_get_indexdef names index and table first, always in the same way: what follows is the same for the twin.
_INDEXES: Final = """
    SELECT i.relname::text AS name, x.indisunique AS is_unique, obj_description(i.oid, 'pg_class') AS comment,
        coalesce(s.spcname, '')::text AS tablespace, pg_get_constraintdef(con.oid) AS constraint_definition,
        obj_description(con.oid, 'pg_constraint') AS constraint_comment,
        substr(pg_get_indexdef(i.oid), length(format('CREATE %%sINDEX %%I ON %%s%%I.%%I ',
            CASE WHEN x.indisunique THEN 'UNIQUE ' END, i.relname, CASE WHEN t.relkind = 'p' THEN 'ONLY ' END,
            n.nspname, t.relname)) + 1) AS definition
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    LEFT JOIN pg_tablespace AS s ON s.oid = i.reltablespace
    LEFT JOIN pg_constraint AS con ON con.conindid = i.oid AND con.conrelid = t.oid AND con.contype IN ('p', 'u')
    WHERE x.indrelid = %s ORDER BY NOT x.indisprimary, i.relname
"""
_STATISTICS: Final = """
    SELECT n.nspname::text AS schema, s.stxname::text AS name, s.stxkind::text[] AS kinds,
        CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END::int AS target,
        pg_get_statisticsobjdef_columns(s.oid) AS columns, obj_description(s.oid, 'pg_statistic_ext') AS comment
    FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
    WHERE s.stxrelid = %s ORDER BY s.stxname
"""
_SEQUENCES: Final = """
    SELECT n.nspname::text AS schema, s.relname::text AS name, a.attname::text AS column
    FROM pg_depend AS d
    JOIN pg_class AS s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_namespace AS n ON n.oid = s.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND d.deptype = 'a' ORDER BY s.relname
"""
_LEAVES: Final = """
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
        pg_relation_size(c.oid) / current_setting('block_size')::int AS pages
    FROM (SELECT %(oid)s::oid AS relid WHERE %(kind)s = 'r'
        UNION ALL SELECT relid::oid FROM pg_partition_tree(%(oid)s) WHERE %(kind)s = 'p' AND isleaf) AS tree
    JOIN pg_class AS c ON c.oid = tree.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace ORDER BY c.relname
"""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What is the table's own. Storage is that of a leaf where it is partitioned."""

    kind: str
    owner: str
    comment: str | None
    tablespace: str
    access_method: str
    options: list[str]
    toast_options: list[str]


@dataclass(frozen=True, kw_only=True)
class ColumnSettings:
    """What of a column neither LIKE nor PARTITION OF takes over."""

    name: str
    is_generated: bool
    target: int | None
    options: list[str]


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index, by its definition without the names of itself and its table."""

    name: str
    is_unique: bool
    comment: str | None
    tablespace: str
    constraint_definition: str | None
    constraint_comment: str | None
    definition: str


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A statistics object (CREATE STATISTICS)."""

    schema: str
    name: str
    kinds: list[str]
    target: int | None
    columns: str
    comment: str | None


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A sequence that a column owns."""

    schema: str
    name: str
    column: str


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A table that holds rows."""

    oid: int
    schema: str
    name: str
    pages: int

    @property
    def identifier(self) -> sql.Identifier:
        """The leaf's name for SQL."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class Original:
    """The table."""

    table: Table
    relation: Relation
    columns: tuple[ColumnSettings, ...]
    indexes: tuple[Index, ...]
    statistics: tuple[Statistics, ...]
    sequences: tuple[Sequence, ...]
    leaves: tuple[Leaf, ...]
    """Its partitions that hold rows; itself where it is plain."""

    @property
    def is_partitioned(self) -> bool:
        """Whether it is partitioned already."""
        return self.relation.kind == "p"

    @property
    def copied(self) -> sql.Composed:
        """The columns to copy: all that the server does not compute."""
        return sql.SQL(", ").join(sql.Identifier(each.name) for each in self.columns if not each.is_generated)


def read_original(connection: Connection, table: Table) -> Original:
    """Read the catalog."""
    relation = connection.cursor(row_factory=class_row(Relation)).execute(_RELATION, [table.oid]).fetchone()
    if relation is None:
        raise psycopg.errors.UndefinedTable(f"{table.qualified} was dropped meanwhile")
    oid = [table.oid]
    leaves = {"oid": table.oid, "kind": relation.kind}
    return Original(
        table=table,
        relation=relation,
        columns=tuple(connection.cursor(row_factory=class_row(ColumnSettings)).execute(_COLUMNS, oid)),
        indexes=tuple(connection.cursor(row_factory=class_row(Index)).execute(_INDEXES, oid)),
        statistics=tuple(connection.cursor(row_factory=class_row(Statistics)).execute(_STATISTICS, oid)),
        sequences=tuple(connection.cursor(row_factory=class_row(Sequence)).execute(_SEQUENCES, oid)),
        leaves=tuple(connection.cursor(row_factory=class_row(Leaf)).execute(_LEAVES, leaves)),
    )
