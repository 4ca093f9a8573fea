"""Whatever is in it: a table with hostile names, columns of the server's, and ranks that rows exchange."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.postgres.boards import ANEW, STRATEGIES
from tests.postgres.runs import ledger, own_target, report_of, run, spec
from tests.postgres.server import Database, PostgresServer

NAMES = ("Odd %s", 'hot "t"; -- {} é')
TABLE = '"Odd %s"."hot ""t""; -- {} é"'
KIND, RANK = 'ki"nd', "ra'nk %(x)s {}"
VALUES = ("it's %s", 'b"', "{}")  # the first two are the slice's
COLUMNS = f'"{KIND.replace(chr(34), 2 * chr(34))}", id, "{RANK}", score'
PARTITIONS = f"""
    CREATE TABLE "main %s" PARTITION OF {TABLE} FOR VALUES IN ('main') PARTITION BY LIST ("ki""nd");
    CREATE TABLE "main %s a" PARTITION OF "main %s" FOR VALUES IN ('it''s %s', 'b"');
    CREATE TABLE "main %s c" PARTITION OF "main %s" FOR VALUES IN ('{{}}');
    CREATE TABLE "side %s" PARTITION OF {TABLE} FOR VALUES IN ('side');
"""
IN_SLICE = "board = 'main' AND \"ki\"\"nd\" IN ('it''s %s', 'b\"')"
OTHERS = (
    f"SELECT md5(string_agg(hot::text || ctid || xmin, ',' ORDER BY own)) FROM {TABLE} AS hot WHERE NOT ({IN_SLICE})"
)

Rows = dict[tuple[str, int], tuple[int | None, float | None]]
SCORES = st.sampled_from([None, float("nan"), -0.0, 0.0, 1.5, float("inf"), float("-inf")])


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Rows of the slice, whose ranks are distinct among those of one kind, or null."""
    keys = draw(st.lists(st.tuples(st.sampled_from(VALUES[:2]), st.integers(1, 5)), unique=True, max_size=8))
    ranks = draw(st.permutations([1, 2, 3, 4, 5, None, None, None]))
    return {key: (rank, draw(SCORES)) for key, rank in zip(keys, ranks, strict=False)}


@pytest.fixture(scope="module")
def plain(server: PostgresServer) -> Iterator[Database]:
    with server.database() as database:
        yield prepared(database, numbered="GENERATED ALWAYS AS IDENTITY")


@pytest.fixture(scope="module")
def partitioned(server: PostgresServer) -> Iterator[Database]:
    with server.database() as database:
        database.execute("CREATE SEQUENCE numbers")
        # Before 17 a partition has no identity of its own.
        yield prepared(database, numbered="DEFAULT nextval('numbers')", by="PARTITION BY LIST (board)", also=PARTITIONS)


def prepared(database: Database, *, numbered: str, by: str = "", also: str = "") -> Database:
    database.execute(
        f"""
        CREATE SCHEMA "Odd %s";
        CREATE TABLE {TABLE} (
            own bigint {numbered}, gone int, "ki""nd" text, id numeric, board text, "{RANK}" int, score float8,
            twice int GENERATED ALWAYS AS ("{RANK}" * 2) STORED, extra text DEFAULT 'new',
            PRIMARY KEY (board, "ki""nd", id), UNIQUE (board, "ki""nd", "{RANK}")
        ) {by};
        ALTER TABLE {TABLE} DROP COLUMN gone;
        {also}
        CREATE TABLE source ("ki""nd" text, id numeric, "{RANK}" int, score float8);
        """
    )
    ledger(database)
    return database


def put(database: Database, table: str, found: Rows, **more: str) -> None:
    names = [KIND, "id", RANK, "score", *more]
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(*NAMES) if table == TABLE else sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(sql.SQL(f"${at}") for at in range(1, len(names) + 1)),
    )
    with database.connect() as connection:
        # Where there are parameters, other cursors would take the names' % for theirs.
        psycopg.RawCursor(connection).executemany(
            insert, [(*key, *values, *more.values()) for key, values in found.items()]
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=rows(), source=rows())
def test_the_slice_is_the_source_and_what_the_server_gave_is_kept(
    plain: Database, partitioned: Database, strategy: str, before: Rows, source: Rows
) -> None:
    for database in (partitioned,) if strategy == "Swap" else (plain, partitioned):
        database.execute(f"TRUNCATE {TABLE}, source, trending.freshness")
        put(database, "source", source)
        put(database, TABLE, before, board="main", extra="kept")
        put(database, TABLE, before, board="side")
        put(database, TABLE, {(VALUES[2], 1): (1, 1.0)}, board="main")
        others, numbers = database.execute(OTHERS), own(database)
        wanted = own_target(
            table=TABLE,
            slice={"board": ["main"], KIND: list(VALUES[:2])},
            query="TABLE source",
            strategy=strategy,
            allowEmpty=True,
            maxDeletePercent=100,
        )
        outcome = run(database, spec(rewrite=[wanted], database={"maintenance": "Never"}))
        if strategy == "Upsert" and outcome.exit_code == 2:
            assert "INSERT .. ON CONFLICT cannot do that; use strategy Merge" in outcome.report.message
            assert own(database) == numbers
        else:
            report_of(outcome)
            assert wrong(database) == []
            if strategy not in ANEW:
                kept = {key: row for key, row in own(database).items() if key in before}
                assert kept == {key: row for key, row in numbers.items() if key in source}
        assert database.execute(OTHERS) == others


def wrong(database: Database) -> list[Any]:
    """Rows of the slice that are not the source's, or the other way round, or whose computed column is not right."""
    slice_ = f"SELECT {COLUMNS} FROM {TABLE} WHERE {IN_SLICE}"
    return database.execute(
        f"(({slice_}) EXCEPT ALL TABLE source) UNION ALL (TABLE source EXCEPT ALL ({slice_})) UNION ALL "
        f'SELECT {COLUMNS} FROM {TABLE} WHERE twice IS DISTINCT FROM "{RANK}" * 2'
    )


def own(database: Database) -> dict[tuple[str, int], tuple[int, str]]:
    """By key what the query does not return: the number that the server gave, and a column of others."""
    found = database.execute(f'SELECT "ki""nd", id, own, extra FROM {TABLE} WHERE {IN_SLICE}')
    return {(kind, int(number)): (given, extra) for kind, number, given, extra in found}
