"""A table of several boards' posts, and a target that rewrites two kinds of one board from a source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.postgres.runs import ledger, own_target, spec
from tests.postgres.server import Database
from trending.api.spec import TrendingScheduleSpec

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
OLD = "2020-01-01 00:00:00+00"
STRATEGIES = ("Merge", "DeleteInsert", "Upsert")
ANEW = ("DeleteInsert", "Swap")  # write each row again, whether it differs or not

BOARD = """
    CREATE TABLE hot (
        board text, kind text, post_id int, score float8, genre text, created_at timestamptz DEFAULT '2001-01-01',
        extra text DEFAULT 'default', PRIMARY KEY (board, kind, post_id)
    );
    CREATE INDEX ON hot (board, kind, score DESC);
    CREATE TABLE source (kind text, post_id int, score float8, genre text);
"""
QUERY = "SELECT kind, post_id, score, genre FROM source"
SLICE = {"board": ["main"], "kind": ["a", "b"]}


def with_board(database: Database) -> Database:
    """Make the tables `hot` and `source`, and the ledger."""
    database.execute(BOARD)
    ledger(database)
    return database


def target(strategy: str = "Merge", **fields: Any) -> TrendingScheduleSpec:
    return spec(rewrite=[own_target(**{"slice": SLICE, "query": QUERY, "strategy": strategy, **fields})])


def rows(database: Database, columns: str = "kind, post_id, score, genre") -> list[Any]:
    return database.execute(
        f"SELECT {columns} FROM hot WHERE board = 'main' AND kind IN ('a', 'b') ORDER BY kind, post_id"
    )
