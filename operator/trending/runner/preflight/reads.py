"""What a view reads, through other views, as the catalog has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

Connection = psycopg.Connection[Any]

# Through plain views down to what holds rows; a materialized view answers for itself.
_READS: Final = """
    WITH RECURSIVE edges (reader, read) AS (
        SELECT DISTINCT rule.ev_class, depend.refobjid
        FROM pg_rewrite AS rule
        JOIN pg_depend AS depend ON depend.classid = 'pg_rewrite'::regclass AND depend.objid = rule.oid
        WHERE depend.refclassid = 'pg_class'::regclass AND depend.refobjid <> rule.ev_class
    ), reads (oid, direct) AS (
        SELECT read, true FROM edges WHERE reader = %s
        UNION
        SELECT edges.read, false FROM reads JOIN pg_class AS view ON view.oid = reads.oid AND view.relkind = 'v'
        JOIN edges ON edges.reader = reads.oid
    )
    SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified, n.nspname AS schema,
        c.relkind::text AS kind, c.relispopulated AS is_populated, bool_or(reads.direct) AS is_direct
    FROM reads JOIN pg_class AS c ON c.oid = reads.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    GROUP BY c.oid, n.nspname ORDER BY 2
"""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A relation that a view reads."""

    oid: int
    qualified: str
    schema: str
    kind: str
    """pg_class.relkind: r and p tables, v a view, m a materialized one, f a foreign table."""
    is_populated: bool
    is_direct: bool
    """Whether the view names it itself: then its reader needs rights on it."""

    @property
    def is_unpopulated_view(self) -> bool:
        """Whether reading it is an error until it is refreshed."""
        return self.kind == "m" and not self.is_populated


def read_by(connection: Connection, view: int) -> list[Read]:
    """Return what the view with this oid reads, directly and through plain views."""
    return connection.cursor(row_factory=class_row(Read)).execute(_READS, [view]).fetchall()
