"""The presets' queries against the plain-Python exact model of the formulas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.audius.model import TIME_RANGES, differences, expected_scores, interval_plays, trending_params
from tests.audius.random_data import fill_with_random_rows
from tests.audius.tables import read_tables
from tests.postgres.server import Database
from trending.presets import load_preset
from trending.presets.sample import sample_schema

TRACKS = "audius/tracks-pnagD"


def scores(connection: psycopg.Connection[Any], now: datetime, time_ranges: Sequence[str]) -> list[Any]:
    query = load_preset(TRACKS, time_ranges).query.replace(":now", "%(now)s")
    cursor = connection.execute(query.encode(), {"now": now.replace(tzinfo=UTC)})
    assert cursor.description is not None
    assert [column.name for column in cursor.description] == ["track_id", "genre", "time_range", "score"]
    return cursor.fetchall()


def refresh(connection: psycopg.Connection[Any]) -> datetime:
    """Refresh both views in one transaction; its now(), naive in UTC."""
    with connection.transaction():
        connection.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays")
        connection.execute("REFRESH MATERIALIZED VIEW trending_params")
        row = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


@pytest.mark.parametrize("seed", range(4))
def test_views_and_scores_equal_the_exact_model_on_random_data(database: Database, seed: int) -> None:
    database.execute(sample_schema())
    with database.connect() as connection:
        fill_with_random_rows(connection, seed=seed, now=datetime.now(UTC).replace(tzinfo=None))
        tables = read_tables(connection)
        connection.commit()
        now = refresh(connection)
        plays = connection.execute("SELECT * FROM aggregate_interval_plays").fetchall()
        params = connection.execute("SELECT * FROM trending_params").fetchall()
        assert sorted(plays) == sorted(astuple(row) for row in interval_plays(tables, now).values())
        by_track = {row[0]: row for row in params}
        assert by_track == {track: astuple(row) for track, row in trending_params(tables, now).items()}
        assert len(by_track) == len(params)
        expected = expected_scores(tables, now)
        assert differences(expected, scores(connection, now, TIME_RANGES)) == []
        values = [score for _, score in expected.values()]
        assert 0 in values
        assert max(values) > 10**9


@pytest.mark.parametrize("time_range", TIME_RANGES)
def test_one_time_range_brings_its_own_rows_only(audius_populated: Database, time_range: str) -> None:
    with audius_populated.connect() as connection:
        now = datetime.now(UTC).replace(tzinfo=None)
        expected = expected_scores(read_tables(connection), now, [time_range])
        assert differences(expected, scores(connection, now, [time_range])) == []


def test_the_rows_are_as_of_now_and_not_of_the_clock(audius_populated: Database) -> None:
    with audius_populated.connect() as connection:
        today = datetime.now(UTC).replace(tzinfo=None)
        later = today.replace(year=today.year + 1, day=1)
        assert scores(connection, today, ["week"]) != scores(connection, later, ["week"])
        assert scores(connection, later, ["week"]) == scores(connection, later, ["week"])
    query = load_preset(TRACKS, TIME_RANGES).query
    assert not re.search(r"now\s*\(|current_|clock_timestamp|localtime", query, re.IGNORECASE)
    assert "%" not in query


def test_the_session_s_time_zone_does_not_matter(audius_populated: Database) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with audius_populated.connect() as connection:
        expected = scores(connection, now, TIME_RANGES)
        connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
        assert sorted(scores(connection, now, TIME_RANGES), key=str) == sorted(expected, key=str)


def test_a_track_deleted_since_the_refresh_has_no_score_of_all_time(audius_populated: Database) -> None:
    with audius_populated.connect() as connection:
        now = datetime.now(UTC).replace(tzinfo=None)
        before = scores(connection, now, ["allTime"])
        deleted = before[0][0]
        connection.execute("UPDATE tracks SET is_delete = true WHERE track_id = %s", [deleted])
        assert sorted(scores(connection, now, ["allTime"])) == sorted(row for row in before if row[0] != deleted)
