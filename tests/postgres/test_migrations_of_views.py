"""Migration 0214 from every state that it can find, or leave, a database in."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from importlib.resources import files

import psycopg
import pytest
from psycopg import sql

from tests.postgres.server import ADMIN, BINARIES, OWNER, Database
from trending.runner import migrate as module
from trending.runner.migrate import MigrationError, migrate, plan_from_catalog

PLAYS, PARAMS = "interval_play_track_id_idx", "trending_params_track_id_idx"
INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = {}::regclass"
UNIQUE = "CREATE UNIQUE INDEX {} ON trending_params (track_id)"


class CutOffError(Exception):
    """Stands for whatever ends the migration between two statements."""


def promote(database: Database, *, dry_run: bool = False, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Run the migration; the statements of it that were run, without the ledger's."""
    with database.connect(autocommit=True) as connection:
        migrate(connection, say=lambda _: None)
        return migrate(connection, preset="audius", dry_run=dry_run, say=say)


def indexes(database: Database) -> list[tuple[str, bool, bool]]:
    """Name, uniqueness and validity of every index of both views."""
    return [
        (name, unique, valid)
        for name, unique, valid in database.execute(
            "SELECT indexrelid::regclass::text, indisunique, indisvalid"
            " FROM pg_index JOIN pg_matviews ON indrelid = matviewname::regclass ORDER BY 1"
        )
    ]


PROMOTED = [(PLAYS, True, True), (PARAMS, True, True)]

