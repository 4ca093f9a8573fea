"""A table as the catalog has it: what a rewrite has to know of its columns and keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.runner.failure import ConfigurationError

Connection = psycopg.Connection[Any]

_TABLE: Final = """
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
        ARRAY(
            WITH RECURSIVE above (oid) AS (
                SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid
                UNION SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.oid
            )
            SELECT oid FROM above
        ) AS ancestors
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s)
"""
# A domain consists of its base type, an array of its elements, a composite type of its attributes. A type has equality
# where each of these has an operator class to hash or sort by, its own or that of a type with the same bytes. A domain
# may be of a domain; what its values are is said by the last of them.
_COLUMNS: Final = """
    WITH RECURSIVE consists (number, type) AS (
        SELECT a.attnum, a.atttypid FROM pg_attribute AS a
        WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT consists.number, element.type
        FROM consists JOIN pg_type AS t ON t.oid = consists.type
        CROSS JOIN LATERAL (
            SELECT t.typbasetype WHERE t.typtype = 'd'
            UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'
            UNION ALL SELECT a.atttypid FROM pg_attribute AS a
            WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS element (type)
    )
    SELECT a.attname AS name, n.nspname AS type_schema, t.typname AS type_name,
        format_type(a.atttypid, a.atttypmod) AS declared, a.attgenerated <> '' AS is_generated,
        a.attidentity = 'a' AS is_identity, t.typcategory = 'D' AS is_moment,
        t.typbyval AS is_by_value, base.nspname AS base_schema, base.typname AS base_name,
        EXISTS (
            SELECT FROM consists JOIN pg_type AS e ON e.oid = consists.type
            WHERE consists.number = a.attnum AND e.typtype = 'b' AND e.typcategory <> 'A' AND NOT EXISTS (
                SELECT FROM pg_opclass AS o JOIN pg_am AS m ON m.oid = o.opcmethod
                WHERE o.opcdefault AND m.amname IN ('btree', 'hash') AND (
                    o.opcintype = e.oid OR o.opcintype IN (
                        SELECT x.casttarget FROM pg_cast AS x WHERE x.castsource = e.oid AND x.castmethod = 'b'
                        AND x.castcontext = 'i'
                    )
                )
            )
        ) AS lacks_equality
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
    CROSS JOIN LATERAL (
        WITH RECURSIVE below (oid) AS (
            SELECT t.oid UNION ALL SELECT d.typbasetype FROM below JOIN pg_type AS d ON d.oid = below.oid
            WHERE d.typtype = 'd'
        )
        SELECT m.nspname, b.typname FROM below JOIN pg_type AS b ON b.oid = below.oid AND b.typtype <> 'd'
        JOIN pg_namespace AS m ON m.oid = b.typnamespace
    ) AS base
    WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_UNIQUE_KEYS: Final = """
    SELECT i.indisprimary, i.indimmediate, array_agg(a.attname::text ORDER BY k.position)
    FROM pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, position)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid
        AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary, i.indimmediate
    ORDER BY i.indisprimary DESC, i.indexrelid
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    type_schema: str
    type_name: str
    base_schema: str
    base_name: str
    """The type itself, or, of a domain, that of its values."""
    declared: str
    """The type as SQL has it, with its modifier, such as numeric(5,2)."""
    is_generated: bool
    """GENERATED ALWAYS AS (..) STORED: the server computes it."""
    is_identity: bool
    """GENERATED ALWAYS AS IDENTITY: the server numbers it."""
    is_moment: bool
    """A date or a timestamp."""
    is_by_value: bool
    """Of a type that is passed by value, such as numbers of up to 8 bytes and times: two are compared in no time."""
    lacks_equality: bool
    """Its type has no `=` that compares values; its text is compared."""

    @property
    def identifier(self) -> sql.Identifier:
        """The column's name for SQL."""
        return sql.Identifier(self.name)

    @property
    def type(self) -> sql.Identifier:
        """The column's type for SQL, without its modifier: a cast to varchar(3) would cut, a comparison must not."""
        return sql.Identifier(self.type_schema, self.type_name)

    def canonical(self, value: sql.Composable) -> sql.Composed:
        """Return an expression for the text of a value (itself a text) that equal values of the type share.

        So `01` and `1` of a number are one, and `1.0` and `1`, which a numeric keeps apart, and `-0` and `0`, and
        `24:00` and `1 day` of an interval. Of a domain the values are those of its base type, which a modifier of the
        domain has not changed yet.
        """
        base = sql.Identifier(self.base_schema, self.base_name)
        typed = sql.SQL("{}::{}").format(value, base)
        of_server = self.base_schema == "pg_catalog"
        if of_server and self.base_name == "numeric":
            return sql.SQL("pg_catalog.trim_scale({})::text").format(typed)
        if of_server and self.base_name in ("float4", "float8"):
            return sql.SQL("({} OPERATOR(pg_catalog.+) '0'::{})::text").format(typed, base)
        if of_server and self.base_name == "interval":
            return sql.SQL("pg_catalog.justify_interval({})::text").format(typed)
        return sql.SQL("{}::text").format(typed)

    @property
    def cuts(self) -> bool:
        """Whether its base type cuts a text that is too long for it, instead of refusing it."""
        return self.base_schema == "pg_catalog" and self.base_name in ("char", "name")

    @property
    def is_servers(self) -> bool:
        """Whether the server alone gives it values."""
        return self.is_generated or self.is_identity


@dataclass(frozen=True, kw_only=True)
class Table:
    """A plain or partitioned table."""

    oid: int
    schema: str
    name: str
    qualified: str
    """Its name with its schema, quoted where SQL needs it: the ledger's table_name."""
    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    """Empty where it has none."""
    unique_keys: tuple[frozenset[str], ...]
    """The columns of each usable unique index, the primary key's among them."""
    ancestors: frozenset[int] = frozenset()
    """The oids of the tables of which it is a partition, at any level, or from which it inherits."""

    @property
    def identifier(self) -> sql.Identifier:
        """The table's name for SQL."""
        return sql.Identifier(self.schema, self.name)

    def is_unique(self, columns: Iterable[str]) -> bool:
        """Tell whether an index holds no two rows to be alike in all of these columns (nulls aside)."""
        given = frozenset(columns)
        return any(key <= given for key in self.unique_keys)

    def column(self, name: str, where: str) -> Column:
        """Return the named column. Raises ConfigurationError, which begins with `where`, if there is none."""
        if name not in self.columns:
            has = ", ".join(self.columns)
            raise ConfigurationError(f"{where}: table {self.qualified} has no column {name!r}; it has {has}")
        return self.columns[name]


@dataclass(frozen=True, kw_only=True)
class _Found:
    oid: int
    schema: str
    name: str
    kind: str
    qualified: str
    ancestors: list[int]


def look_up(connection: Connection, name: str, *, where: str) -> Table:
    """Look a table up by its name as in SQL. Raises ConfigurationError, which begins with `where`, if there is none."""
    found = connection.cursor(row_factory=class_row(_Found)).execute(_TABLE, [name]).fetchone()
    if found is None:
        database, user = connection.info.dbname, connection.info.user
        raise ConfigurationError(
            f"{where}: there is no table {name} in database {database} for user {user}: create it, or correct the "
            "name (as in SQL, with its schema where that is not in the search_path)"
        )
    if found.kind not in ("r", "p"):
        raise ConfigurationError(f"{where}: {found.qualified} is no table, so its rows cannot be rewritten")
    columns = connection.cursor(row_factory=class_row(Column)).execute(_COLUMNS, {"oid": found.oid})
    keys = connection.execute(_UNIQUE_KEYS, [found.oid]).fetchall()
    return Table(
        oid=found.oid,
        schema=found.schema,
        name=found.name,
        qualified=found.qualified,
        columns={column.name: column for column in columns},
        primary_key=next((tuple(names) for is_primary, _, names in keys if is_primary), ()),
        unique_keys=tuple(frozenset(names) for _, is_immediate, names in keys if is_immediate),
        ancestors=frozenset(found.ancestors),
    )
