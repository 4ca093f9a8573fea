"""Migration 0001, and what `migrate` promises whatever it applies."""

from __future__ import annotations

import secrets
import subprocess
from datetime import UTC, datetime
from importlib.resources import files

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.postgres.server import ADMIN, BINARIES, OWNER, Database
from trending.runner.migrate import MigrationError, ledger_is_there, migrate

ROLE = "runner_of_little_right"


def silent(_: str) -> None:
    """Nobody listens."""


def apply(database: Database, *, preset: str | None = None, dry_run: bool = False, role: str = OWNER) -> list[str]:
    with database.connect(role=role, autocommit=True) as connection:
        return migrate(connection, preset=preset, dry_run=dry_run, say=silent)


def ledger_text() -> str:
    return (files("trending") / "migrations" / "0001_ledger.sql").read_text(encoding="utf-8")


@pytest.fixture
def ledger(database: Database) -> Database:
    """A database with the ledger."""
    apply(database)
    return database


def test_the_ledger_is_made_once_and_found_afterwards(database: Database) -> None:
    with database.connect(autocommit=True) as connection:
        assert not ledger_is_there(connection)
        assert migrate(connection, say=silent) != []
        assert ledger_is_there(connection)
        assert migrate(connection, say=silent) == []


def test_the_ledger_s_sql_can_be_run_again_and_keeps_what_is_in_it(ledger: Database) -> None:
    ledger.execute("INSERT INTO trending.freshness (table_name, slice) VALUES ('public.scores', '{}')")
    ledger.execute(ledger_text())
    assert ledger.execute("SELECT table_name FROM trending.freshness") == [("public.scores",)]


def test_an_older_ledger_serves_runs_and_is_completed_by_migrate(ledger: Database) -> None:
    ledger.execute("DROP TABLE trending.threshold")
    with ledger.connect(autocommit=True) as connection:
        assert ledger_is_there(connection)
        assert migrate(connection, say=silent) != []
        assert migrate(connection, say=silent) == []
    assert ledger.execute("SELECT count(*) FROM trending.threshold") == [(0,)]


