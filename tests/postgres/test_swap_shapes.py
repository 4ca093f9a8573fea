"""Which slices are whole partitions: trees of any depth, and what is not swapped, in a sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
import pytest

from tests.postgres.server import Database
from tests.postgres.swaps import SCORES, built, found, ranking, swapped, why_not
from trending.runner.failure import BadDataError
from trending.runner.rewrite.swap import ObstacleError


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


def leaves(database: Database, values: Mapping[str, Sequence[str]], *, table: str = "scores") -> list[str]:
    with database.connect(autocommit=True) as connection:
        return sorted(leaf.node.name for leaf in found(connection, values, table=table).leaves)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"version": ["v1"], "span": ["week"]}, ["scores_v1_week"]),
        ({"version": ["v1"], "span": ["week", "month"]}, ["scores_v1_month", "scores_v1_week"]),
        ({"version": ["v1"]}, ["scores_v1_month", "scores_v1_week"]),
        ({"version": ["v2"]}, ["scores_v2"]),
        ({"version": ["v1", "v2"]}, ["scores_v1_month", "scores_v1_week", "scores_v2"]),
        ({}, ["scores_v1_month", "scores_v1_week", "scores_v2"]),
    ],
)
def test_a_slice_of_whole_partitions_is_found_at_any_level(
    scores: Database, values: dict[str, list[str]], expected: list[str]
) -> None:
    assert leaves(scores, values) == expected


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"version": ["v2"], "span": ["week"]}, "public.scores_v2 is not divided by span"),
        ({"version": ["v1", "v2"], "span": ["week", "month"]}, "public.scores_v2 is not divided by span"),
        ({"version": ["v3"]}, "public.scores has no partition of its own for version v3"),
        ({"version": ["v1"], "span": ["week", "year"]}, "public.scores_v1 has no partition of its own for span year"),
        ({"genre": ["rock"]}, "is not divided by genre"),
    ],
)
def test_a_slice_that_is_no_whole_partition_is_told_why(
    scores: Database, values: dict[str, list[str]], sentence: str
) -> None:
    assert sentence in why_not(scores, values)


def test_a_plain_table_is_told_how_it_can_be_swapped(database: Database) -> None:
    database.execute("CREATE TABLE scores (version text)")
    assert why_not(database, {}) == "public.scores is not partitioned (`trending partition` makes it so)"


def test_values_are_compared_as_the_server_writes_them(database: Database) -> None:
    database.execute(
        "CREATE DOMAIN edition AS numeric(4, 1);"
        "CREATE TABLE scores (n int, b bool, d date, e edition, v varchar) PARTITION BY LIST (n);"
        "CREATE TABLE s PARTITION OF scores FOR VALUES IN (-1) PARTITION BY LIST (b);"
        "CREATE TABLE s_b PARTITION OF s FOR VALUES IN ('on') PARTITION BY LIST (d);"
        "CREATE TABLE s_d PARTITION OF s_b FOR VALUES IN ('23 nov 2026') PARTITION BY LIST (e);"
        "CREATE TABLE s_e PARTITION OF s_d FOR VALUES IN (2) PARTITION BY LIST (v);"
        """CREATE TABLE "s, (v" PARTITION OF s_e FOR VALUES IN ('it''s, (x)', E'a\\\\b');"""
        "CREATE TABLE s_null PARTITION OF s_e FOR VALUES IN (NULL);"
        "CREATE TABLE s_other PARTITION OF s_e FOR VALUES IN ('NULL')"
    )
    values = {"n": ["-01"], "b": ["t"], "d": ["2026-11-23"], "e": ["2.0"], "v": ["it's, (x)", "a\\b"]}
    assert leaves(database, values) == ["s, (v"]
    assert leaves(database, values | {"v": ["NULL"]}) == ["s_other"]
    assert "also holds rows whose v is" in why_not(database, values | {"v": ["a\\b"]})
    # Without v the slice holds the rows with NULL, too.
    del values["v"]
    assert leaves(database, values) == ["s, (v", "s_null", "s_other"]


def test_a_partition_that_takes_null_too_is_no_slices_own(database: Database) -> None:
    database.execute(
        "CREATE TABLE scores (v text) PARTITION BY LIST (v);"
        "CREATE TABLE scores_a PARTITION OF scores FOR VALUES IN ('a', NULL)"
    )
    assert why_not(database, {"v": ["a"]}) == "public.scores_a also holds rows whose v is NULL, outside the slice"


def test_below_the_slices_columns_every_partition_belongs_to_it(database: Database) -> None:
    database.execute(
        "CREATE TABLE scores (v text, id int, at int) PARTITION BY LIST (v);"
        "CREATE TABLE scores_a PARTITION OF scores FOR VALUES IN ('a') PARTITION BY HASH (id);"
        "CREATE TABLE scores_b PARTITION OF scores FOR VALUES IN ('b');"
        "CREATE TABLE scores_d PARTITION OF scores DEFAULT;"
        "CREATE TABLE scores_a0 PARTITION OF scores_a FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE scores_a1 PARTITION OF scores_a FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (at);"
        "CREATE TABLE scores_a1_old PARTITION OF scores_a1 FOR VALUES FROM (MINVALUE) TO (10);"
        "CREATE TABLE scores_a1_new PARTITION OF scores_a1 FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE scores_a1_rest PARTITION OF scores_a1 DEFAULT;"
        "INSERT INTO scores SELECT v, g, g % 40 FROM generate_series(1, 200) AS g, unnest('{a,b,x}'::text[]) AS v"
    )
    assert leaves(database, {"v": ["a"]}) == ["scores_a0", "scores_a1_new", "scores_a1_old", "scores_a1_rest"]
    others = database.execute("SELECT * FROM scores WHERE v <> 'a' ORDER BY v, id")
    columns = ("v", "id", "at")
    for rows in (300, 500):
        with database.connect(autocommit=True) as connection:
            made = swapped(
                connection,
                f"SELECT 'a', g, g % 37 FROM generate_series(1, {rows}) AS g",
                {"v": ["a"]},
                columns=columns,
                stamp=None,
            )
            assert made.rows == rows
            assert len(made.leaves) == 4
            assert all(leaf.rows for leaf in made.leaves)
        wanted = database.execute(f"SELECT 'a', g, g % 37 FROM generate_series(1, {rows}) AS g")
        assert database.execute("SELECT * FROM scores WHERE v = 'a' ORDER BY id") == wanted
    assert database.execute("SELECT * FROM scores WHERE v <> 'a' ORDER BY v, id") == others


def test_a_whole_table_is_swapped_with_its_default_partition(scores: Database) -> None:
    scores.execute("CREATE TABLE scores_rest PARTITION OF scores DEFAULT; INSERT INTO scores VALUES (1, '', 'v9', 'x')")
    with scores.connect(autocommit=True) as connection:
        for factor in (2, 3):
            values = "('v1', 'week'), ('v1', 'month'), ('v2', 'day'), ('v8', 'x')"
            made = swapped(connection, ranking(factor, values=values), {})
            assert made.rows == 400
    assert scores.execute("SELECT version, span, sum(score) FROM scores GROUP BY 1, 2 ORDER BY 1, 2") == [
        ("v1", "month", 15150),
        ("v1", "week", 15150),
        ("v2", "day", 15150),
        ("v8", "x", 15150),
    ]


def test_a_row_without_a_partition_is_an_error_and_nothing_is_left(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection:
        with pytest.raises(BadDataError, match=r"100 of 200 rows belong to no partition of public\.scores: add"):
            built(connection, ranking(2, values="('v1', 'week'), ('v1', 'day')"), {"version": ["v1"]})
        with pytest.raises(psycopg.errors.CheckViolation):
            built(connection, ranking(2, values="('v1', 'day')"))
    assert scores.execute("SELECT relname FROM pg_class WHERE relname LIKE 'trending%'") == []


def test_rows_that_cannot_be_told_apart_by_partition_are_an_obstacle(scores: Database) -> None:
    columns = ("track_id", "genre", "version", "score")
    with scores.connect(autocommit=True) as connection, pytest.raises(ObstacleError, match="does not return span, by"):
        built(connection, "SELECT 1, 'jazz', 'v1', 1", {"version": ["v1"]}, columns=columns)


def test_a_partition_that_is_half_detached_is_told(scores: Database) -> None:
    with scores.connect() as reader, scores.connect(autocommit=True) as other:
        reader.execute("SELECT count(*) FROM scores")
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("ALTER TABLE scores_v1 DETACH PARTITION scores_v1_week CONCURRENTLY")
    assert "public.scores_v1_week is being detached" in why_not(scores)
