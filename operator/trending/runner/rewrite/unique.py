"""Unique indexes and exclusion constraints of a table, which a row may violate for a moment while rows are rewritten.

PostgreSQL checks those that are not deferrable row by row: an UPDATE that has two rows exchange their ranks under
UNIQUE (board, rank) fails at the first of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.runner.table import Table

Connection = psycopg.Connection[Any]

# An index of a partition that belongs to one of the table's is checked with that. Invalid ones are enforced too. Of an
# array the planner expects ten elements, of generate_series a thousand: then it has the query compiled, for longer than
# all else takes.
_INDEXES: Final = """
    WITH RECURSIVE part (oid) AS (
        SELECT %(oid)s::oid UNION SELECT h.inhrelid FROM pg_inherits AS h JOIN part ON part.oid = h.inhparent
    ), parts (oids) AS MATERIALIZED (SELECT array_agg(oid) FROM part)
    SELECT c.relname AS name, i.indrelid = %(oid)s AS is_tables, i.indisunique AND NOT i.indisexclusion AS is_unique,
        i.indnullsnotdistinct AS nulls_are_alike, pg_get_expr(i.indpred, i.indrelid) AS predicate,
        ARRAY(
            SELECT concat(
                pg_get_indexdef(i.indexrelid, k::int, false),
                (SELECT format(' COLLATE %%I.%%I', n.nspname, o.collname)
                 FROM pg_collation AS o JOIN pg_namespace AS n ON n.oid = o.collnamespace
                 WHERE o.oid = i.indcollation[k - 1] AND o.collname <> 'default' AND o.oid NOT IN (
                     SELECT a.attcollation FROM pg_attribute AS a
                     WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1]
                 ))
            )
            FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS own (class, k) ORDER BY k
        ) AS expressions,
        ARRAY(
            SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)
            FROM pg_constraint AS x
            CROSS JOIN LATERAL unnest(x.conexclop) WITH ORDINALITY AS e (oid, position)
            JOIN pg_operator AS o ON o.oid = e.oid JOIN pg_namespace AS n ON n.oid = o.oprnamespace
            WHERE x.conindid = i.indexrelid AND x.conrelid = i.indrelid ORDER BY e.position
        ) AS operators,
        columns.plain, columns.names AS columns, columns.are_generated AS has_generated
    FROM parts JOIN pg_index AS i ON i.indrelid = ANY (parts.oids) JOIN pg_class AS c ON c.oid = i.indexrelid
    CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text) AS names, bool_or(a.attgenerated <> '') AS are_generated,
            array_agg(a.attname::text) FILTER (WHERE a.attnum = ANY (own.numbers)) AS plain
        FROM (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS numbers) AS own, pg_attribute AS a
        WHERE a.attrelid = i.indrelid AND (
            a.attnum = ANY (own.numbers)
            OR (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND a.attnum IN (
                SELECT d.refobjsubid FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass
                AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
            )
        )
    ) AS columns
    WHERE (i.indisunique OR i.indisexclusion) AND i.indimmediate AND i.indisready AND columns.names IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM pg_inherits AS h JOIN pg_index AS p ON p.indexrelid = h.inhparent
            WHERE h.inhrelid = i.indexrelid AND p.indrelid = ANY (parts.oids)
        )
    ORDER BY i.indexrelid
"""
_TRIGGERS_OF_ROWS: Final = 4 | 8 | 16  # INSERT, DELETE, UPDATE in pg_trigger.tgtype
_OBSTACLES: Final = """
    WITH RECURSIVE part (oid) AS (
        SELECT %(oid)s::oid UNION SELECT h.inhrelid FROM pg_inherits AS h JOIN part ON part.oid = h.inhparent
    )
    SELECT
        (SELECT c.conrelid::regclass::text FROM pg_constraint AS c JOIN part ON part.oid = c.confrelid
         WHERE c.contype = 'f' AND c.confdeltype <> 'a' ORDER BY c.oid LIMIT 1),
        (SELECT t.tgname::text FROM pg_trigger AS t JOIN part ON part.oid = t.tgrelid
         WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & %(events)s <> 0 ORDER BY t.oid LIMIT 1),
        (SELECT r.rulename::text FROM pg_rewrite AS r JOIN part ON part.oid = r.ev_class ORDER BY r.oid LIMIT 1),
        (SELECT c.oid::regclass::text FROM pg_class AS c JOIN part ON part.oid = c.oid
         WHERE c.oid <> %(oid)s AND NOT c.relispartition ORDER BY c.oid LIMIT 1)
