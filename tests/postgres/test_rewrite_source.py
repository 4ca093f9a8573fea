"""What a source query may return, and what is refused before anything is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.postgres.boards import NOW, OLD, STRATEGIES, board_for, rows, target
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec
from tests.postgres.server import Database

DOMAINS = """
    CREATE DOMAIN price AS numeric(5,2); CREATE DOMAIN short AS varchar(4); CREATE DOMAIN letter AS "char";
    CREATE DOMAIN share AS float8; CREATE DOMAIN half AS share CHECK (VALUE <= 0.5);
"""


@pytest.fixture
def board(database: Database, request: pytest.FixtureRequest) -> Database:
    return board_for(database, request)


def test_created_at_is_not_stamped_where_the_query_returns_it(board: Database) -> None:
    board.execute("INSERT INTO source VALUES ('a', 1, 1, 'x')")
    query = f"SELECT kind, post_id, score, genre, timestamptz '{OLD}' AS created_at FROM source"
    report_of(run(board, target(query=query)))
    assert rows(board, "created_at") == [(datetime(2020, 1, 1, tzinfo=UTC),)]
    report = report_of(run(board, target(query=query, stamp="created_at")), exit_code=2)
    assert "returns column 'created_at', which spec.rewrite[0].stamp has set" in report.message


def test_a_created_at_that_is_no_moment_is_a_column_like_others(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, created_at text)")
    ledger(database)
    report_of(run(database, spec(rewrite=[own_target(query="SELECT 1 AS id")])))
    assert database.execute("SELECT * FROM hot") == [(1, None)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("('a', 1, 1, 'x'), ('a', 1, 2, 'y')", "2 rows have the same key, kind=a, post_id=1; nothing was written"),
        ("('a', NULL, 1, 'x')", "a row has a null in its key (kind, post_id): kind=a, post_id=null"),
        ("('c', 1, 1, 'x')", 'a row lies outside the slice {"board":["main"],"kind":["a","b"]}: kind=c, post_id=1'),
    ],
)
def test_rows_that_cannot_be_the_slices_are_refused_by_name(
    board: Database, strategy: str, values: str, sentence: str
) -> None:
    board.execute(f"INSERT INTO hot VALUES ('main', 'a', 9, 9, 'x', '{OLD}'); INSERT INTO source VALUES {values}")
    before = board.execute("SELECT *, xmin::text FROM hot")
    report = report_of(run(board, target(strategy)), exit_code=2)
    assert report.reason == "RunFailed"
    assert sentence in report.message
    assert board.execute("SELECT *, xmin::text FROM hot") == before


def test_a_query_may_return_a_column_with_one_value_itself_and_is_checked_on_it(board: Database) -> None:
    board.execute("INSERT INTO source VALUES ('a', 1, 1, 'x')")
    report_of(run(board, target(query="SELECT 'main' AS board, * FROM source")))
    assert len(rows(board)) == 1
    report = report_of(run(board, target(query="SELECT 'side' AS board, * FROM source")), exit_code=2)
    assert "a row lies outside the slice" in report.message
    report = report_of(run(board, target(query="SELECT NULL::text AS board, * FROM source")), exit_code=2)
    assert "a row lies outside the slice" in report.message


def test_a_slice_column_with_several_values_has_to_be_returned(board: Database) -> None:
    report = report_of(run(board, target(query="SELECT post_id, score FROM source", key=["post_id"])), exit_code=2)
    assert "does not return column 'kind', which is part of the slice: add it" in report.message


def test_values_are_converted_as_an_insert_would(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id bigint PRIMARY KEY, score real, price numeric(6, 2), name varchar(3), t text)"
    )
    ledger(database)
    query = "SELECT 1::smallint AS id, 1.5::numeric AS score, 2.345 AS price, 'abc' AS name, 5 AS t"
    report_of(run(database, spec(rewrite=[own_target(query=query)])))
    assert [tuple(map(str, row)) for row in database.execute("SELECT * FROM hot")] == [("1", "1.5", "2.35", "abc", "5")]
    again = report_of(run(database, spec(rewrite=[own_target(query=query)])))
    assert counts(again, "own") == (0, 0, 0, 1)
    long = query.replace("'abc'", "'abcd'")
    report = report_of(run(database, spec(rewrite=[own_target(query=long)])), exit_code=2)
    assert "value too long for type character varying(3)" in report.message


@pytest.mark.parametrize(
    ("declared", "stored", "value", "would_be"),
    [
        ("varchar(4)", "main", "mainly", "main"),
        ("numeric(5,2)", "1.01", "1.005", "1.01"),
        ("timestamp(0)", "2026-01-01 00:00:01", "2026-01-01 00:00:00.7", "2026-01-01 00:00:01"),
        ("char(4)", "main", "mainly", "main"),
        ('"char"', "m", "main", "m"),
        ("name", "é" * 31, "é" * 32, "é" * 31),
        ("price", "1.01", "1.005", "1.01"),
        ("short", "main", "mainly", "main"),
        ("letter", "m", "main", "m"),
    ],
)
def test_a_slice_value_that_the_column_would_change_is_refused(
    database: Database, declared: str, stored: str, value: str, would_be: str
) -> None:
    database.execute(
        f"{DOMAINS} CREATE TABLE hot (board {declared}, id int, PRIMARY KEY (board, id));"
        f"INSERT INTO hot VALUES ('{stored}', 1)"
    )
    ledger(database)
    wanted = spec(rewrite=[own_target(slice={"board": [value]}, query="SELECT 2 AS id")])
    report = report_of(run(database, wanted), exit_code=2)
    assert f"cannot hold '{value}', which it would make '{would_be}'" in report.message
    assert database.execute("SELECT id FROM hot") == [(1,)]
    fine = spec(rewrite=[own_target(slice={"board": [stored]}, query="SELECT 2 AS id", maxDeletePercent=100)])
    report_of(run(database, fine))
    assert database.execute("SELECT board::text, id FROM hot") == [(stored, 2)]


def test_a_query_only_reads(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY); CREATE TABLE other (id int); CREATE SEQUENCE s;"
        "CREATE FUNCTION write() RETURNS int LANGUAGE sql AS $$ INSERT INTO other VALUES (1) RETURNING id $$;"
        "CREATE FUNCTION unlock() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN SET LOCAL transaction_read_only = off; INSERT INTO other VALUES (1); RETURN 1; END $$"
    )
    ledger(database)
    for query, exit_code, sentence in (
        ("SELECT write() AS id", 2, "a source query only reads, and this one writes: cannot execute INSERT"),
        ("SELECT nextval('s') AS id", 2, "a source query only reads, and this one writes: cannot execute nextval()"),
        ("SELECT unlock() AS id", 1, "cannot set transaction read-write mode inside a read-only transaction"),
        ("WITH w AS (INSERT INTO other VALUES (1) RETURNING id) SELECT id FROM w", 1, "data-modifying statement"),
    ):
        report = report_of(run(database, spec(rewrite=[own_target(query=query)])), exit_code=exit_code)
        assert "spec.rewrite[0].query: " in report.message
        assert sentence in report.message
    assert database.execute("SELECT count(*) FROM other") == [(0,)]
    assert database.execute("SELECT count(*) FROM hot") == [(0,)]


def test_now_is_bound_in_a_query_of_ones_own(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, at timestamp, text text, share numeric)")
    ledger(database)
    query = "SELECT 1 AS id, :now::timestamp - interval '1 day' AS at, ':now %s' AS text, 7 % 4 AS share -- :now;"
    report_of(run(database, spec(rewrite=[own_target(query=query)]), now=NOW))
    assert database.execute("SELECT * FROM hot") == [(1, datetime(2026, 11, 22, 18), ":now %s", 3)]  # noqa: DTZ001


def test_a_table_without_a_primary_key_needs_a_key_and_takes_one(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int, score int); INSERT INTO hot VALUES (1, 1), (2, 2), (NULL, 3)")
    ledger(database)
    query = "SELECT 2 AS id, 5 AS score"
    report = report_of(run(database, spec(rewrite=[own_target(query=query)])), exit_code=2)
    assert "table public.hot has no primary key: name the columns that tell its rows apart" in report.message
    report = report_of(run(database, spec(rewrite=[own_target(query=query, key=["id"], maxDeletePercent=100)])))
    assert counts(report, "own") == (0, 1, 2, 0)
    assert database.execute("SELECT * FROM hot") == [(2, 5)]


def test_a_key_that_does_not_tell_the_tables_rows_apart_is_refused(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int, score int); INSERT INTO hot VALUES (1, 1), (1, 2)")
    ledger(database)
    wanted = spec(rewrite=[own_target(query="SELECT 1 AS id, 5 AS score", key=["id"])])
    report = report_of(run(database, wanted), exit_code=2)
    assert "the key (id) does not tell the rows of public.hot {} apart: 2 of them have the same one" in report.message
    assert database.execute("SELECT count(*) FROM hot") == [(2,)]


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_only_tables_are_rewritten(database: Database, kind: str) -> None:
    database.execute(f"CREATE {kind} hot AS SELECT 1 AS id")
    ledger(database)
    report = report_of(run(database, spec(rewrite=[own_target(query="SELECT 1 AS id")])), exit_code=2)
    assert "spec.rewrite[0].table: public.hot is no table" in report.message


def test_the_planner_knows_how_many_rows_the_stage_has(board: Database) -> None:
    """Nobody analyses a temporary table by itself; the planner would expect a handful of rows, and join row by row."""
    board.execute(
        "INSERT INTO source SELECT 'a', g, g, 'x' FROM generate_series(1, 3000) AS g;"
        "CREATE TABLE seen (name text, tuples float4);"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen "
        "SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'trending!_%' ESCAPE '!' AND relpersistence = 't'; "
        "RETURN NULL; END $$;"
        "CREATE TRIGGER see AFTER INSERT ON hot FOR EACH STATEMENT EXECUTE FUNCTION see()"
    )
    report_of(run(board, target()))
    assert board.execute("SELECT left(name, 14), tuples FROM seen ORDER BY 1 DESC") == [
        ("trending_stage", 3000),
        ("trending_chang", 3000),
    ]


@pytest.mark.parametrize(
    ("columns", "rows", "told"),
    [
        ("id int, day date", "(1, date '2026-01-01'), (2, '2026-01-01'), (2, '2026-01-01')", "id=2, day=2026-01-01"),
        ("id float8", "('NaN'::float8), (1), ('NaN')", "id=NaN"),
        ("id float8", "('0'::float8), ('-0')", "id=-?0"),
        ("id numeric", "(1.0), (1.00)", "id=1.00?"),
        ("id uuid", "('00000000-0000-0000-0000-00000000000a'::uuid), ('00000000-0000-0000-0000-00000000000A')", "id=0"),
        ("id char(3)", "('a'), ('a  ')", "id=a"),
        ("id text, n int", "('b', 1), ('a', 1), ('b', 2), ('b', 1)", "id=b, n=1"),
    ],
)
@pytest.mark.parametrize("strategy", ["Merge", "DeleteInsert"])
def test_two_rows_of_one_key_are_told_whatever_the_key_is_made_of(
    database: Database, strategy: str, columns: str, rows: str, told: str
) -> None:
    names = ", ".join(column.split()[0] for column in columns.split(", "))
    database.execute(f"CREATE TABLE hot ({columns}, PRIMARY KEY ({names}))")
    ledger(database)
    wanted = spec(rewrite=[own_target(query=f"SELECT * FROM (VALUES {rows}) AS v ({names})", strategy=strategy)])
    message = report_of(run(database, wanted), exit_code=2).message
    assert re.search(f"2 rows have the same key, {told}", message), message
    assert database.execute("SELECT count(*) FROM hot") == [(0,)]


def test_the_stage_has_no_column_for_what_is_the_same_in_all_rows(board: Database) -> None:
    board.execute(
        "CREATE TABLE seen (name name); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen SELECT a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid "
        "WHERE a.attnum > 0 AND c.relname ~ '^trending_stage_'; RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER INSERT ON hot FOR EACH STATEMENT EXECUTE FUNCTION note();"
        "INSERT INTO source VALUES ('a', 1, 1, 'x')"
    )
    report_of(run(board, target()))
    assert board.execute("SELECT name FROM seen") == [("kind",), ("post_id",), ("score",), ("genre",)]
    assert board.execute("SELECT board, kind FROM hot") == [("main", "a")]


@pytest.mark.parametrize(
    ("declared", "values", "canonical"),
    [
        ("int", ["01", "1", " 1 "], "1"),
        ("numeric", ["1.0", "1.00", "1"], "1"),
        ("numeric(5,2)", ["1.5", "1.50"], "1.5"),
        ("float8", ["-0", "0", "0.0"], "0"),
        ("float4", ["0.1", "1e-1"], "0.1"),
        ("char(5)", ["ab", "ab "], "ab"),
        ("varchar(5)", ["ab"], "ab"),
        ("timestamptz", ["2026-01-01 01:00+01", "2026-01-01Z"], "2026-01-01 00:00:00+00"),
        ("bool", ["t", "yes", "true"], "true"),
        ("interval", ["24:00", "1 day", "1 day 00:00"], "1 day"),
        ("interval", ["-30 days", "-1 mon", "-1 mon -1 day 24:00"], "-1 mons"),
        ('"char"', ["m"], "m"),
        ("name", ["main"], "main"),
        ("price", ["1.5", "1.50"], "1.5"),
        ("half", ["-0", "0", "0.0"], "0"),
    ],
)
def test_values_that_are_equal_make_one_slice_however_they_are_written(
    database: Database, declared: str, values: list[str], canonical: str
) -> None:
    database.execute(
        f"{DOMAINS} CREATE TABLE hot (board {declared}, id int, PRIMARY KEY (board, id)) PARTITION BY LIST (board);"
        f"CREATE TABLE hot_one PARTITION OF hot FOR VALUES IN ('{values[0]}');"
        f"INSERT INTO hot VALUES ('{values[-1]}', 1)"
    )
    ledger(database)
    for written in [[value] for value in values] + [values]:
        own = own_target(slice={"board": written}, query="SELECT 1 AS id", strategy="Swap")
        report_of(run(database, spec(rewrite=[own])))
    assert database.execute("SELECT slice FROM trending.freshness") == [({"board": [canonical]},)]
    assert database.execute("SELECT id FROM hot") == [(1,)]
