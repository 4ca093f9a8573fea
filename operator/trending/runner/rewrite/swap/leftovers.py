"""Dropping what was built and is not needed: after a refusal, or when a run was killed before its exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from trending.runner.rewrite.swap.names import PREFIX, mark_of
from trending.runner.slices import Slice

if TYPE_CHECKING:
    from trending.runner.rewrite.swap.build import Built

Connection = psycopg.Connection[Any]

_LEFT: Final = """
    SELECT c.oid FROM pg_class AS c
    WHERE starts_with(c.relname, %s) AND c.relkind = 'r' AND NOT c.relispartition
        AND starts_with(obj_description(c.oid, 'pg_class'), %s)
        AND pg_has_role(current_user, c.relowner, 'USAGE')
    ORDER BY c.relname
"""
_BUILT: Final = """
    SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = %s AND starts_with(c.relname, %s) AND NOT c.relispartition
"""


def discard(connection: Connection, built: Built) -> None:
    """Drop what was built; what has been exchanged stays. `connection` is in no transaction."""
    for leaf in built.leaves:
        drop_if_built(connection, leaf.oid)


def drop_leftovers(connection: Connection, slice_: Slice) -> list[str]:
    """Drop what killed runs have left of this slice, and return the names.

    Only the holder of the slice's lock may: nobody else is building then. `connection` is in no transaction.
    """
    found = connection.execute(_LEFT, [PREFIX, mark_of(slice_)]).fetchall()
    return [name for (oid,) in found if (name := drop_if_built(connection, oid))]


def drop_if_built(connection: Connection, oid: int) -> str | None:
    """Drop a table that still has the name under which it was built, and return that."""
    row = connection.execute(_BUILT, [oid, PREFIX]).fetchone()
    if row is None:
        return None
    schema, name = row
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, name)))
    return f"{schema}.{name}"
