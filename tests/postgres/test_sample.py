"""The sample data: the shape, every kind of row, and timestamps that no moving clock can bring over an edge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.audius.model import differences
from tests.audius.random_data import keeps_its_distance
from tests.audius.rankings import TIME_RANGES_OF, expected_of_preset
from tests.audius.tables import read_tables
from tests.postgres.server import ADMIN, BINARIES, Database, PostgresServer
from trending.presets import load_preset
from trending.presets.sample import sample_schema, sample_statements

HOUR = timedelta(hours=1)
TABLES = (
    *("users", "aggregate_user", "tracks", "plays", "aggregate_plays", "aggregate_track", "aggregate_playlist"),
    *("reposts", "saves", "playlists"),
)
TIMESTAMPS = {
    "tracks": ("created_at", "release_date"),
    "plays": ("created_at",),
    "reposts": ("created_at",),
    "saves": ("created_at",),
    "playlists": ("created_at", "release_date"),
}


def load(database: Database, *, now: datetime | None = None, tracks: int = 600, plays: int = 8000) -> None:
    with database.connect(autocommit=True) as connection:
        for statement in sample_statements(tracks=tracks, plays=plays, now=now):
            connection.execute(statement)


def contents(database: Database, table: str) -> list[Any]:
    return database.execute(sql.SQL("SELECT * FROM {t} AS t ORDER BY t::text").format(t=sql.Identifier(table)))


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 23, 18, 25, 7, 123456, tzinfo=UTC),
        # Where a month or a year before jumps back by a day at a midnight within the hour; the turn of a year.
        datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 0, 15, tzinfo=UTC),
        datetime(2026, 7, 30, 23, 59, 59, tzinfo=UTC),
        datetime(2028, 2, 28, 23, 10, tzinfo=UTC),
        datetime(2028, 2, 29, 0, 10, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 0, tzinfo=UTC),
    ],
    ids=str,
)
def test_no_timestamp_is_within_an_hour_of_a_window_s_edge_or_a_day_boundary(database: Database, now: datetime) -> None:
    load(database, now=now, tracks=400, plays=3000)
    naive = now.replace(tzinfo=None)
    for table, columns in TIMESTAMPS.items():
        for column in columns:
            query = sql.SQL("SELECT DISTINCT {c} FROM {t} WHERE {c} IS NOT NULL")
            moments = database.execute(query.format(c=sql.Identifier(column), t=sql.Identifier(table)))
            assert moments
            assert [moment for (moment,) in moments if not keeps_its_distance(moment, naive)] == []


def test_the_same_numbers_give_the_same_rows(database: Database) -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    load(database, now=now)
    with database.server.database() as other:
        load(other, now=now)
        for table in TABLES:
            assert contents(database, table) == contents(other, table)


def test_the_numbers_of_rows_are_those_asked_for(database: Database) -> None:
    load(database, tracks=321, plays=4321)
    assert database.execute("SELECT count(*) FROM plays") == [(4321,)]
    assert database.execute("SELECT count(DISTINCT track_id) FROM tracks") == [(321,)]
    assert database.execute("SELECT count(DISTINCT user_id) FROM users") == [(80,)]
    assert database.execute("SELECT count(*) FROM playlists") == [(32,)]


def test_the_smallest_sample_loads(database: Database) -> None:
    load(database, tracks=1, plays=1)
    assert database.execute("SELECT count(*) FROM plays") == [(1,)]


@pytest.mark.parametrize(
    "rows",
    [
        "tracks WHERE release_date IS NULL",
        "tracks WHERE release_date > now() AT TIME ZONE 'UTC'",
        "tracks WHERE release_date < created_at",
        "tracks WHERE release_date > created_at AND release_date < now() AT TIME ZONE 'UTC'",
        "tracks WHERE is_delete",
        "tracks WHERE is_unlisted",
        "tracks WHERE stem_of IS NOT NULL",
        "tracks WHERE NOT is_current",
        "tracks AS new JOIN tracks AS former USING (track_id) WHERE new.is_current AND NOT former.is_current",
        "tracks WHERE genre IS NULL",
        "tracks JOIN aggregate_user ON user_id = owner_id WHERE follower_count = 2",
        "tracks JOIN aggregate_user ON user_id = owner_id WHERE follower_count = 3",
        "tracks LEFT JOIN aggregate_user ON user_id = owner_id WHERE user_id IS NULL",
        "trending_params WHERE karma = 0",
        "trending_params WHERE karma > 1000000",
        "trending_params WHERE play_count IS NULL",
        "aggregate_interval_plays WHERE month_listen_counts = 0",
        "aggregate_interval_plays WHERE week_listen_counts > 0 AND month_listen_counts > week_listen_counts",
        "trending_params WHERE repost_year_count > repost_month_count AND repost_month_count > repost_week_count",
        "trending_params WHERE save_count > save_year_count",
        "saves JOIN reposts USING (user_id) WHERE save_item_id = repost_item_id AND save_type = 'track'",
        "users WHERE is_current AND (cover_photo IS NOT NULL) <> (cover_photo_sizes IS NOT NULL)",
        "users WHERE is_current AND cover_photo IS NULL AND cover_photo_sizes IS NULL",
        "users WHERE is_current AND bio IS NULL",
        "users WHERE NOT is_current",
        "reposts WHERE is_delete",
        "saves WHERE NOT is_current",
        "saves WHERE save_type = 'album'",
        "reposts WHERE repost_type = 'playlist'",
        "playlists WHERE jsonb_array_length(playlist_contents -> 'track_ids') < 3",
        "playlists WHERE jsonb_array_length(playlist_contents -> 'track_ids') = 3",
        "playlists WHERE is_private",
        "playlists WHERE is_delete",
        "playlists WHERE is_album",
        "playlists WHERE release_date > now() AT TIME ZONE 'UTC'",
        "playlists LEFT JOIN aggregate_user ON user_id = playlist_owner_id WHERE user_id IS NULL",
        "playlists LEFT JOIN aggregate_playlist USING (playlist_id) WHERE repost_count IS NULL",
    ],
)
def test_every_kind_of_row_is_there(sample: Database, rows: str) -> None:
    [(count,)] = sample.execute(f"SELECT count(*) FROM {rows}")
    assert count > 0


@pytest.fixture(scope="module")
def sample(server: PostgresServer) -> Iterator[Database]:
    """A loaded and refreshed sample, only to be read."""
    with server.database() as database:
        load(database, tracks=2000, plays=20_000)
        database.execute(
            "REFRESH MATERIALIZED VIEW aggregate_interval_plays; REFRESH MATERIALIZED VIEW trending_params"
        )
        yield database


def test_plays_are_skewed_as_listening_is(sample: Database) -> None:
    [(top_percent, never)] = sample.execute(
        """
        SELECT sum(count) FILTER (WHERE rank <= 20)::float8 / sum(count), 2000 - count(*)
        FROM (SELECT count, row_number() OVER (ORDER BY count DESC) AS rank FROM aggregate_plays) AS ranked
        """
    )
    assert top_percent > 0.25
    assert never > 100


def test_scores_of_the_sample_equal_the_exact_model_an_hour_before_and_after(sample: Database) -> None:
    with sample.connect() as connection:
        tables = read_tables(connection)
        now = datetime.now(UTC)
        for preset, time_ranges in TIME_RANGES_OF.items():
            query = load_preset(preset, time_ranges).query.replace(":now", "%(now)s")
            for clock in (now - HOUR / 2, now, now + HOUR / 2):
                cursor = connection.cursor(row_factory=dict_row).execute(query.encode(), {"now": clock})
                rows = [(next(iter(row.values())), row.get("genre"), row["time_range"], row["score"]) for row in cursor]
                expected = expected_of_preset(preset, tables, clock.replace(tzinfo=None), time_ranges)
                assert differences(expected, rows) == []


@pytest.mark.parametrize(
    ("preset", "time_range"), [("audius/tracks-pnagD", "week"), ("audius/playlists-pnagD", "month")]
)
def test_a_tenth_of_the_tracks_and_playlists_or_more_compete_for_the_ranking(
    sample: Database, preset: str, time_range: str
) -> None:
    query = load_preset(preset, [time_range]).query.replace(":now", "%(now)s")
    with sample.connect() as connection:
        rows = connection.execute(query.encode(), {"now": datetime.now(UTC)}).fetchall()
    scores = [score for *_, score in rows]
    assert sum(score > 0 for score in scores) > len(scores) / 10
    assert len(set(scores)) > len(scores) / 10


def test_the_views_are_unpopulated_with_plain_indexes_as_before_the_migration(database: Database) -> None:
    database.execute(sample_schema())
    assert database.execute("SELECT matviewname, ispopulated FROM pg_matviews ORDER BY 1") == [
        ("aggregate_interval_plays", False),
        ("trending_params", False),
    ]
    indexes = database.execute(
        "SELECT indexrelid::regclass::text, indisunique"
        " FROM pg_index JOIN pg_matviews ON indrelid = matviewname::regclass ORDER BY 1"
    )
    assert indexes == [("interval_play_track_id_idx", False), ("trending_params_track_id_idx", False)]


def test_the_score_tables_have_the_primary_keys_and_indexes_of_the_service(database: Database) -> None:
    database.execute(sample_schema())
    definitions = database.execute(
        r"""
        SELECT tablename, regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX \S+ ON \S+ USING btree ', '\1')
        FROM pg_indexes
        WHERE tablename IN ('track_trending_scores', 'playlist_trending_scores') ORDER BY 1 DESC, 2
        """
    )
    assert definitions == [
        ("track_trending_scores", "(genre)"),
        ("track_trending_scores", "(genre, time_range, score DESC, track_id)"),
        ("track_trending_scores", "(track_id)"),
        ("track_trending_scores", "(type, version, time_range, genre, score DESC)"),
        ("track_trending_scores", "(type, version, time_range, score DESC, track_id)"),
        ("track_trending_scores", "UNIQUE (track_id, type, version, time_range)"),
        ("playlist_trending_scores", "(playlist_id)"),
        ("playlist_trending_scores", "(type, version, time_range, playlist_id, score DESC)"),
        ("playlist_trending_scores", "UNIQUE (playlist_id, type, version, time_range)"),
    ]


def test_psql_runs_the_same_files(database: Database) -> None:
    folder = files("trending.presets.audius") / "sample"
    server = database.server
    command = [
        *(str(BINARIES / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"),
        *("--host", str(server.folder), "--port", str(server.port), "--username", ADMIN, "--dbname", database.name),
        *("--file", str(folder / "schema.sql"), "--file", str(folder / "data.sql")),
    ]
    environment = {**os.environ, "PGOPTIONS": "-c sample.tracks=50 -c sample.plays=500"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert database.execute("SELECT count(*) FROM plays", role=ADMIN) == [(500,)]


def test_numbers_below_one_and_a_moment_without_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one track"):
        sample_statements(tracks=0, plays=1)
    with pytest.raises(ValueError, match="must carry a time zone"):
        sample_statements(tracks=1, plays=1, now=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
