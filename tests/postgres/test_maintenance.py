"""VACUUM (ANALYZE) of what a run churned: when, by whom, and that it never fails a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import sql

from tests.postgres.runs import ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from trending.api.spec import TrendingScheduleSpec

ROWS = 5_000
CERTIFIED = "discovery-certified"


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute(
        "CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id)) WITH (autovacuum_enabled = off);"
        f"INSERT INTO hot SELECT 'main', g, 0 FROM generate_series(1, {ROWS}) AS g;"
        "ANALYZE hot;"
    )
    ledger(database)
    return database


def scoring(changed: int, **fields: Any) -> TrendingScheduleSpec:
    """A run that changes so many rows."""
    query = f"SELECT g AS id, (g <= {changed})::int AS score FROM generate_series(1, {ROWS}) AS g"
    target = own_target(slice={"board": ["main"]}, query=query, strategy="Merge")
    return spec(rewrite=[target], **fields)


def dead(database: Database, table: str = "hot") -> int:
    """Rows that are dead by a look at the table itself, whatever the statistics say: those a VACUUM finds now."""
    said: list[str] = []
    with database.connect(role="postgres", autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute(sql.SQL("VACUUM (VERBOSE) {}").format(sql.Identifier(table)))
    found = re.search(r"tuples: (\d+) removed, \d+ remain, (\d+) are dead but not yet removable", "\n".join(said))
    assert found, said
    return int(found[1]) + int(found[2])


def note(database: Database, wanted: TrendingScheduleSpec) -> str:
    return step_of(report_of(run(database, wanted)), "own").note or ""


def test_a_run_that_churns_leaves_no_dead_rows_and_fresh_statistics(hot: Database) -> None:
    said = note(hot, scoring(1_500))
    assert re.search(r"public\.hot: \d+ of its rows were dead; vacuumed in [\d.]+ s", said)
    assert dead(hot) == 0
    assert hot.execute("SELECT most_common_freqs[1] < 0.75 FROM pg_stats WHERE attname = 'score'") == [(True,)]


def test_a_run_that_changes_little_vacuums_nothing(hot: Database) -> None:
    assert "vacuum" not in note(hot, scoring(100))
    assert dead(hot) >= 100


def test_never_leaves_it_to_others(hot: Database) -> None:
    assert "vacuum" not in note(hot, scoring(1_500, database={"maintenance": "Never"}))
    assert dead(hot) >= 1_500


def test_several_small_runs_add_up(hot: Database) -> None:
    assert "vacuum" not in note(hot, scoring(400))
    assert "vacuum" not in note(hot, scoring(0))
    assert "vacuumed in" in note(hot, scoring(400))
    assert dead(hot) == 0


def test_only_the_partition_that_was_churned_is_vacuumed(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id)) PARTITION BY LIST (board);"
        "CREATE TABLE hot_main PARTITION OF hot FOR VALUES IN ('main') WITH (autovacuum_enabled = off);"
        "CREATE TABLE hot_other PARTITION OF hot FOR VALUES IN ('other') WITH (autovacuum_enabled = off);"
        f"INSERT INTO hot SELECT board, g, 0 FROM generate_series(1, {ROWS}) AS g, unnest('{{main,other}}'::text[]) b "
        "(board); DELETE FROM hot WHERE board = 'other' AND id <= 100; ANALYZE hot"
    )
    ledger(database)
    assert "public.hot_main: " in note(database, scoring(1_500))
    assert dead(database, "hot_main") == 0
    assert dead(database, "hot_other") == 100


def test_a_view_refreshed_concurrently_is_vacuumed_too(hot: Database) -> None:
    hot.execute(
        f"CREATE TABLE plays AS SELECT g AS id, 0 AS count FROM generate_series(1, {ROWS}) AS g;"
        "CREATE MATERIALIZED VIEW totals WITH (autovacuum_enabled = off) AS SELECT * FROM plays;"
        "CREATE UNIQUE INDEX ON totals (id); ANALYZE totals; UPDATE plays SET count = 1 WHERE id <= 2000"
    )
    report = report_of(run(hot, scoring(0, refresh=[{"materializedView": "totals"}])))
    step = step_of(report, "totals")
    assert step.mode == "Concurrent"
    assert "public.totals: 2000 of its rows were dead; vacuumed in" in (step.note or "")
    assert dead(hot, "totals") == 0


def test_a_role_that_does_not_own_the_table_leaves_it_and_says_so(hot: Database) -> None:
    hot.execute(
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON hot TO "{CERTIFIED}";'
        f'GRANT USAGE ON SCHEMA trending TO "{CERTIFIED}";'
        f'GRANT SELECT, INSERT, UPDATE ON trending.run, trending.freshness TO "{CERTIFIED}"'
    )
    with as_other(hot) as uri:
        report = report_of(run(hot, scoring(1_500), uri=uri))
    said = step_of(report, "own").note or ""
    assert "of its rows were dead; not vacuumed, since role" in said
    assert report.result == "Succeeded"
    assert dead(hot) >= 1_500


@contextmanager
def as_other(database: Database) -> Iterator[str]:
    """The URI of a role with grants only."""
    database.execute(f"ALTER ROLE \"{CERTIFIED}\" PASSWORD 'some-password'", role="postgres")
    server = database.server
    folder = str(server.folder).replace("/", "%2F")
    try:
        yield f"postgresql://{CERTIFIED}@{folder}:{server.port}/{database.name}"
    finally:
        database.execute(f'ALTER ROLE "{CERTIFIED}" PASSWORD NULL', role="postgres")


def test_a_table_that_others_lock_is_skipped_without_waiting(hot: Database) -> None:
    with hot.connect() as other:
        # Lets rows be written, but no VACUUM in; and by itself does not keep the run's own out.
        other.execute("LOCK TABLE hot IN SHARE UPDATE EXCLUSIVE MODE")
        said = note(hot, scoring(1_500))
    assert 'not vacuumed: skipping vacuum of "hot" --- lock not available' in said
    assert dead(hot) >= 1_500


def test_a_run_told_to_stop_while_it_vacuums_has_succeeded(hot: Database) -> None:
    """The deadline comes while VACUUM waits for a page of the index that a reader has stopped at."""
    hot.execute("UPDATE hot SET score = 0")
    with hot.connect() as reader:
        reader.execute("SET enable_seqscan = off")
        reader.execute("DECLARE c CURSOR FOR SELECT board, id FROM hot ORDER BY board, id; FETCH 1 FROM c")
        report = report_of(run(hot, scoring(1_500), seconds=6))
    assert report.result == "Succeeded"
    assert "its VACUUM was not finished, since the run's time was over" in (step_of(report, "own").note or "")
    assert hot.execute("SELECT result FROM trending.run") == [("Succeeded",)]
    assert hot.execute("SELECT count(*) FROM hot WHERE score = 1") == [(1_500,)]


def test_the_write_ahead_log_of_the_vacuum_is_not_the_rewrite_s(hot: Database) -> None:
    both = [step_of(report_of(run(hot, scoring(1_500, database={"maintenance": "Never"}))), "own").wal_bytes or 0]
    hot.execute("UPDATE hot SET score = 0")
    hot.execute("VACUUM hot")
    both.append(step_of(report_of(run(hot, scoring(1_500))), "own").wal_bytes or 0)
    assert both[1] < 1.2 * both[0]
