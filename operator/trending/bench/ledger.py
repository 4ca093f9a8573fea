"""The ledger while a bench is at work: runs need one, and none of the bench's own rows may stay in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.migrate import ledger_is_there, migrate

Connection = psycopg.Connection[Any]
Connect = Callable[[], AbstractContextManager[Connection]]
Say = Callable[[str], None]

_TABLES: Final = """
    SELECT relname FROM pg_class WHERE relnamespace = 'trending'::regnamespace AND relkind IN ('r', 'p')
"""


@contextmanager
def lent_ledger(connect: Connect, *, keep: bool, say: Say) -> Iterator[None]:
    """Have a ledger: the database's own, or one that is taken away again unless `keep`, or somebody has used it.

    Raises MigrationError where there is none and the role may not make it.
    """
    with connect() as connection:
        row = connection.execute("SELECT to_regnamespace('trending') IS NULL").fetchone()
        is_ours = row is not None and row[0]
        if not ledger_is_there(connection):
            migrate(connection, say=lambda _: None)
    try:
        yield
    finally:
        if is_ours and not keep:
            with connect() as connection:
                _take_away(connection, say)


def forget(connection: Connection, *, schedule: str, schema: str) -> None:
    """Delete what runs of this schedule on tables of this schema have left in the ledger."""
    connection.execute("DELETE FROM trending.run WHERE schedule = %s", [schedule])
    connection.execute("DELETE FROM trending.freshness WHERE starts_with(table_name, %s)", [f"{schema}."])


def _take_away(connection: Connection, say: Say) -> None:
    names = [sql.Identifier("trending", name) for (name,) in connection.execute(_TABLES).fetchall()]
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '5s'")
            connection.execute(sql.SQL("LOCK TABLE {}").format(sql.SQL(", ").join(names)))
            for name in names:
                if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name)).fetchone():
                    say("The ledger (schema trending) that the bench made stays, since somebody has used it meanwhile.")
                    return
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(names)))
            connection.execute("DROP SCHEMA trending")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DependentObjectsStillExist):
        say("The ledger (schema trending) that the bench made stays, since somebody uses it.")
