"""The views' windows at their very edges: refreshed in the transaction that made the rows, they have one `now`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.audius.model import interval_plays, month_before, trending_params, week_before, year_before
from tests.audius.tables import read_tables
from tests.postgres.server import PostgresServer
from trending.presets.sample import sample_schema

INSTANT = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def tables(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """One live track of an owner with a full profile and 7 followers; nobody has played or liked it yet."""
    with server.database() as database, database.connect() as connection:
        connection.execute(sample_schema().encode())
        connection.execute("INSERT INTO users VALUES (1, true, 'owner', 'c', NULL, 'p', NULL, 'b', '2020-01-01')")
        connection.execute("INSERT INTO aggregate_user VALUES (1, 7, 0)")
        insert(connection, "tracks", (1, 1, "t", "Punk", datetime(2020, 1, 1), None, True, False, False, None))  # noqa: DTZ001 - naive, as in the tables
        connection.commit()
        yield connection


def insert(connection: psycopg.Connection[Any], table: str, row: tuple[Any, ...]) -> None:
    places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places), row)


def clock(connection: psycopg.Connection[Any]) -> datetime:
    """The transaction's now(), naive in UTC."""
    row = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def refreshed(connection: psycopg.Connection[Any], now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """The track's rows of both views, which are the exact model's."""
    tables = read_tables(connection)
    plays = [astuple(row) for row in interval_plays(tables, now).values()]
    params = [astuple(row) for row in trending_params(tables, now).values()]
    return only_row(connection, "aggregate_interval_plays", plays), only_row(connection, "trending_params", params)


def only_row(connection: psycopg.Connection[Any], view: str, expected: list[tuple[Any, ...]]) -> dict[str, Any]:
    connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(view)))
    cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(view)))
    rows = cursor.fetchall()
    assert rows == expected
    return dict(zip((column.name for column in cursor.description or ()), rows[0], strict=True))


@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["just before", "at the edge", "just after"])
def test_a_play_or_like_counts_from_just_after_the_beginning_of_a_week_a_month_and_a_year(
    tables: psycopg.Connection[Any], offset: int
) -> None:
    with tables.transaction(force_rollback=True):
        now = clock(tables)
        for number, before in enumerate((week_before, month_before, year_before)):
            moment = before(now) + offset * INSTANT
            insert(tables, "plays", (number, 1, 1, moment))
            insert(tables, "reposts", (1, 1, "track", moment, True, False))
            insert(tables, "saves", (1, 1, "track", moment, True, False))
        plays, params = refreshed(tables, now)
    counts = (1, 2, 3) if offset > 0 else (0, 1, 2)
    assert (plays["week_listen_counts"], plays["month_listen_counts"]) == counts[:2]
    for kind in ("repost", "save"):
        assert tuple(params[f"{kind}_{span}_count"] for span in ("week", "month", "year")) == counts
    assert params["karma"] == 6 * 7


def test_plays_and_likes_that_are_yet_to_come_count(tables: psycopg.Connection[Any]) -> None:
    with tables.transaction(force_rollback=True):
        now = clock(tables)
        insert(tables, "plays", (1, 1, 1, now + INSTANT))
        insert(tables, "reposts", (1, 1, "track", now + timedelta(days=9), True, False))
        plays, params = refreshed(tables, now)
    assert (plays["week_listen_counts"], params["repost_week_count"]) == (1, 1)


@pytest.mark.parametrize(
    "state",
    [(False, False, False, None), (True, True, False, None), (True, False, True, None), (True, False, False, "{}")],
)
def test_former_deleted_unlisted_and_stem_tracks_are_in_neither_view(
    tables: psycopg.Connection[Any], state: tuple[Any, ...]
) -> None:
    with tables.transaction(force_rollback=True):
        now = clock(tables)
        insert(tables, "tracks", (2, 1, "gone", "Punk", now, None, *state))
        plays, params = refreshed(tables, now)
    assert plays["track_id"] == params["track_id"] == 1
