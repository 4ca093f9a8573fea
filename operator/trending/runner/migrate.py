"""Migrations of the user's database: the ledger, and what a preset wants of the views it reads.

The files in `trending/migrations` run with plain psql too; here they get a dry run, retries and sentences. There is no
table of applied migrations: the catalog says what is still to do, also where one was cut off or done by hand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

LEDGER = "0001_ledger"
OF_PRESETS = {"audius": ("0214_unique_view_indexes",)}

# Times that the catalog is looked at, again after a statement lost against a refresh (deadlock, lock_timeout).
ATTEMPTS = 5
# Renaming is instant once it has its lock; nobody should queue behind it for longer.
RENAME_LOCK_TIMEOUT = "5s"
# Of the session, so that two migrations of a database never meet; "trending" in ASCII.
_ADVISORY_LOCK = 0x7472656E64696E67

Connection = psycopg.Connection[Any]
Say = Callable[[str], None]


class MigrationError(Exception):
    """A migration that cannot be done; its text is a sentence with what to do."""


def migrate(connection: Connection, *, preset: str | None = None, dry_run: bool = False, say: Say) -> list[str]:
    """Apply the ledger and, with `preset`, the migrations of that family of presets ("audius"), as far as they are not.

    `connection` must be in autocommit mode and directly to the server: indexes are built outside transactions, under a
    lock of the session. `say` receives a line before and after each step. Returns the statements that were run, or that
    would be: a dry run changes nothing. Raises MigrationError with a sentence; a lost connection raises
    psycopg.OperationalError.
    """
    if preset is not None and preset not in OF_PRESETS:
        known = ", ".join(sorted(OF_PRESETS))
        raise MigrationError(f"There are no migrations for the preset {preset!r}; there are for: {known}.")
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        raise MigrationError("Migrations need a connection in autocommit mode: indexes are built outside transactions.")
    with _alone(connection):
        statements = _apply_ledger(connection, dry_run=dry_run, say=say)
        for name in OF_PRESETS[preset] if preset else ():
            statements += _apply_from_catalog(connection, name, dry_run=dry_run, say=say)
    return statements


def ledger_is_there(connection: Connection) -> bool:
    """Whether this database has what a run cannot do without: migration 0001, an older one perhaps."""
    return _are_there(connection, "trending.run", "trending.freshness")


def _are_there(connection: Connection, *tables: str) -> bool:
    query = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name"
    row = connection.execute(query, [list(tables)]).fetchone()
    return row is not None and bool(row[0])


def plan_from_catalog(connection: Connection, name: str) -> list[str]:
    """The statements of migration `name` that are still to run, in order, as its query finds by the catalog.

    Raises MigrationError where the catalog shows that it cannot be done, with the migration's own sentence.
    """
    query = _text(name).removesuffix("\\gexec")  # psql's word for: run each row as a statement
    with connection.cursor() as cursor:
        try:
            cursor.execute(query.encode())
        except psycopg.ProgrammingError as error:
            raise MigrationError(error.diag.message_primary or str(error)) from error
        while cursor.nextset():
            pass
        return [statement for (statement,) in cursor.fetchall()]


def _apply_ledger(connection: Connection, *, dry_run: bool, say: Say) -> list[str]:
    # An older one lacks the table that came last; it is safe to run again.
    if ledger_is_there(connection) and _are_there(connection, "trending.threshold"):
        say(f"{LEDGER}: nothing to do, the ledger is there.")
        return []
    text = re.sub(r"\A(--.*\n|\n)+", "", _text(LEDGER))
    statements = [statement.rstrip(";") for statement in re.split(r"(?<=;)\n+", text)]
    say(f"{LEDGER}: {'to be applied' if dry_run else 'making the schema trending and its tables'}.")
    if dry_run:
        for statement in statements:
            say(f"{statement};")
        return statements
    try:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            f"The role {connection.info.user} may not make the schema trending ({error.diag.message_primary}); run the "
            f'migration as the owner of the database, or GRANT CREATE ON DATABASE "{connection.info.dbname}" to it.'
        ) from error
    return statements


def _apply_from_catalog(connection: Connection, name: str, *, dry_run: bool, say: Say) -> list[str]:
    """Run what the catalog shows is still to do; after a lost deadlock or lock_timeout, look again and go on."""
    done: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        statements = plan_from_catalog(connection, name)
        if not statements and not done:
            say(f"{name}: nothing to do.")
        if dry_run:
            for statement in statements:
                say(f"{statement};")
            return statements
        try:
            for statement in statements:
                _run(connection, statement, say=say)
                done.append(statement)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable) as error:
            if attempt == ATTEMPTS:
                raise MigrationError(
                    f"{name}: gave up after {ATTEMPTS} attempts, others lock the view ({error.diag.message_primary}). "
                    "Run it again when no refresh is running; it goes on from where it stopped."
                ) from error
            say(f"{name}: {error.diag.message_primary}; looking again.")
        except psycopg.errors.UniqueViolation as error:
            _drop_unfinished(connection, name, say=say)
            raise MigrationError(
                f"{name}: the view has more than one row for a key ({error.diag.message_detail}), so it can have no "
                "unique index. Correct its query, refresh it and run the migration again; the old index is as it was."
            ) from error
        else:
            return done
    raise AssertionError("unreachable: the last attempt returns or raises")


def _run(connection: Connection, statement: str, *, say: Say) -> None:
    say(f"{statement};")
    lock_timeout = RENAME_LOCK_TIMEOUT if statement.startswith("ALTER") else "0"
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [lock_timeout])
    start = time.monotonic()
    connection.execute(statement.encode())
    say(f"  done in {time.monotonic() - start:.1f} s")


def _drop_unfinished(connection: Connection, name: str, *, say: Say) -> None:
    """Drop the invalid index that a failed build leaves: it would be kept up to date, and unique, by every refresh."""
    first = plan_from_catalog(connection, name)[0]
    if first.startswith("DROP"):
        _run(connection, first, say=say)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold this database's migration lock, and no time limit on statements, for the while."""
    # Never wait for it: a waiting session holds a snapshot, and the index build of the other would wait for that.
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]).fetchone()
    if row is None or not row[0]:
        raise MigrationError("Another migration of this database is running; run it again when that has ended.")
    try:
        connection.execute("SET statement_timeout = 0")
        yield
    finally:
        if not connection.closed:
            connection.execute("RESET statement_timeout")
            connection.execute("RESET lock_timeout")
            connection.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])


def _text(name: str) -> str:
    return (files("trending") / "migrations" / f"{name}.sql").read_text(encoding="utf-8").strip()