"""


@dataclass(frozen=True, kw_only=True)
class UniqueIndex:
    """A unique index, or one of an exclusion constraint, that is checked row by row."""

    name: str
    is_tables: bool
    """Whether it is the table's own, not one of a partition alone."""
    is_unique: bool
    """False for an exclusion constraint."""
    nulls_are_alike: bool
    """NULLS NOT DISTINCT."""
    predicate: str | None
    expressions: list[str]
    """What it is on, as the server writes it in SQL, by the names of the table's columns."""
    operators: list[str]
    """Those of an exclusion constraint, by which two rows may not meet; one for each expression."""
    plain: list[str] | None
    """The table's columns that it is on as they are."""
    columns: list[str]
    """Those that it depends on, in an expression or predicate too."""
    has_generated: bool
    """Whether one of these is computed by the server."""

    def is_within(self, columns: tuple[str, ...]) -> bool:
        """Tell whether these columns say all that it depends on, for all rows of the table."""
        return self.is_tables and not self.has_generated and set(self.columns) <= set(columns)

    def tells_apart(self, key: Collection[str]) -> bool:
        """Tell whether rows that differ in these columns never have one entry."""
        return set(key) <= set(self.plain or ())

    @property
    def kind(self) -> str:
        """What it is, with the article."""
        return "the unique index" if self.is_unique else "the exclusion constraint"

    @property
    def shown(self) -> str:
        """What it is on, for people."""
        return f"({', '.join(self.expressions)})"

    def entries(self, rows: sql.Composable, columns: tuple[str, ...]) -> sql.Composed:
        """Return a query for what the index has of these rows: some `columns`, and its own as x1, x2, .."""
        own = sql.SQL(", ").join(
            sql.SQL("({}) AS {}").format(_deparsed(text), sql.Identifier(f"x{at}"))
            for at, text in enumerate(self.expressions, start=1)
        )
        kept = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier(name), sql.Identifier(f"k{at}"))
            for at, name in enumerate(columns, start=1)
        )
        condition = sql.SQL("({})").format(_deparsed(self.predicate)) if self.predicate else sql.SQL("true")
        return sql.SQL("SELECT {}, {} FROM {} WHERE {}").format(kept, own, rows, condition)

    def meet(self, one: str, other: str) -> sql.Composed:
        """Return the condition that two entries may not be there at once."""
        usual = "IS NOT DISTINCT FROM" if self.nulls_are_alike else "="
        return sql.SQL(" AND ").join(
            sql.SQL("{} {} {}").format(
                sql.Identifier(one, f"x{at}"),
                _deparsed(self.operators[at - 1] if self.operators else usual),
                sql.Identifier(other, f"x{at}"),
            )
            for at in range(1, len(self.expressions) + 1)
        )


def read_indexes(connection: Connection, oid: int) -> list[UniqueIndex]:
    """Read a table's unique indexes, those of its partitions and children too."""
    cursor = connection.cursor(row_factory=class_row(UniqueIndex))
    return cursor.execute(_INDEXES, {"oid": oid}).fetchall()


def written_indexes(connection: Connection, table: Table, written: Collection[str]) -> list[UniqueIndex]:
    """Return the unique indexes of which an entry may change where these columns are written."""
    return [
        index
        for index in read_indexes(connection, table.oid)
        if index.has_generated or set(written) & set(index.columns)
    ]


def reason_not_to_replace(connection: Connection, oid: int) -> str | None:
    """Return why a row must not be deleted and inserted again in place of an update; None where it may.

    A foreign key whose referring rows are left as they are (NO ACTION) is none: its rows are looked for when all is
    done.
    """
    found = connection.execute(_OBSTACLES, {"oid": oid, "events": _TRIGGERS_OF_ROWS}).fetchone()
    referrer, trigger, rule, child = found or (None, None, None, None)
    if referrer:
        return f"a foreign key of {referrer} acts on deleted rows"
    if trigger:
        return f"trigger {trigger} would see that"
    if rule:
        return f"rule {rule} would see that"
    if child:
        return f"rows of {child}, which inherits from it, would come to lie in the table itself"
    return None


def _deparsed(text: str) -> sql.SQL:
    """Return SQL that the server has written itself, names quoted."""
    return sql.SQL(text)
