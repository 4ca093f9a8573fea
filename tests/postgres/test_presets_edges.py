"""The tracks' query at the edges of its formula, on hand-made contents of the two views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audius.model import IntervalPlays, TrendingParams, decay, is_near, window_score
from tests.postgres.server import PostgresServer
from trending.presets import load_preset

NOW = datetime(2026, 3, 31, 12, 0, 0, 123456)  # noqa: DTZ001 - naive, in UTC, as in the tables
DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)
CREATED = NOW - timedelta(days=3)

PLAYS = IntervalPlays(1, "Punk", CREATED, week_listen_counts=7, month_listen_counts=30)
PARAMS = TrendingParams(1, None, "Punk", 9, 100, 3, 10, 20, 1, 2, 3, 4, 5, 6, karma=11)
WEEK_BASE = Decimal(7) + 50 * 1 + 4 + Decimal("2.5") + Decimal("0.2")
MONTH_BASE = Decimal(30) + 50 * 2 + 5 + Decimal("2.5") + Decimal("0.2")


@pytest.fixture(scope="module")
def views(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """Two tables in the views' place, so that they can hold anything."""
    with server.database() as database, database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE aggregate_interval_plays (
                track_id int, genre varchar, created_at timestamp, week_listen_counts bigint, month_listen_counts bigint
            );
            CREATE TABLE trending_params (
                track_id int, release_date timestamp, genre varchar, owner_id int, play_count bigint,
                owner_follower_count bigint, repost_count int, save_count int, repost_week_count bigint,
                repost_month_count bigint, repost_year_count bigint, save_week_count bigint, save_month_count bigint,
                save_year_count bigint, karma numeric
            )
            """
        )
        connection.commit()
        yield connection


def scores(
    views: psycopg.Connection[Any], params: TrendingParams, plays: IntervalPlays, version: str = "pnagD"
) -> dict[str, float]:
    """The scores of one track by time range."""
    with views.transaction(force_rollback=True):
        for table, row in {"aggregate_interval_plays": astuple(plays), "trending_params": astuple(params)}.items():
            places = ", ".join(["%s"] * len(row))
            views.execute(f"INSERT INTO {table} VALUES ({places})".encode(), row)
        query = load_preset(f"audius/tracks-{version}", ["week", "month"]).query.replace(":now", "%(now)s")
        rows = views.execute(query.encode(), {"now": NOW.replace(tzinfo=UTC)}).fetchall()
    assert len(rows) == 2
    return {time_range: score for _, _, time_range, score in rows}


def test_a_young_track_scores_base_times_karma(views: psycopg.Connection[Any]) -> None:
    assert scores(views, PARAMS, PLAYS) == {"week": float(WEEK_BASE * 11), "month": float(MONTH_BASE * 11)}


@pytest.mark.parametrize("followers", [0, 1, 2])
def test_tracks_of_owners_with_fewer_than_three_followers_score_zero(
    views: psycopg.Connection[Any], followers: int
) -> None:
    assert scores(views, replace(PARAMS, owner_follower_count=followers), PLAYS) == {"week": 0.0, "month": 0.0}


def test_an_owner_whose_followers_are_unknown_is_not_held_back(views: psycopg.Connection[Any]) -> None:
    assert scores(views, replace(PARAMS, owner_follower_count=None), PLAYS) == scores(views, PARAMS, PLAYS)


def test_without_karma_the_score_is_exactly_zero(views: psycopg.Connection[Any]) -> None:
    assert scores(views, replace(PARAMS, karma=0), replace(PLAYS, created_at=NOW - 9 * DAY)) == {
        "week": 0.0,
        "month": 0.0,
    }


@pytest.mark.parametrize(
    ("karma", "mult"),
    [
        (0, 1),
        (9, 2),
        (99, 3),
        (10**6 - 1, 7),
        (10**30 - 1, 31),
        (1, Decimal("1.30102999566398119521373889472449302677")),
    ],
)
def test_anlge_takes_the_logarithm_of_karma_so_that_none_leaves_the_base(
    views: psycopg.Connection[Any], karma: int, mult: int | Decimal
) -> None:
    expected = {"week": float(WEEK_BASE * mult), "month": float(MONTH_BASE * mult)}
    assert scores(views, replace(PARAMS, karma=karma), PLAYS, "AnlGe") == expected


@pytest.mark.parametrize("followers", [0, 2, 3, None])
def test_anlge_holds_the_same_owners_back(views: psycopg.Connection[Any], followers: int | None) -> None:
    params = replace(PARAMS, owner_follower_count=followers, karma=0)
    expected = (
        {"week": 0.0, "month": 0.0} if followers in (0, 2) else {"week": float(WEEK_BASE), "month": float(MONTH_BASE)}
    )
    assert scores(views, params, PLAYS, "AnlGe") == expected


@pytest.mark.parametrize(
    ("age", "share"),
    [
        (7 * DAY, 1),
        (8 * DAY - INSTANT, 1),
        (8 * DAY, decay(8, "week")),
        (9 * DAY - INSTANT, decay(8, "week")),
        (13 * DAY, decay(13, "week")),
        (14 * DAY, Decimal("1e-5")),
        (15 * DAY, Decimal("1e-5")),
        (5000 * DAY, Decimal("1e-5")),
    ],
)
def test_a_score_falls_with_each_whole_day_after_the_first_week_to_a_hundred_thousandth(
    views: psycopg.Connection[Any], age: timedelta, share: Decimal
) -> None:
    week = scores(views, PARAMS, replace(PLAYS, created_at=NOW - age))["week"]
    assert week == float(WEEK_BASE * 11 * share)


@pytest.mark.parametrize(("days", "falls"), [(30, False), (31, True)])
def test_the_month_s_score_falls_from_the_thirty_first_day_on(
    views: psycopg.Connection[Any], days: int, falls: bool
) -> None:
    month = scores(views, PARAMS, replace(PLAYS, created_at=NOW - days * DAY))["month"]
    assert (month < float(MONTH_BASE * 11)) == falls


@pytest.mark.parametrize(
    ("release", "age"),
    [
        (None, 10),  # counts from the upload
        (NOW - 20 * DAY, 10),  # so does a release before the upload
        (NOW - 8 * DAY, 8),  # a later release counts itself
        (NOW, 0),
        (NOW + INSTANT, 10),  # one to come does not count
        (NOW + 100 * DAY, 10),
    ],
)
def test_age_counts_from_the_release_unless_that_is_to_come_or_before_the_upload(
    views: psycopg.Connection[Any], release: datetime | None, age: int
) -> None:
    week = scores(views, replace(PARAMS, release_date=release), replace(PLAYS, created_at=NOW - 10 * DAY))["week"]
    assert week == float(WEEK_BASE * 11 * decay(age, "week"))


def test_an_upload_in_the_future_does_not_decay(views: psycopg.Connection[Any]) -> None:
    assert scores(views, PARAMS, replace(PLAYS, created_at=NOW + 400 * DAY)) == scores(views, PARAMS, PLAYS)


counts = st.integers(min_value=0, max_value=10**9)
moments = st.integers(min_value=-400 * 86_400_000_000, max_value=40 * 86_400_000_000).map(
    lambda us: NOW + timedelta(microseconds=us)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.builds(
        TrendingParams,
        *(st.just(1), st.none() | moments, st.just("Punk"), st.just(9), st.none() | counts, st.none() | counts),
        *(st.integers(min_value=0, max_value=2**31 - 1) for _ in range(2)),
        *(counts for _ in range(6)),
        karma=st.just(0) | st.integers(min_value=1, max_value=10**30),
    ),
    plays=st.builds(IntervalPlays, st.just(1), st.just("Punk"), moments, counts, counts),
    version=st.sampled_from(["pnagD", "AnlGe"]),
)
def test_any_inputs_give_the_exact_score_to_a_relative_billionth(
    views: psycopg.Connection[Any], params: TrendingParams, plays: IntervalPlays, version: str
) -> None:
    for time_range, score in scores(views, params, plays, version).items():
        assert is_near(score, window_score(params, plays, time_range, NOW, version))
