"""Dropping what was built and is not needed: after a refusal, or when a run was killed before its exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from trending.runner.patience import AGAINST_ALL, holders_of_relation, lock_timeout
from trending.runner.rewrite.swap.names import PREFIX, mark_of
from trending.runner.slices import Slice

if TYPE_CHECKING:
    from trending.runner.rewrite.swap.build import Built

Connection = psycopg.Connection[Any]

_LOCK_SECONDS: Final = 1.0
"""How long a table is waited for that somebody else uses: a dump locks all tables, for hours perhaps."""

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


@dataclass(frozen=True)
class Kept:
    """A table that could not be dropped, since somebody uses it; a later run drops it."""

    name: str
    users: str
    """Who they are."""

    def __str__(self) -> str:
        return f"{self.name} is left for a later run to drop, since it is used by {self.users}"


def discard(connection: Connection, built: Built) -> list[Kept]:
    """Drop what was built, and return what could not be; what has been exchanged stays.

    `connection` is in no transaction. Waits for each table for a second at most.
    """
    dropped = [drop_if_built(connection, leaf.oid) for leaf in built.leaves]
    return [each for each in dropped if isinstance(each, Kept)]


def drop_leftovers(connection: Connection, slice_: Slice) -> list[str | Kept]:
    """Drop what killed runs have left of this slice, and return the names, and what could not be dropped.

    Only the holder of the slice's lock may: nobody else is building then. `connection` is in no transaction. Waits for
    each table for a second at most.
    """
    found = connection.execute(_LEFT, [PREFIX, mark_of(slice_)]).fetchall()
    return [dropped for (oid,) in found if (dropped := drop_if_built(connection, oid))]


def drop_if_built(connection: Connection, oid: int) -> str | Kept | None:
    """Drop a table that still has the name under which it was built, and return that; None where there is none."""
    row = connection.execute(_BUILT, [oid, PREFIX]).fetchone()
    if row is None:
        return None
    schema, name = row
    table = sql.Identifier(schema, name)
    try:
        with connection.transaction():
            connection.execute(lock_timeout(_LOCK_SECONDS))
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
            # Its own run may have exchanged it meanwhile, and somebody else may have given its name away.
            if connection.execute(_BUILT, [oid, PREFIX]).fetchone() != row:
                return None
            connection.execute(sql.SQL("DROP TABLE {}").format(table))
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.errors.LockNotAvailable:
        return Kept(f"{schema}.{name}", holders_of_relation(connection, oid, AGAINST_ALL))
    return f"{schema}.{name}"
