"""Whatever the slice held and the source returns: each strategy makes the same of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres.boards import ANEW, NOW, OLD, STRATEGIES, target, with_board
from tests.postgres.runs import counts, report_of, run
from tests.postgres.server import Database, PostgresServer

KEYS = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 6))
VALUES = st.tuples(
    st.one_of(st.none(), st.sampled_from([float("nan"), -0.0, 0.0, 1.5, float("inf"), float("-inf"), 1e-300])),
    st.one_of(st.none(), st.sampled_from(["", "x", "it's", 'q"%s'])),
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=10)

DIFFERS = "(hot.score, hot.genre) IS DISTINCT FROM (before.score, before.genre)"
IN_SLICE = "hot.board = 'main' AND hot.kind IN ('a', 'b')"
OTHERS = f"SELECT hot::text, tableoid, ctid::text, xmin::text FROM hot WHERE NOT ({IN_SLICE}) ORDER BY kind, post_id"


@pytest.fixture(scope="module")
def plain(server: PostgresServer) -> Iterator[Database]:
    with server.database() as database:
        yield prepared(database, in_partitions=False)


@pytest.fixture(scope="module")
def partitioned(server: PostgresServer) -> Iterator[Database]:
    with server.database() as database:
        yield prepared(database, in_partitions=True)


def prepared(database: Database, *, in_partitions: bool) -> Database:
    with_board(database, in_partitions=in_partitions)
    database.execute("CREATE TABLE before (LIKE source)")
    return database


def put(database: Database, table: str, rows: dict[tuple[str, int], tuple[Any, Any]]) -> None:
    with database.connect() as connection:
        connection.cursor().executemany(
            f"INSERT INTO {table} (kind, post_id, score, genre) VALUES (%s, %s, %s, %s)",
            [(*key, *values) for key, values in rows.items()],
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ROWS, source=ROWS)
def test_the_slice_is_the_source_by_value_with_stamps_and_other_columns_as_promised(
    plain: Database,
    partitioned: Database,
    strategy: str,
    before: dict[tuple[str, int], tuple[Any, Any]],
    source: dict[tuple[str, int], tuple[Any, Any]],
) -> None:
    for database in (partitioned,) if strategy == "Swap" else (plain, partitioned):
        database.execute("TRUNCATE hot, source, before, trending.freshness")
        put(database, "before", before)
        put(database, "source", source)
        database.execute(
            f"INSERT INTO hot SELECT 'main', kind, post_id, score, genre, '{OLD}', 'kept' FROM before;"
            f"INSERT INTO hot SELECT 'side', kind, post_id, score, genre, '{OLD}', 'kept' FROM before"
        )
        others = database.execute(OTHERS)
        wanted = target(strategy, allowEmpty=True, maxDeletePercent=100)
        report = report_of(run(database, wanted, now=NOW))
        assert wrong_rows(database) == []
        assert database.execute(OTHERS) == others
        assert database.execute(stamps_and_extras(anew=strategy in ANEW), {"now": NOW}) == []
        assert counts(report, "own") == expected(database, anew=strategy in ANEW)


def wrong_rows(database: Database) -> list[Any]:
    """The slice's rows that are not the source's, and the source's that are not in the slice, by SQL's own equality."""
    slice_ = f"SELECT hot.kind, hot.post_id, hot.score, hot.genre FROM hot WHERE {IN_SLICE}"
    return database.execute(f"(({slice_}) EXCEPT ALL TABLE source) UNION ALL (TABLE source EXCEPT ALL ({slice_}))")


def stamps_and_extras(*, anew: bool) -> str:
    """A query for rows whose stamp or further column is not what is promised."""
    kept = "false" if anew else "before.kind IS NOT NULL"
    return (
        f"SELECT hot.* FROM hot LEFT JOIN before USING (kind, post_id) WHERE {IN_SLICE} AND ("
        f"hot.created_at IS DISTINCT FROM CASE WHEN {kept} AND NOT ({DIFFERS}) THEN '{OLD}' ELSE %(now)s END "
        f"OR hot.extra IS DISTINCT FROM CASE WHEN {kept} THEN 'kept' ELSE 'default' END)"
    )


def expected(database: Database, *, anew: bool) -> tuple[int, int, int, int]:
    ((new, changed, gone, same),) = database.execute(
        "SELECT count(*) FILTER (WHERE before.kind IS NULL), "
        f"count(*) FILTER (WHERE before.kind IS NOT NULL AND hot.kind IS NOT NULL AND {DIFFERS}), "
        "count(*) FILTER (WHERE hot.kind IS NULL), "
        f"count(*) FILTER (WHERE before.kind IS NOT NULL AND hot.kind IS NOT NULL AND NOT ({DIFFERS})) "
        "FROM source AS hot FULL JOIN before USING (kind, post_id)"
    )
    return (new + changed + same, 0, gone + changed + same, 0) if anew else (new, changed, gone, same)
