"""A table of several boards' posts, and a target that rewrites two kinds of one board from a source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.postgres.runs import ledger, own_target, spec
from tests.postgres.server import Database
from trending.api.spec import TrendingScheduleSpec

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
OLD = "2020-01-01 00:00:00+00"
STRATEGIES = ("Merge", "DeleteInsert", "Upsert", "Swap")
IN_PLACE = ("Merge", "DeleteInsert", "Upsert")  # need no partitions
ANEW = ("DeleteInsert", "Swap")  # write each row again, whether it differs or not

BOARD = """
    CREATE TABLE hot (
        board text, kind text, post_id int, score float8, genre text, created_at timestamptz DEFAULT '2001-01-01',
        extra text DEFAULT 'default', PRIMARY KEY (board, kind, post_id)
    ) {partitioned};
    {partitions}
    CREATE INDEX ON hot (board, kind, score DESC);
    CREATE TABLE source (kind text, post_id int, score float8, genre text);
"""
PARTITIONS = """
    CREATE TABLE hot_main PARTITION OF hot FOR VALUES IN ('main') PARTITION BY LIST (kind);
    CREATE TABLE hot_main_a PARTITION OF hot_main FOR VALUES IN ('a');
    CREATE TABLE hot_main_b PARTITION OF hot_main FOR VALUES IN ('b');
    CREATE TABLE hot_main_c PARTITION OF hot_main FOR VALUES IN ('c');
    CREATE TABLE hot_side PARTITION OF hot FOR VALUES IN ('side');
"""
QUERY = "SELECT kind, post_id, score, genre FROM source"
SLICE = {"board": ["main"], "kind": ["a", "b"]}


def with_board(database: Database, *, in_partitions: bool = False) -> Database:
    """Make the tables `hot`, in partitions if so wished, and `source`, and the ledger."""
    database.execute(
        BOARD.format(
            partitioned="PARTITION BY LIST (board)" if in_partitions else "",
            partitions=PARTITIONS if in_partitions else "",
        )
    )
    ledger(database)
    return database


def board_for(database: Database, request: pytest.FixtureRequest) -> Database:
    """Make the board that the test's parameter `strategy` needs: Swap takes partitions."""
    callspec = getattr(request.node, "callspec", None)
    return with_board(database, in_partitions=callspec is not None and callspec.params.get("strategy") == "Swap")


def target(strategy: str = "Merge", **fields: Any) -> TrendingScheduleSpec:
    return spec(rewrite=[own_target(**{"slice": SLICE, "query": QUERY, "strategy": strategy, **fields})])


def rows(database: Database, columns: str = "kind, post_id, score, genre") -> list[Any]:
    return database.execute(
        f"SELECT {columns} FROM hot WHERE board = 'main' AND kind IN ('a', 'b') ORDER BY kind, post_id"
    )
