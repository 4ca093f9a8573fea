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
from tests.audius.rankings import TIME_RANGES_OF, expected_of_preset
from tests.audius.tables import read_tables
from tests.postgres.server import Database
from trending.api.spec import Persist
from trending.presets import Preset, known_presets, load_preset
from trending.presets.sample import sample_schema

TRACKS = "audius/tracks-pnagD"


def scores(
    connection: psycopg.Connection[Any],
    now: datetime,
    time_ranges: Sequence[str],
    preset: str = TRACKS,
    *,
    persist: Persist = "all",
) -> list[tuple[int, str | None, str, float]]:
    """The preset's rows as (id, genre, time_range, score); playlists have no genre."""
    loaded = load_preset(preset, time_ranges, persist=persist)
    found, rows = execute(connection, loaded.query, now)
    return shaped(found, rows)


def store_inputs(connection: psycopg.Connection[Any], now: datetime, preset: Preset) -> None:
    """Store each input in a temporary table of its name."""
    for each in preset.inputs:
        execute(connection, f"CREATE TEMPORARY TABLE {each.name} AS {each.query}", now)


def execute(connection: psycopg.Connection[Any], query: str, now: datetime) -> tuple[list[str], list[Any]]:
    cursor = connection.execute(query.replace(":now", "%(now)s").encode(), {"now": now.replace(tzinfo=UTC)})
    if cursor.description is None:
        return [], []
    return [column.name for column in cursor.description], cursor.fetchall()


def shaped(columns: list[str], rows: list[Any]) -> list[tuple[int, str | None, str, float]]:
    if columns == ["playlist_id", "time_range", "score"]:
        return [(number, None, time_range, score) for number, time_range, score in rows]
    assert columns == ["track_id", "genre", "time_range", "score"]
    return rows


def refresh(connection: psycopg.Connection[Any]) -> datetime:
    """Refresh both views in one transaction; its now(), naive in UTC."""
    with connection.transaction():
        connection.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays")
        connection.execute("REFRESH MATERIALIZED VIEW trending_params")
        row = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


@pytest.mark.parametrize("seed", range(6))
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
        for preset, time_ranges in TIME_RANGES_OF.items():
            expected = expected_of_preset(preset, tables, now, time_ranges)
            assert differences(expected, scores(connection, now, time_ranges, preset)) == []
            assert 0 in [score for _, score in expected.values()]
            assert len({score for _, score in expected.values()}) > 20
        assert max(score for _, score in expected_scores(tables, now).values()) > 10**9


def test_the_model_knows_every_preset() -> None:
    assert known_presets() == TIME_RANGES_OF


@pytest.mark.parametrize("persist", ["all", "positive"])
@pytest.mark.parametrize(
    ("preset", "time_range"), [(preset, each) for preset, ranges in TIME_RANGES_OF.items() for each in ranges]
)
def test_each_time_range_of_each_preset_brings_its_own_rows_only(
    audius_populated: Database, preset: str, time_range: str, persist: Persist
) -> None:
    with audius_populated.connect() as connection:
        now = datetime.now(UTC).replace(tzinfo=None)
        expected = expected_of_preset(preset, read_tables(connection), now, [time_range], persist=persist)
        rows = scores(connection, now, [time_range], preset, persist=persist)
    assert expected
    assert differences(expected, rows) == []
    assert any(score == 0 for *_, score in rows) == (persist == "all")


def test_underground_tracks_score_as_tracks_do(audius_populated: Database) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with audius_populated.connect() as connection:
        underground = scores(connection, now, TIME_RANGES, "audius/underground-tracks-pnagD")
        assert sorted(underground, key=str) == sorted(scores(connection, now, TIME_RANGES), key=str)


@pytest.mark.parametrize("persist", ["all", "positive"])
@pytest.mark.parametrize("preset", TIME_RANGES_OF)
def test_stored_inputs_give_the_very_same_rows(audius_populated: Database, preset: str, persist: Persist) -> None:
    time_ranges = TIME_RANGES_OF[preset]
    now = datetime.now(UTC).replace(tzinfo=None)
    with audius_populated.connect() as connection:
        complete = scores(connection, now, time_ranges, preset, persist=persist)
        loaded = load_preset(preset, time_ranges, persist=persist)
        store_inputs(connection, now, loaded)
        assert sorted(shaped(*execute(connection, loaded.query_of_inputs, now)), key=str) == sorted(complete, key=str)


def test_inputs_that_one_preset_stored_serve_the_others(audius_populated: Database) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with audius_populated.connect() as connection:
        tables = read_tables(connection)
        store_inputs(connection, now, load_preset(TRACKS, TIME_RANGES))
        connection.execute("DROP MATERIALIZED VIEW aggregate_interval_plays, trending_params")
        for preset in ("audius/tracks-AnlGe", "audius/underground-tracks-pnagD"):
            rows = shaped(*execute(connection, load_preset(preset, TIME_RANGES).query_of_inputs, now))
            assert differences(expected_of_preset(preset, tables, now, TIME_RANGES), rows) == []


def test_the_rows_are_as_of_now_and_not_of_the_clock(audius_populated: Database) -> None:
    with audius_populated.connect() as connection:
        today = datetime.now(UTC).replace(tzinfo=None)
        later = today.replace(year=today.year + 1, day=1)
        assert scores(connection, today, ["week"]) != scores(connection, later, ["week"])
        assert scores(connection, later, ["week"]) == scores(connection, later, ["week"])
    for preset, time_ranges in TIME_RANGES_OF.items():
        query = load_preset(preset, time_ranges).query
        assert not re.search(r"now\s*\(|current_|clock_timestamp|localtime", query, re.IGNORECASE)


def test_the_session_s_time_zone_does_not_matter(audius_populated: Database) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with audius_populated.connect() as connection:
        for preset, time_ranges in TIME_RANGES_OF.items():
            connection.execute("SET TimeZone = 'UTC'")
            expected = scores(connection, now, time_ranges, preset)
            connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
            assert sorted(scores(connection, now, time_ranges, preset), key=str) == sorted(expected, key=str)


def test_a_track_deleted_since_the_refresh_has_no_score_of_all_time(audius_populated: Database) -> None:
    with audius_populated.connect() as connection:
        now = datetime.now(UTC).replace(tzinfo=None)
        before = scores(connection, now, ["allTime"])
        deleted = before[0][0]
        connection.execute("UPDATE tracks SET is_delete = true WHERE track_id = %s", [deleted])
        assert sorted(scores(connection, now, ["allTime"])) == sorted(row for row in before if row[0] != deleted)