def test_psql_applies_the_ledger_too(database: Database) -> None:
    server = database.server
    command = [
        *(str(BINARIES / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction"),
        *("--host", str(server.folder), "--port", str(server.port), "--username", OWNER, "--dbname", database.name),
        *("--file", str(files("trending") / "migrations" / "0001_ledger.sql")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert apply(database) == []


def test_every_table_and_column_of_the_ledger_says_what_it_is(ledger: Database) -> None:
    silent_ones = ledger.execute(
        """
        SELECT attrelid::regclass::text, attname FROM pg_attribute
        WHERE attrelid IN ('trending.run'::regclass, 'trending.freshness'::regclass, 'trending.threshold'::regclass)
          AND attnum > 0
          AND col_description(attrelid, attnum) IS NULL
        """
    )
    assert silent_ones == []
    assert ledger.execute("SELECT obj_description('trending.run'::regclass) IS NOT NULL") == [(True,)]
    assert ledger.execute("SELECT obj_description('trending.freshness'::regclass) IS NOT NULL") == [(True,)]


def test_a_dry_run_tells_the_statements_and_changes_nothing(database: Database) -> None:
    said: list[str] = []
    with database.connect(autocommit=True) as connection:
        planned = migrate(connection, dry_run=True, say=said.append)
        assert not ledger_is_there(connection)
        assert any(line.startswith("CREATE TABLE IF NOT EXISTS trending.run") for line in said)
        assert migrate(connection, say=silent) == planned


def test_the_documented_grants_are_enough_for_a_run(ledger: Database) -> None:
    """What a run asks of the ledger, as a role that has the grants written in the migration and no others."""
    with ledger.connect(role=ADMIN, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
    try:
        for line in ledger_text().splitlines():
            grant = line.removeprefix("--").split(";")[0].strip().replace("<runner>", ROLE)
            if grant.startswith("GRANT") and "<" not in grant:
                ledger.execute(grant)
        now = datetime.now(UTC)
        key = ("public.scores", Jsonb({"type": ["TRACKS"]}))
        with ledger.connect(role=ROLE) as connection:
            connection.execute(
                "INSERT INTO trending.run (run_id, trigger, scheduled_time, data_timestamp)"
                " VALUES ('u/j', 'Schedule', %s, %s)",
                [now, now],
            )
            connection.execute("UPDATE trending.run SET report = '{\"steps\": []}' WHERE run_id = 'u/j'")
            connection.execute(
                "INSERT INTO trending.freshness (table_name, slice) VALUES (%s, %s) ON CONFLICT DO NOTHING", key
            )
            locked = connection.execute(
                "SELECT data_timestamp FROM trending.freshness WHERE (table_name, slice) = (%s, %s) FOR UPDATE", key
            )
            assert locked.fetchall() == [(None,)]
            connection.execute("UPDATE trending.freshness SET data_timestamp = %s, run_id = 'u/j', rows = 3", [now])
            connection.execute("UPDATE trending.run SET result = 'Succeeded', completed_at = clock_timestamp()")
    finally:
        with ledger.connect(role=ADMIN, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP OWNED BY {r}; DROP ROLE {r}").format(r=sql.Identifier(ROLE)))


def test_a_slice_of_any_size_that_a_schedule_may_have_has_one_row(ledger: Database) -> None:
    longest = {f"column_{column}": [secrets.token_hex(128) for _ in range(64)] for column in range(8)}
    insert = "INSERT INTO trending.freshness (table_name, slice) VALUES ('s', %s) ON CONFLICT DO NOTHING RETURNING 1"
    for slice_ in ({}, {"type": ["TRACKS"]}, longest):
        assert ledger.execute(insert, [Jsonb(slice_)]) == [(1,)]
        assert ledger.execute(insert, [Jsonb(slice_)]) == []


def test_a_data_timestamp_without_its_run_is_refused(ledger: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.execute("INSERT INTO trending.freshness (table_name, slice, data_timestamp) VALUES ('s', '{}', now())")


def test_without_the_right_to_make_a_schema_the_sentence_says_which_role_lacks_it(database: Database) -> None:
    with database.connect(role=ADMIN, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
    try:
        with pytest.raises(MigrationError, match=rf"^The role {ROLE} may not make the schema trending .* GRANT CREATE"):
            apply(database, role=ROLE)
    finally:
        with database.connect(role=ADMIN, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


def test_two_migrations_of_a_database_do_not_run_at_once(database: Database) -> None:
    with database.connect(autocommit=True) as first, database.connect(autocommit=True) as second:

        def interfere(_: str) -> None:
            with pytest.raises(MigrationError, match="Another migration of this database is running"):
                migrate(second, say=silent)

        migrate(first, say=interfere)
        assert migrate(second, say=silent) == []


def test_an_unknown_preset_is_told_before_anything_is_done(database: Database) -> None:
    with pytest.raises(MigrationError, match=r"no migrations for the preset 'audio'; there are for: audius\.$"):
        apply(database, preset="audio")
    with database.connect(autocommit=True) as connection:
        assert not ledger_is_there(connection)


def test_a_connection_inside_a_transaction_is_refused(database: Database) -> None:
    with database.connect(autocommit=False) as connection, pytest.raises(MigrationError, match="autocommit"):
        migrate(connection, say=silent)


def test_the_session_s_limits_are_as_before_afterwards(audius: Database) -> None:
    with audius.connect(autocommit=True) as connection:
        before = (
            connection.execute("SHOW lock_timeout").fetchone(),
            connection.execute("SHOW statement_timeout").fetchone(),
        )
        migrate(connection, preset="audius", say=silent)
        after = (
            connection.execute("SHOW lock_timeout").fetchone(),
            connection.execute("SHOW statement_timeout").fetchone(),
        )
    assert before == after
