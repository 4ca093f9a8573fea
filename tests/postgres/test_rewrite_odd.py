"""Odd but legal tables: each works, by value, or gives one sentence that says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres.boards import IN_PLACE
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec
from tests.postgres.server import ADMIN, Database, PostgresServer

LONG = "é" * 31 + "x"  # 63 bytes, all that a name may have
IGNORE_CASE = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"

# What makes the table `odd.hot` with one row; a query that changes that and one for what is there already; the rows.
WORK = {
    "a domain with a check": (
        (
            "CREATE DOMAIN score AS float8 CHECK (VALUE < 100); CREATE TABLE hot (id int PRIMARY KEY, s score);"
            "INSERT INTO hot VALUES (1, 1)"
        ),
        "SELECT 1 AS id, 2 AS s",
        [("1", "2")],
    ),
    "a domain of a domain of a type without equality": (
        (
            "CREATE DOMAIN d AS json; CREATE DOMAIN dd AS d; CREATE TABLE hot (id int PRIMARY KEY, s dd);"
            "INSERT INTO hot VALUES (1, '{}')"
        ),
        "SELECT 1 AS id, json '[]' AS s",
        [("1", "[]")],
    ),
    "an array of a type without equality": (
        "CREATE TABLE hot (id int PRIMARY KEY, s json[]); INSERT INTO hot VALUES (1, ARRAY[json '{}'])",
        "SELECT 1 AS id, ARRAY[json '[]'] AS s",
        [("1", "{[]}")],
    ),
    "a composite type with such a part": (
        (
            "CREATE TYPE pair AS (a int, b json); CREATE TABLE hot (id int PRIMARY KEY, s pair);"
            "INSERT INTO hot VALUES (1, '(1,{})')"
        ),
        "SELECT 1 AS id, ROW(NULL, NULL)::odd.pair AS s",
        [("1", "(,)")],
    ),
    "types that the server can compare in no way": (
        (
            "CREATE TABLE hot (id int PRIMARY KEY, a jsonpath, b refcursor, c txid_snapshot);"
            "INSERT INTO hot VALUES (1, '$.a', 'x', '1:2:')"
        ),
        "SELECT 1 AS id, jsonpath '$.b' AS a, refcursor 'y' AS b, txid_snapshot '3:4:' AS c",
        [("1", '$."b"', "y", "3:4:")],
    ),
    "numbers that are none": (
        "CREATE TABLE hot (id numeric PRIMARY KEY, s numeric); INSERT INTO hot VALUES ('NaN', 1)",
        "SELECT 'NaN'::numeric AS id, 'Infinity'::numeric AS s",
        [("NaN", "Infinity")],
    ),
    "bytes": (
        r"CREATE TABLE hot (id bytea PRIMARY KEY, s bytea); INSERT INTO hot VALUES ('\xdead', '\x00')",
        r"SELECT bytea '\xdead' AS id, bytea '\x0001' AS s",
        [(r"\xdead", r"\x0001")],
    ),
    "dropped columns and another order": (
        (
            "CREATE TABLE hot (x int, s int, id int PRIMARY KEY); INSERT INTO hot VALUES (0, 1, 1);"
            "ALTER TABLE hot DROP COLUMN x, ADD COLUMN z text, ADD UNIQUE (s)"
        ),
        "SELECT 'new' AS z, 1 AS id, 5 AS s",
        [("5", "1", "new")],
    ),
    "no column but the key": (
        "CREATE TABLE hot (a int, b int, PRIMARY KEY (a, b)); INSERT INTO hot VALUES (1, 1), (2, 2)",
        "SELECT 1 AS a, 1 AS b UNION ALL SELECT 3, 3",
        [("1", "1"), ("3", "3")],
    ),
    "names of 63 bytes that are not ASCII": (
        (
            f'CREATE TABLE hot ("{LONG}" int PRIMARY KEY, "%(x)s {{}}" int UNIQUE);'
            "COMMENT ON TABLE hot IS 'it''s \"odd\" -- ;'; INSERT INTO hot VALUES (1, 1), (2, 2)"
        ),
        f'SELECT g AS "{LONG}", g + 2 AS "%(x)s {{}}" FROM generate_series(1, 2) AS g',
        [("1", "3"), ("2", "4")],
    ),
    "names that statements of ours have": (
        (
            "CREATE TABLE hot (old int, target int, new int, changes int, staged int, excluded int, gone int, k1 int,"
            "x1 int UNIQUE, PRIMARY KEY (old, target)); INSERT INTO hot VALUES (1, 1, 1, 1, 1, 1, 1, 1, 1)"
        ),
        "SELECT 1 AS old, 1 AS target, 2 AS new, 2 AS changes, 2 AS staged, 2 AS gone, 2 AS k1, 2 AS x1, 1 AS excluded",
        [("1", "1", "2", "2", "2", "1", "2", "2", "2")],
    ),
    "functions of ones own in front of the server's": (
        (
            "CREATE FUNCTION count(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';"
            "CREATE FUNCTION eq(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false';"
            "CREATE OPERATOR = (leftarg = int, rightarg = int, function = eq);"
            "CREATE TABLE hot (id int PRIMARY KEY, s int); INSERT INTO hot VALUES (1, 1)"
        ),
        "SELECT 1 AS id, 2 AS s",
        [("1", "2")],
    ),
    "a stamp under a unique index": (
        (
            "CREATE TABLE hot (id int PRIMARY KEY, r int, created_at date DEFAULT '2020-01-01',"
            "UNIQUE (r, created_at)); INSERT INTO hot VALUES (1, 1), (2, 2);"
            "ALTER TABLE hot ADD COLUMN s int GENERATED ALWAYS AS (-r) STORED"
        ),
        "SELECT g AS id, 3 - g AS r FROM generate_series(1, 2) AS g",
        [("1", "2", "today", "-2"), ("2", "1", "today", "-1")],
    ),
}


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> Iterator[Database]:
    """One database for all: each test makes its schema anew."""
    with server.database() as database:
        yield prepared(database)


@pytest.fixture
def with_icu(database_with_tls: Database) -> Database:
    """A database of the build that has collations by ICU: the one that speaks TLS."""
    return prepared(database_with_tls)


def prepared(database: Database) -> Database:
    ledger(database)
    database.execute(f"ALTER ROLE discovery IN DATABASE {database.name} SET search_path = odd, public", role=ADMIN)
    return database


def make(database: Database, setup: str) -> None:
    database.execute(
        "SET client_min_messages = warning; DROP SCHEMA IF EXISTS odd CASCADE; CREATE SCHEMA odd", role=ADMIN
    )
    database.execute("ALTER SCHEMA odd OWNER TO discovery", role=ADMIN)
    database.execute(setup)


def rewrite(database: Database, query: str, *, exit_code: int = 0, **fields: Any) -> Any:
    wanted = own_target(table="odd.hot", query=query, maxDeletePercent=100, **fields)
    return report_of(run(database, spec(rewrite=[wanted])), exit_code=exit_code)


def texts(database: Database) -> list[tuple[str, ...]]:
    """All rows as texts, the run's own day as `today`."""
    text = "replace(%I::text COLLATE \"C\", (now() AT TIME ZONE ''UTC'')::date::text, ''today'')"
    ((columns,),) = database.execute(
        f"SELECT string_agg(format('{text}', attname), ', ' ORDER BY attnum) FROM pg_attribute "
        "WHERE attrelid = 'odd.hot'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    return sorted(database.execute(f"SELECT {columns} FROM odd.hot"))


@pytest.mark.parametrize("case", WORK.values(), ids=WORK.keys())
def test_it_is_rewritten_by_value_and_a_second_time_nothing_changes(
    database: Database, case: tuple[str, str, list[tuple[str, ...]]]
) -> None:
    setup, query, expected = case
    for strategy in IN_PLACE:
        make(database, setup)
        rewrite(database, query, strategy=strategy)
        assert texts(database) == expected
    assert rewrite(database, query, strategy="Merge").rows_changed == 0


def test_what_a_collation_takes_for_equal_is_the_same_key_and_value(with_icu: Database) -> None:
    make(with_icu, f"{IGNORE_CASE} CREATE TABLE hot (id text COLLATE ci PRIMARY KEY, s text COLLATE ci, t int)")
    with_icu.execute("INSERT INTO hot VALUES ('a', 'x', 1)")
    for strategy in ("Merge", "Upsert"):
        assert counts(rewrite(with_icu, "SELECT 'A' AS id, 'X' AS s, 1 AS t", strategy=strategy), "own") == (0, 0, 0, 1)
    query = "SELECT 'A' AS id, 1 AS t UNION ALL SELECT 'a', 2"
    assert "2 rows have the same key, id=" in rewrite(with_icu, query, exit_code=2).message


def test_a_unique_index_may_tell_apart_what_the_collation_does_not(with_icu: Database) -> None:
    make(with_icu, f"{IGNORE_CASE} CREATE TABLE hot (id int PRIMARY KEY, s text COLLATE ci, t int)")
    with_icu.execute("""CREATE UNIQUE INDEX ON hot (s COLLATE "C"); INSERT INTO hot VALUES (1, 'a', 1), (2, 'A', 1)""")
    rewrite(with_icu, "SELECT 1 AS id, 'A' AS s, 2 AS t UNION ALL SELECT 2, 'a', 2")
    assert texts(with_icu) == [("1", "A", "2"), ("2", "a", "2")]


def test_rows_of_a_child_stay_where_they_are(database: Database) -> None:
    make(
        database,
        "CREATE TABLE hot (id int PRIMARY KEY, s int); CREATE TABLE child (more int) INHERITS (hot);"
        "INSERT INTO hot VALUES (1, 1); INSERT INTO child VALUES (2, 2, 2)",
    )
    query = "SELECT g AS id, 5 AS s FROM generate_series(1, 2) AS g"
    for strategy in ("Upsert", "DeleteInsert"):
        message = rewrite(database, query, strategy=strategy, exit_code=2).message
        assert f"strategy {strategy} cannot be: rows of child, which inherits from odd.hot" in message
    assert "which inherits from the table" in rewrite(database, query, strategy="Auto").steps[0].note
    assert texts(database) == [("1", "5"), ("2", "5")]
    assert database.execute("SELECT * FROM child") == [(2, 5, 2)]
    database.execute("INSERT INTO child VALUES (1, 1, 1)")
    assert "does not tell the rows of odd.hot {} apart: 2 of them" in rewrite(database, query, exit_code=2).message


def test_a_deferrable_primary_key_is_the_key(database: Database) -> None:
    make(database, "CREATE TABLE hot (id int PRIMARY KEY DEFERRABLE, s int); INSERT INTO hot VALUES (1, 1)")
    query = "SELECT g AS id, 5 AS s FROM generate_series(1, 2) AS g"
    assert counts(rewrite(database, query), "own") == (1, 1, 0, 0)
    assert "strategy Upsert needs a unique index" in rewrite(database, query, strategy="Upsert", exit_code=2).message


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a key without equality": (
        "CREATE TABLE hot (id int, s json)",
        {"key": ["s"], "query": "SELECT 1 AS id, json '1' AS s"},
        "spec.rewrite[0].key: column 's' of odd.hot is of type json, which has no equality",
    ),
    "a slice by such a column": (
        "CREATE TABLE hot (id int PRIMARY KEY, s json)",
        {"slice": {"s": ["1"]}, "query": "SELECT 1 AS id"},
        "spec.rewrite[0].slice: column 's' of odd.hot is of type json, which has no equality",
    ),
    "a key that the server numbers": (
        "CREATE TABLE hot (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s int)",
        {"query": "SELECT 1 AS s"},
        "spec.rewrite[0].key: column 'id' of odd.hot is generated by the server",
    ),
    "a slice that the server computes": (
        "CREATE TABLE hot (id int PRIMARY KEY, s int GENERATED ALWAYS AS (id % 2) STORED)",
        {"slice": {"s": ["1"]}, "query": "SELECT 1 AS id"},
        "spec.rewrite[0].slice: column 's' of odd.hot is generated by the server",
    ),
    "rules under Upsert": (
        "CREATE TABLE hot (id int PRIMARY KEY, s int); CREATE RULE r AS ON UPDATE TO hot DO ALSO NOTHING",
        {"strategy": "Upsert", "query": "SELECT 1 AS id, 1 AS s"},
        "strategy Upsert cannot be: rule r of odd.hot is for INSERT or UPDATE",
    ),
    "a value that a domain refuses": (
        "CREATE DOMAIN few AS int CHECK (VALUE < 5); CREATE TABLE hot (id int PRIMARY KEY, s few)",
        {"query": "SELECT 1 AS id, 9 AS s"},
        'spec.rewrite[0].query: value for domain few violates check constraint "few_check"',
    ),
    "a value that an enum has not": (
        "CREATE TYPE kind AS ENUM ('a'); CREATE TABLE hot (id int PRIMARY KEY, s kind)",
        {"slice": {"s": ["b"]}, "query": "SELECT 1 AS id"},
        "spec.rewrite[0].slice.s: a value is none for that column of odd.hot",
    ),
    "a slice that a domain refuses": (
        "CREATE DOMAIN few AS int CHECK (VALUE < 5); CREATE TABLE hot (id int PRIMARY KEY, s few)",
        {"slice": {"s": ["9"]}, "query": "SELECT 1 AS id"},
        "spec.rewrite[0].slice.s: a value is none for that column of odd.hot",
    ),
    "a slice without a partition": (
        "CREATE TABLE hot (k text, id int, PRIMARY KEY (k, id)) PARTITION BY LIST (k)",
        {"slice": {"k": ["b"]}, "query": "SELECT 1 AS id"},
        'no partition of relation "hot" found for row',
    ),
    "a foreign key that is broken at the commit": (
        (
            "CREATE TABLE other (id int PRIMARY KEY);"
            "CREATE TABLE hot (id int PRIMARY KEY, s int REFERENCES other DEFERRABLE INITIALLY DEFERRED)"
        ),
        {"query": "SELECT 1 AS id, 3 AS s"},
        "Key (s)=(3) is not present in table",
    ),
    "source rows that an exclusion constraint does not allow": (
        "CREATE TABLE hot (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))",
        {"query": "SELECT 1 AS id, int4range(1, 5) AS r UNION ALL SELECT 2, int4range(4, 8)"},
        'conflicting key value violates exclusion constraint "hot_r_excl"',
    ),
}


@pytest.mark.parametrize(("setup", "fields", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_told_in_a_sentence_and_nothing_is_written(
    database: Database, setup: str, fields: dict[str, Any], sentence: str
) -> None:
    make(database, setup)
    report = rewrite(database, exit_code=2, **fields)
    assert sentence in report.message
    assert database.execute("SELECT count(*) FROM hot") == [(0,)]