# States of one view's index, each made from the plain one of the schema: what to run as its owner, and as superuser.
STATES = {
    "plain": ("", ""),
    "unique already": (f"DROP INDEX {PARAMS}; {UNIQUE.format(PARAMS)}", ""),
    "missing": (f"DROP INDEX {PARAMS}", ""),
    "plain and invalid": ("", INVALID.format(f"'{PARAMS}'")),
    "unique but invalid": (f"DROP INDEX {PARAMS}; {UNIQUE.format(PARAMS)}", INVALID.format(f"'{PARAMS}'")),
    "unique on a part of the rows": (f"DROP INDEX {PARAMS}; {UNIQUE.format(PARAMS)} WHERE track_id > 0", ""),
    "cut off while the new one was built": (UNIQUE.format(f"{PARAMS}_unique"), INVALID.format(f"'{PARAMS}_unique'")),
    "cut off after the new one was built": (UNIQUE.format(f"{PARAMS}_unique"), ""),
    "cut off while the old one was dropped": (UNIQUE.format(f"{PARAMS}_unique"), INVALID.format(f"'{PARAMS}'")),
    "cut off after the old one was dropped": (f"DROP INDEX {PARAMS}; {UNIQUE.format(f'{PARAMS}_unique')}", ""),
    "unique already with a left over one": (
        f"DROP INDEX {PARAMS}; {UNIQUE.format(PARAMS)}; {UNIQUE.format(f'{PARAMS}_unique')}",
        "",
    ),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("populated", [True, False], ids=["populated", "unpopulated"])
def test_from_any_state_both_views_end_with_one_unique_index_of_the_old_name(
    audius: Database, state: str, populated: bool
) -> None:
    as_owner, as_admin = STATES[state]
    if populated:
        audius.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays; REFRESH MATERIALIZED VIEW trending_params")
    if as_owner:
        audius.execute(as_owner)
    if as_admin:
        audius.execute(as_admin, role=ADMIN)
    planned = promote(audius, dry_run=True)
    assert promote(audius) == planned
    assert indexes(audius) == PROMOTED
    assert promote(audius) == []
    if populated:
        audius.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY aggregate_interval_plays")
        audius.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY trending_params")


def test_a_dry_run_changes_nothing_and_says_each_statement(audius: Database) -> None:
    said: list[str] = []
    before = indexes(audius)
    planned = promote(audius, dry_run=True, say=said.append)
    assert indexes(audius) == before
    assert [f"{statement};" for statement in planned] == said[-len(planned) :]
    assert planned[:3] == [
        f"CREATE UNIQUE INDEX CONCURRENTLY {PLAYS}_unique ON public.aggregate_interval_plays (track_id)",
        f"DROP INDEX CONCURRENTLY public.{PLAYS}",
        f"ALTER INDEX public.{PLAYS}_unique RENAME TO {PLAYS}",
    ]


@pytest.mark.parametrize("cut", range(1, 7))
def test_cut_off_before_any_statement_it_goes_on_from_there(audius_populated: Database, cut: int) -> None:
    seen: list[str] = []

    def cut_off(line: str) -> None:
        seen.append(line)
        if sum(line.endswith(";") for line in seen) == cut:
            raise CutOffError

    with pytest.raises(CutOffError):
        promote(audius_populated, say=cut_off)
    assert len(promote(audius_populated)) == 6 - (cut - 1)
    assert indexes(audius_populated) == PROMOTED


def test_at_no_time_is_a_view_without_a_valid_index(audius_populated: Database) -> None:
    def look(_: str) -> None:
        found = audius_populated.execute(
            "SELECT DISTINCT matviewname::text FROM pg_index JOIN pg_matviews ON indrelid = matviewname::regclass"
            " WHERE indisvalid ORDER BY 1"
        )
        assert found == [("aggregate_interval_plays",), ("trending_params",)]

    assert len(promote(audius_populated, say=look)) == 6


def test_no_reader_waits_while_the_migration_waits_for_an_older_transaction(audius_populated: Database) -> None:
    migration = threading.Thread(target=promote, args=(audius_populated,))
    with audius_populated.connect() as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM trending_params")
        migration.start()
        wait_until(
            audius_populated,
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE%' AND wait_event_type = 'Lock'",
        )
        with audius_populated.connect() as reader:
            reader.execute("SET statement_timeout = '2s'")
            reader.execute("SELECT count(*) FROM aggregate_interval_plays JOIN trending_params USING (track_id)")
    migration.join(timeout=30)
    assert not migration.is_alive()
    assert indexes(audius_populated) == PROMOTED
    assert "AccessShareLock" not in audius_populated.log()
    assert "AccessExclusiveLock" not in audius_populated.log()


def test_a_build_that_was_really_killed_is_dropped_and_begun_again(audius_populated: Database) -> None:
    ended: list[BaseException] = []

    def victim() -> None:
        try:
            promote(audius_populated)
        except psycopg.OperationalError as error:
            ended.append(error)

    migration = threading.Thread(target=victim)
    with audius_populated.connect() as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM trending_params")
        migration.start()
        building = "FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE%' AND wait_event_type = 'Lock'"
        wait_until(audius_populated, f"SELECT count(*) > 0 {building}")
        audius_populated.execute(f"SELECT pg_terminate_backend(pid) {building}", role=ADMIN)
        migration.join(timeout=30)
    assert ended
    assert (f"{PLAYS}_unique", True, False) in indexes(audius_populated)
    assert promote(audius_populated)[0] == f"DROP INDEX CONCURRENTLY public.{PLAYS}_unique"
    assert indexes(audius_populated) == PROMOTED


def test_a_lock_that_cannot_be_had_in_time_is_tried_again(
    audius_populated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENAME_LOCK_TIMEOUT", "100ms")
    said: list[str] = []
    with audius_populated.connect() as other:

        def obstruct(line: str) -> None:
            said.append(line)
            if line.startswith("ALTER INDEX") and not any("looking again" in former for former in said):
                other.execute(f"ALTER INDEX {PLAYS}_unique SET (fillfactor = 90)")
            if "looking again" in line:
                other.rollback()

        promote(audius_populated, say=obstruct)
    assert any("lock timeout; looking again" in line for line in said)
    assert indexes(audius_populated) == PROMOTED


def test_a_lock_that_is_never_given_ends_in_a_sentence(
    audius_populated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENAME_LOCK_TIMEOUT", "20ms")
    audius_populated.execute(
        f"DROP INDEX {PLAYS}; CREATE UNIQUE INDEX {PLAYS}_unique ON aggregate_interval_plays (track_id)"
    )
    with audius_populated.connect() as other:
        other.execute(f"ALTER INDEX {PLAYS}_unique SET (fillfactor = 90)")
        with pytest.raises(MigrationError, match="gave up after 5 attempts, others lock the view"):
            promote(audius_populated)


@pytest.mark.parametrize("view", ["aggregate_interval_plays", "trending_params"])
def test_a_missing_view_is_told_and_nothing_is_begun(audius: Database, view: str) -> None:
    audius.execute(sql.SQL("DROP MATERIALIZED VIEW {}").format(sql.Identifier(view)))
    before = indexes(audius)
    with pytest.raises(
        MigrationError, match=rf'^The materialized view {view} is in no schema of the search path \("\$user"'
    ):
        promote(audius)
    assert indexes(audius) == before


def test_views_in_another_schema_of_the_search_path_are_found_and_named_in_full(audius: Database) -> None:
    audius.execute('CREATE SCHEMA "Discovery"; ALTER MATERIALIZED VIEW trending_params SET SCHEMA "Discovery"')
    audius.execute('ALTER MATERIALIZED VIEW aggregate_interval_plays SET SCHEMA "Discovery"')
    with audius.connect(autocommit=True) as connection:
        connection.execute("""SET search_path = "Discovery", public""")
        statements = migrate(connection, preset="audius", say=lambda _: None)
        assert f'DROP INDEX CONCURRENTLY "Discovery".{PLAYS}' in statements
        assert plan_from_catalog(connection, "0214_unique_view_indexes") == []


def test_a_plain_view_is_told(audius: Database) -> None:
    audius.execute("DROP MATERIALIZED VIEW trending_params; CREATE VIEW trending_params AS SELECT 1 AS track_id")
    with pytest.raises(MigrationError, match=r"^trending_params is not a materialized view"):
        promote(audius)


def test_a_role_that_does_not_own_the_views_is_told_who_does(audius: Database) -> None:
    audius.execute("ALTER MATERIALIZED VIEW trending_params OWNER TO postgres", role=ADMIN)
    with pytest.raises(MigrationError, match=f"^The role {OWNER} does not own .* trending_params; run .* as postgres"):
        promote(audius)


def test_a_name_that_something_else_has_is_told(audius: Database) -> None:
    audius.execute(f"CREATE TABLE {PLAYS}_unique ()")
    with pytest.raises(MigrationError, match=f"^The name {PLAYS} or {PLAYS}_unique is taken by something else"):
        promote(audius)


def test_an_index_of_the_name_on_other_columns_is_left_alone_and_told(audius: Database) -> None:
    audius.execute(f"DROP INDEX {PARAMS}; CREATE INDEX {PARAMS} ON trending_params (genre)")
    with pytest.raises(MigrationError, match=f"{PARAMS} or {PARAMS}_unique is taken by something else"):
        promote(audius)
    assert (PARAMS, False, True) in indexes(audius)


def test_duplicate_rows_are_told_and_the_old_index_stays_alone(audius_populated: Database) -> None:
    live = "is_current AND NOT is_delete AND NOT is_unlisted AND stem_of IS NULL"
    audius_populated.execute(f"INSERT INTO tracks SELECT * FROM tracks WHERE {live} LIMIT 1")
    audius_populated.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays")
    before = indexes(audius_populated)
    with pytest.raises(MigrationError, match=r"more than one row for a key \(Key \(track_id\)=\(\d+\) is duplicated"):
        promote(audius_populated)
    assert indexes(audius_populated) == before


def test_psql_runs_the_same_file_and_goes_on_where_it_was_cut_off(audius_populated: Database) -> None:
    audius_populated.execute(UNIQUE.format(f"{PARAMS}_unique"))
    audius_populated.execute(INVALID.format(f"'{PARAMS}_unique'"), role=ADMIN)
    server = audius_populated.server
    command = [
        *(str(BINARIES / "psql"), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", audius_populated.name),
        *("--host", str(server.folder), "--port", str(server.port), "--username", OWNER),
        *("--file", str(files("trending") / "migrations" / "0214_unique_view_indexes.sql")),
    ]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert indexes(audius_populated) == PROMOTED


def wait_until(database: Database, condition: str) -> None:
    """Return when the query says true; the server sleeps between looks, and gives up after ten seconds."""
    with database.connect(role=ADMIN, autocommit=True) as observer:
        observer.execute("SET statement_timeout = '10s'")
        look_again = "PERFORM pg_sleep(0.02), pg_stat_clear_snapshot()"
        block = f"DO $$ BEGIN WHILE NOT ({condition}) LOOP {look_again}; END LOOP; END $$"
        observer.execute(block.encode())
