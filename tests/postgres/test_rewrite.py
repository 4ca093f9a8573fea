"""What all strategies promise: the slice holds the source's rows, and nothing else is touched."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.postgres.boards import ANEW, IN_PLACE, NOW, OLD, STRATEGIES, board_for, rows, target
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database


@pytest.fixture
def board(database: Database, request: pytest.FixtureRequest) -> Database:
    return board_for(database, request)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_slice_holds_the_sources_rows_and_others_are_untouched(board: Database, strategy: str) -> None:
    board.execute(
        f"INSERT INTO hot SELECT b, k, g, g, 'old', '{OLD}', 'x' FROM generate_series(1, 40) AS g, "
        "(VALUES ('main', 'a'), ('main', 'b'), ('main', 'c'), ('side', 'a')) AS v (b, k);"
        "INSERT INTO source SELECT k, g, g * 2, 'new' FROM generate_series(21, 60) AS g, (VALUES ('a'), ('b')) AS v (k)"
    )
    others = "SELECT *, xmin::text, ctid::text FROM hot WHERE (board, kind) IN (('main', 'c'), ('side', 'a'))"
    before = board.execute(others)
    report = report_of(run(board, target(strategy)))
    assert rows(board) == board.execute("SELECT * FROM source ORDER BY kind, post_id")
    assert board.execute(others) == before
    expected = (80, 0, 80, 0) if strategy in ANEW else (40, 40, 40, 0)
    assert counts(report, "own") == expected
    assert report.strategies == strategy
    assert report.targets[0].rows == 80


def test_merge_writes_only_rows_that_differ_by_value(board: Database) -> None:
    board.execute(
        f"INSERT INTO hot (board, kind, post_id, score, genre, created_at) "
        f"SELECT 'main', 'a', id, score, genre, '{OLD}' FROM (VALUES "
        "(1, 'NaN'::float8, 'x'), (2, '-0'::float8, 'x'), (3, NULL, NULL), (4, 1, NULL), (5, NULL, 'x'), "
        "(6, 'Infinity', 'x'), (7, 7, 'x')) AS v (id, score, genre);"
        "INSERT INTO source SELECT 'a', * FROM (VALUES "
        "(1, 'NaN'::float8, 'x'), (2, '0'::float8, 'x'), (3, NULL, NULL), (4, 1, 'now'), (5, 0, 'x'), "
        "(6, 'Infinity', 'x'), (7, 'NaN', 'x')) AS v"
    )
    report = report_of(run(board, target(), now=NOW))
    assert counts(report, "own") == (0, 3, 0, 4)
    assert board.execute("SELECT post_id FROM hot WHERE created_at = %s ORDER BY 1", [NOW]) == [(4,), (5,), (7,)]
    assert str(board.execute("SELECT score::text FROM hot WHERE post_id = 2")) == "[('-0',)]", "-0 is 0 already"


def test_merge_keeps_the_values_of_columns_that_the_query_does_not_return(board: Database) -> None:
    board.execute(
        f"INSERT INTO hot VALUES ('main', 'a', 1, 1, 'x', '{OLD}', 'kept');"
        "INSERT INTO source VALUES ('a', 1, 2, 'x'), ('a', 2, 2, 'x')"
    )
    report_of(run(board, target()))
    assert rows(board, "post_id, score, extra") == [(1, 2, "kept"), (2, 2, "default")]


def test_delete_insert_defaults_them_and_says_so(board: Database) -> None:
    board.execute(
        f"INSERT INTO hot VALUES ('main', 'a', 1, 1, 'x', '{OLD}', 'kept'); INSERT INTO source VALUES ('a', 1, 2, 'x')"
    )
    report = report_of(run(board, target("DeleteInsert")))
    assert rows(board, "post_id, score, extra") == [(1, 2, "default")]
    assert step_of(report, "own").note == "columns that the query does not return have their defaults: extra"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_that_change_are_stamped_with_the_data_timestamp(board: Database, strategy: str) -> None:
    board.execute(
        f"INSERT INTO hot (board, kind, post_id, score, genre, created_at) VALUES ('main', 'a', 1, 1, 'x', '{OLD}');"
        "INSERT INTO source VALUES ('a', 1, 1, 'x'), ('a', 2, 1, 'x')"
    )
    report_of(run(board, target(strategy), now=NOW))
    old = datetime(2020, 1, 1, tzinfo=UTC)
    assert rows(board, "post_id, created_at") == [(1, NOW if strategy in ANEW else old), (2, NOW)]


def test_a_stamp_of_ones_own_is_set_instead(board: Database) -> None:
    board.execute("ALTER TABLE hot ADD COLUMN computed_at date; INSERT INTO source VALUES ('a', 1, 1, 'x')")
    report_of(run(board, target(stamp="computed_at"), now=NOW))
    assert rows(board, "computed_at, created_at") == [(NOW.date(), datetime(2001, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_the_whole_table_is_a_slice_too(database: Database, strategy: str) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score int); INSERT INTO hot VALUES (1, 1), (2, 2)")
    ledger(database)
    query = "SELECT 2 AS id, 3 AS score UNION ALL SELECT 3, 3"
    report_of(run(database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
    assert database.execute("SELECT * FROM hot ORDER BY id") == [(2, 3), (3, 3)]
    assert database.execute("SELECT slice FROM trending.freshness") == [({},)]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_generated_and_identity_columns_are_left_to_the_server(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (row_id bigint GENERATED ALWAYS AS IDENTITY, id int PRIMARY KEY, score int, "
        "double int GENERATED ALWAYS AS (score * 2) STORED); INSERT INTO hot (id, score) VALUES (1, 1)"
    )
    ledger(database)
    query = "SELECT 1 AS id, 4 AS score UNION ALL SELECT 2, 5"
    report_of(run(database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
    assert database.execute("SELECT id, double FROM hot ORDER BY id") == [(1, 8), (2, 10)]
    for column in ("row_id", "double"):
        wanted = spec(rewrite=[own_target(query=f"SELECT 1 AS id, 1 AS {column}", strategy=strategy)])
        report = report_of(run(database, wanted), exit_code=2)
        assert f"column '{column}' of public.hot is generated by the server: leave it out" in report.message


def test_types_without_equality_are_compared_as_texts(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, data json, place point)")
    ledger(database)
    query = "SELECT 1 AS id, json '{\"a\": 1}' AS data, point '(1,2)' AS place"
    assert counts(report_of(run(database, spec(rewrite=[own_target(query=query)]))), "own") == (1, 0, 0, 0)
    assert counts(report_of(run(database, spec(rewrite=[own_target(query=query)]))), "own") == (0, 0, 0, 1)
    changed = query.replace("(1,2)", "(1,3)")
    assert counts(report_of(run(database, spec(rewrite=[own_target(query=changed)]))), "own") == (0, 1, 0, 0)


def test_names_may_be_as_hostile_as_sql_allows(database: Database) -> None:
    table, column, board = '"Odd"."hot ""t%s"";--{}"', 'c";%(x)s --{}', "kind"
    quoted = column.replace('"', '""')
    database.execute(
        f'CREATE SCHEMA "Odd"; CREATE TABLE {table} ({board} text, "tid" int, "present" text, "{quoted}" int, '
        f'"c1" int, "part" int, PRIMARY KEY ({board}, "tid")); '
        f"INSERT INTO {table} VALUES ('it''s %s', 1, 'x', 1, 1, 1), ('other', 1, 'x', 1, 1, 1)"
    )
    ledger(database)
    value = "it's %s"
    query = (
        f"SELECT 1 AS tid, '%' AS present, 2 AS \"{quoted}\", 3 AS c1, 4 AS part UNION ALL SELECT 2, '{{}}', 5, 6, 7"
    )
    wanted = spec(rewrite=[own_target(table=table, slice={board: [value]}, query=query)])
    report = report_of(run(database, wanted))
    assert counts(report, "own") == (1, 1, 0, 0)
    assert database.execute(f"SELECT * FROM {table} ORDER BY 1, 2") == [
        (value, 1, "%", 2, 3, 4),
        (value, 2, "{}", 5, 6, 7),
        ("other", 1, "x", 1, 1, 1),
    ]
    assert database.execute("SELECT table_name FROM trending.freshness") == [(table,)]


def test_a_slice_that_is_one_row(database: Database) -> None:
    database.execute("CREATE TABLE hot (name text PRIMARY KEY, score int); INSERT INTO hot VALUES ('a', 1), ('b', 2)")
    ledger(database)
    wanted = spec(rewrite=[own_target(slice={"name": ["a"]}, query="SELECT 7 AS score")])
    assert counts(report_of(run(database, wanted)), "own") == (0, 1, 0, 0)
    assert database.execute("SELECT * FROM hot ORDER BY name") == [("a", 7), ("b", 2)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_partitioned_table_is_rewritten_through_its_parent(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (kind text, id int, score int, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);"
        "CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
        "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b');"
        "CREATE TABLE hot_c PARTITION OF hot FOR VALUES IN ('c');"
        "INSERT INTO hot SELECT k, g, g FROM generate_series(1, 30) AS g, (VALUES ('a'), ('b'), ('c')) AS v (k)"
    )
    ledger(database)
    query = (
        "SELECT k AS kind, g AS id, g * 2 AS score FROM generate_series(21, 40) AS g, (VALUES ('a'), ('b')) AS v (k)"
    )
    before = database.execute("SELECT *, xmin::text FROM hot_c")
    wanted = spec(rewrite=[own_target(slice={"kind": ["a", "b"]}, query=query, strategy=strategy, maxDeletePercent=67)])
    report = report_of(run(database, wanted))
    assert counts(report, "own") == ((40, 0, 60, 0) if strategy in ANEW else (20, 20, 40, 0))
    assert database.execute("SELECT * FROM hot_a ORDER BY id") == [("a", g, g * 2) for g in range(21, 41)]
    assert database.execute("SELECT *, xmin::text FROM hot_c") == before


def test_a_unique_value_may_move_from_a_row_that_goes_to_one_that_comes(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, rank int UNIQUE); INSERT INTO hot VALUES (1, 1)")
    ledger(database)
    assert counts(
        report_of(run(database, spec(rewrite=[own_target(query="SELECT 2 AS id, 1 AS rank", maxDeletePercent=100)]))),
        "own",
    ) == (
        1,
        0,
        1,
        0,
    )


def test_rows_that_a_trigger_keeps_from_being_written_are_told(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int);"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON hot FOR EACH ROW WHEN (new.id = 2) EXECUTE FUNCTION refuse()"
    )
    ledger(database)
    report = report_of(
        run(database, spec(rewrite=[own_target(query="SELECT g AS id FROM generate_series(1, 3) AS g")]))
    )
    assert step_of(report, "own").rows_inserted == 2
    assert "the server wrote 2 rows of the 3 that were to change" in (step_of(report, "own").note or "")


def test_what_a_run_plans_in_its_own_way_is_no_matter_of_the_tables_triggers(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int); INSERT INTO hot VALUES (1, 1);"
        "CREATE TABLE seen (text text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen SELECT concat_ws(' ', current_setting('enable_indexscan'), "
        "current_setting('enable_hashagg')); "
        "RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER INSERT OR UPDATE ON hot FOR EACH STATEMENT EXECUTE FUNCTION note()"
    )
    ledger(database)
    query = "SELECT g AS id, 2 AS score FROM generate_series(1, 2) AS g"
    report_of(run(database, spec(rewrite=[own_target(query=query)], database={"settings": {"enable_hashagg": "off"}})))
    assert database.execute("SELECT DISTINCT text FROM seen") == [("on off",)]
