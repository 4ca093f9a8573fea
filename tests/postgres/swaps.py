"""A partitioned table of rankings, and what the tests of Swap do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from tests.postgres.server import Database
from tests.waiting import SECONDS
from trending.runner.rewrite.strategy import Destination
from trending.runner.rewrite.swap import Built, Obstacle, Partitions, build, exchange, find_partitions, wait_for_older
from trending.runner.slices import Slice, canonical_slice
from trending.runner.stage import Stage
from trending.runner.stop import Stop
from trending.runner.table import Table, look_up

Connection = psycopg.Connection[Any]

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
KEY = ("track_id", "version", "span")
COLUMNS = ("track_id", "genre", "version", "span", "score")
WEEK = {"version": ["v1"], "span": ["week"]}

SCORES = """
    CREATE TABLE scores (
        track_id int NOT NULL, genre varchar, version varchar NOT NULL, span varchar NOT NULL, score float8,
        created_at timestamptz DEFAULT '2001-01-01', extra text DEFAULT 'default',
        PRIMARY KEY (track_id, version, span)
    ) PARTITION BY LIST (version);
    CREATE INDEX scores_by_genre ON scores (genre, span, score DESC NULLS LAST, track_id);
    CREATE INDEX scores_by_score ON scores (version, score) WHERE score > 0;
    CREATE TABLE scores_v1 PARTITION OF scores FOR VALUES IN ('v1') PARTITION BY LIST (span);
    CREATE TABLE scores_v2 PARTITION OF scores FOR VALUES IN ('v2');
    CREATE TABLE scores_v1_week PARTITION OF scores_v1 FOR VALUES IN ('week');
    CREATE TABLE scores_v1_month PARTITION OF scores_v1 FOR VALUES IN ('month');
    INSERT INTO scores SELECT g, 'rock', v, s, g FROM generate_series(1, 100) AS g,
        (VALUES ('v1', 'week'), ('v1', 'month'), ('v2', 'week'), ('v2', 'year')) AS w (v, s);
"""


def slice_of(connection: Connection, values: Mapping[str, Sequence[str]] = WEEK, *, table: str = "scores") -> Slice:
    return canonical_slice(connection, look_up(connection, table, where="table"), values, where="slice")


def found(connection: Connection, values: Mapping[str, Sequence[str]] = WEEK, *, table: str = "scores") -> Partitions:
    partitions = find_partitions(connection, slice_of(connection, values, table=table))
    assert isinstance(partitions, Partitions), partitions.sentence
    return partitions


def why_not(database: Database, values: Mapping[str, Sequence[str]] = WEEK, *, table: str = "scores") -> str:
    with database.connect(autocommit=True) as connection:
        obstacle = find_partitions(connection, slice_of(connection, values, table=table))
    assert isinstance(obstacle, Obstacle), "nothing was in the way"
    return obstacle.sentence


def staged(
    connection: Connection, query: str, *, columns: Sequence[str] = COLUMNS, table: Table, stamp: str | None
) -> Stage:
    """Make a stage as the runner does: with the table's types, for the session."""
    name = sql.Identifier("pg_temp", "stage")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(name, names, table.identifier)
    )
    insert = sql.SQL("INSERT INTO {} ({}) {}").format(name, names, sql.SQL(query))
    rows = connection.execute(insert).rowcount
    return Stage(identifier=name, columns=tuple(columns), compared=(), stamp=stamp, rows=rows)


def ranking(factor: int, *, values: str = "('v1', 'week')", rows: int = 100) -> str:
    return f"SELECT g, 'jazz', v, s, g * {factor} FROM generate_series(1, {rows}) AS g, (VALUES {values}) AS w (v, s)"


def built(
    connection: Connection,
    query: str,
    values: Mapping[str, Sequence[str]] = WEEK,
    *,
    columns: Sequence[str] = COLUMNS,
    table: str = "scores",
    stamp: str | None = "created_at",
) -> Built:
    partitions = found(connection, values, table=table)
    stage = staged(connection, query, columns=columns, table=partitions.slice.table, stamp=stamp)
    destination = Destination(slice=partitions.slice, key=KEY, now=NOW)
    return build(connection, partitions, destination, stage, run_id="run-1")


def wait(connection: Connection, made: Built, *, own: Sequence[int] = (), seconds: float = SECONDS) -> bool:
    stop = Stop(datetime.now(UTC) + timedelta(minutes=5))
    return wait_for_older(connection, made, own=own, stop=stop, seconds=seconds)


def put(connection: Connection, made: Built, *, seconds: float = 0.05) -> None:
    with connection.transaction():
        exchange(connection, made, lock_seconds=seconds)


def swapped(connection: Connection, query: str, values: Mapping[str, Sequence[str]] = WEEK, **others: Any) -> Built:
    made = built(connection, query, values, **others)
    assert wait(connection, made)
    put(connection, made)
    return made
