"""Upsert: by which index, what it counts, and rows of other slices that are in its way."""

from __future__ import annotations

import pytest

from tests.postgres.boards import IN_PLACE, NOW, OLD, board_for, rows, target
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database


@pytest.fixture
def board(database: Database, request: pytest.FixtureRequest) -> Database:
    return board_for(database, request)


def test_only_rows_that_differ_by_value_are_updated_and_counted(board: Database) -> None:
    board.execute(
        f"INSERT INTO hot (board, kind, post_id, score, genre, created_at) "
        f"SELECT 'main', 'a', id, score, genre, '{OLD}' FROM (VALUES "
        "(1, 'NaN'::float8, 'x'), (2, '-0'::float8, 'x'), (3, NULL, NULL), (4, 1, NULL), (5, NULL, 'x'), "
        "(8, 8, 'x')) AS v (id, score, genre);"
        "INSERT INTO source SELECT 'a', * FROM (VALUES "
        "(1, 'NaN'::float8, 'x'), (2, '0'::float8, 'x'), (3, NULL, NULL), (4, 1, 'now'), (5, 0, 'x'), (9, 9, 'x')) AS v"
    )
    report = report_of(run(board, target("Upsert"), now=NOW))
    assert counts(report, "own") == (1, 2, 1, 3)
    assert board.execute("SELECT post_id FROM hot WHERE created_at = %s ORDER BY 1", [NOW]) == [(4,), (5,), (9,)]
    assert report_of(run(board, target("Upsert"))).rows_changed == 0


def test_columns_that_the_query_does_not_return_keep_their_values(board: Database) -> None:
    board.execute(
        f"INSERT INTO hot VALUES ('main', 'a', 1, 1, 'x', '{OLD}', 'kept');"
        "INSERT INTO source VALUES ('a', 1, 2, 'x'), ('a', 2, 2, 'x')"
    )
    report_of(run(board, target("Upsert")))
    assert rows(board, "post_id, score, extra") == [(1, 2, "kept"), (2, 2, "default")]


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX ON hot (id)",
        "CREATE UNIQUE INDEX ON hot (id) WHERE score > 0",
        "CREATE UNIQUE INDEX ON hot (id, score)",
        "CREATE UNIQUE INDEX ON hot ((id + 1))",
        "ALTER TABLE hot ADD UNIQUE (id) DEFERRABLE",
    ],
)
def test_without_an_index_that_tells_rows_apart_it_says_what_to_do(database: Database, index: str) -> None:
    database.execute(f"CREATE TABLE hot (id int, score int); {index}")
    ledger(database)
    wanted = spec(rewrite=[own_target(query="SELECT 1 AS id, 1 AS score", key=["id"], strategy="Upsert")])
    report = report_of(run(database, wanted), exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "strategy Upsert needs a unique index of public.hot on (id)" in report.message
    assert database.execute("SELECT * FROM hot") == []


def test_a_row_of_another_slice_under_the_same_key_is_an_error_and_stays(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, kind text, score int);"
        "INSERT INTO hot VALUES (1, 'a', 1), (2, 'b', 2), (3, 'a', 3)"
    )
    ledger(database)
    before = database.execute("SELECT *, xmin::text FROM hot ORDER BY id")
    query = "SELECT g AS id, g * 10 AS score FROM generate_series(1, 3) AS g"
    wanted = spec(rewrite=[own_target(slice={"kind": ["a"]}, query=query, key=["id"], strategy="Upsert")])
    report = report_of(run(database, wanted), exit_code=2)
    assert "the unique index on (id) holds a row of another slice" in report.message
    assert "where the row with id=2 would go; nothing was written" in report.message
    assert database.execute("SELECT *, xmin::text FROM hot ORDER BY id") == before


def test_a_query_of_nothing_but_the_key_inserts_and_prunes(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int DEFAULT 7); INSERT INTO hot VALUES (1, 1), (2, 2)"
    )
    ledger(database)
    query = "SELECT g AS id FROM generate_series(2, 3) AS g"
    report = report_of(run(database, spec(rewrite=[own_target(query=query, strategy="Upsert")])))
    assert counts(report, "own") == (1, 0, 1, 1)
    assert database.execute("SELECT * FROM hot ORDER BY id") == [(2, 2), (3, 7)]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_rows_that_a_trigger_leaves_out_are_not_counted_as_written(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int); INSERT INTO hot VALUES (1, 1), (9, 9);"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON hot FOR EACH ROW WHEN (new.id = 2) EXECUTE FUNCTION refuse()"
    )
    ledger(database)
    query = "SELECT g AS id, 5 AS score FROM generate_series(1, 3) AS g"
    report = report_of(run(database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
    assert counts(report, "own")[:3] == ((2, 0, 2) if strategy == "DeleteInsert" else (1, 1, 1))
    assert "rows of the" in (step_of(report, "own").note or "")


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_a_foreign_key_on_the_table_is_kept_or_the_servers_error_told(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int); INSERT INTO hot VALUES (1, 1), (2, 2);"
        "CREATE TABLE fan (hot int REFERENCES hot); INSERT INTO fan VALUES (1)"
    )
    ledger(database)
    query = "SELECT g AS id, 5 AS score FROM generate_series(1, 3) AS g"
    wanted = spec(rewrite=[own_target(query=query, strategy=strategy)])
    if strategy == "DeleteInsert":
        report = report_of(run(database, wanted), exit_code=2)
        assert "violates foreign key constraint" in report.message
        database.execute(
            "ALTER TABLE fan DROP CONSTRAINT fan_hot_fkey, "
            "ADD FOREIGN KEY (hot) REFERENCES hot DEFERRABLE INITIALLY DEFERRED"
        )
    report_of(run(database, wanted))
    assert database.execute("SELECT * FROM hot ORDER BY id") == [(1, 5), (2, 5), (3, 5)]
    assert database.execute("SELECT * FROM fan") == [(1,)]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_rows_that_a_policy_hides_are_not_touched(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int, secret bool DEFAULT false);"
        "INSERT INTO hot VALUES (1, 1), (2, 2); INSERT INTO hot VALUES (99, 99, true);"
        "ALTER TABLE hot ENABLE ROW LEVEL SECURITY; ALTER TABLE hot FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY open ON hot USING (NOT secret)"
    )
    ledger(database)
    query = "SELECT g AS id, 5 AS score FROM generate_series(2, 3) AS g"
    report_of(run(database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
    assert database.execute("SELECT id, score FROM hot ORDER BY id", role="postgres") == [(2, 5), (3, 5), (99, 99)]
