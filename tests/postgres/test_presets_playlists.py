"""The playlists' query at the edges of its formula, on hand-made contents of the base tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.audius.model import DAYS, decay, differences
from tests.audius.playlists import PLAYLIST_TIME_RANGES, expected_playlist_scores
from tests.audius.tables import read_tables
from tests.postgres.server import PostgresServer
from trending.presets import load_preset
from trending.presets.sample import sample_schema

NOW = datetime(2026, 3, 31, 12, 0, 0, 123456)  # noqa: DTZ001 - naive, in UTC, as in the tables
DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)
OWNER, FAN, PLAIN = 1, 2, 3
"""A user with playlists, one with cover, picture and bio, and one without."""


@dataclass(frozen=True)
class Like:
    created_at: datetime = NOW - DAY
    user_id: int = FAN
    item_id: int = 1
    type: str = "playlist"
    is_current: bool = True
    is_delete: bool = False


@dataclass(frozen=True)
class Case:
    """A playlist and what is known of it."""

    entries: object = field(default_factory=lambda: [{"track": each} for each in (1, 2, 3)])
    is_album: bool = False
    is_private: bool = False
    is_current: bool = True
    is_delete: bool = False
    created_at: datetime = NOW - 3 * DAY
    release_date: datetime | None = None
    followers: dict[int, int | None] = field(default_factory=lambda: {OWNER: 3, FAN: 1000, PLAIN: 10**6})
    totals: tuple[int, int] | None = (10, 20)
    reposts: tuple[Like, ...] = ()
    saves: tuple[Like, ...] = ()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        contents = json.dumps({"track_ids": self.entries})
        state = (self.is_album, self.is_private, self.is_current, self.is_delete)
        old, whole = NOW - 900 * DAY, ("cover", None, None, "pictures", "about me")
        return {
            "users": [
                (OWNER, True, "owner", *[None] * 5, old),
                (FAN, True, "fan", *whole, old),
                (PLAIN, True, "plain", *whole[:-1], None, old),
                (PLAIN, False, "plain once", *whole, old),
            ],
            "aggregate_user": [(user, count, 0) for user, count in self.followers.items()],
            "playlists": [(1, OWNER, "mine", *state, self.created_at, self.release_date, contents)],
            "aggregate_playlist": [(1, *self.totals)] if self.totals else [],
            "reposts": [_row(like) for like in self.reposts],
            "saves": [_row(like) for like in self.saves],
        }


def _row(like: Like) -> tuple[Any, ...]:
    return (like.user_id, like.item_id, like.type, like.created_at, like.is_current, like.is_delete)


CASE = Case()
BASE = 1 + Decimal("2.5") + Decimal("0.2")


@pytest.fixture(scope="module")
def tables(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with server.database() as database, database.connect() as connection:
        connection.execute(sample_schema().encode())
        connection.commit()
        yield connection


def scores(tables: psycopg.Connection[Any], case: Case) -> dict[str, float]:
    """The scores of the playlist by time range, which are those of the exact model as well."""
    with tables.transaction(force_rollback=True):
        for table, rows in case.tables().items():
            for row in rows:
                places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                tables.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places), row)
        query = load_preset("audius/playlists-pnagD", PLAYLIST_TIME_RANGES).query.replace(":now", "%(now)s")
        rows = tables.execute(query.encode(), {"now": NOW.replace(tzinfo=UTC)}).fetchall()
        expected = expected_playlist_scores(read_tables(tables), NOW)
    assert differences(expected, [(number, None, time_range, score) for number, time_range, score in rows]) == []
    return {time_range: score for _, time_range, score in rows}


def alike(score: Decimal) -> dict[str, float]:
    return dict.fromkeys(PLAYLIST_TIME_RANGES, float(score))


def test_a_playlist_that_nobody_liked_scores_one_listen_and_its_totals(tables: psycopg.Connection[Any]) -> None:
    assert scores(tables, CASE) == alike(BASE)
    assert scores(tables, replace(CASE, totals=None)) == alike(Decimal(1))


@pytest.mark.parametrize(("entries", "is_ranked"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_ranked_playlist_has_three_tracks_or_more(
    tables: psycopg.Connection[Any], entries: int, is_ranked: bool
) -> None:
    assert bool(scores(tables, replace(CASE, entries=[{"track": 1}] * entries))) == is_ranked


@pytest.mark.parametrize("entries", [None, "abcd", 4, {"a": 1, "b": 2, "c": 3}], ids=str)
def test_contents_that_are_no_list_are_no_error_and_not_ranked(
    tables: psycopg.Connection[Any], entries: object
) -> None:
    assert scores(tables, replace(CASE, entries=entries)) == {}


@pytest.mark.parametrize(
    "state", [{"is_private": True}, {"is_current": False}, {"is_delete": True}, {"followers": {FAN: 9}}], ids=str
)
def test_private_former_and_deleted_playlists_and_those_of_uncounted_owners_have_no_rows(
    tables: psycopg.Connection[Any], state: dict[str, Any]
) -> None:
    assert scores(tables, replace(CASE, **state)) == {}


def test_an_album_is_ranked_as_a_playlist_is_while_likes_of_albums_do_not_count(
    tables: psycopg.Connection[Any],
) -> None:
    likes = (Like(type="album"), Like(type="track"))
    assert scores(tables, replace(CASE, is_album=True, reposts=likes, saves=likes)) == alike(BASE)


@pytest.mark.parametrize(("followers", "share"), [(0, 0), (2, 0), (3, 1), (None, 1)])
def test_playlists_of_owners_known_to_have_fewer_than_three_followers_score_zero(
    tables: psycopg.Connection[Any], followers: int | None, share: int
) -> None:
    assert scores(tables, replace(CASE, followers={OWNER: followers})) == alike(BASE * share)


@pytest.mark.parametrize("time_range", PLAYLIST_TIME_RANGES)
def test_a_like_at_the_very_beginning_of_the_time_range_brings_its_user_s_followers_but_is_not_counted(
    tables: psycopg.Connection[Any], time_range: str
) -> None:
    edge = NOW - DAYS[time_range] * DAY
    found = {
        offset: scores(tables, replace(CASE, reposts=(Like(edge + offset * INSTANT),)))[time_range]
        for offset in (-1, 0, 1)
    }
    assert found == {-1: float(BASE), 0: float(BASE * 1000), 1: float((BASE + 50) * 1000)}
    saved = scores(tables, replace(CASE, saves=(Like(edge + INSTANT),)))[time_range]
    assert saved == float((BASE + 1) * 1000)


def test_a_user_who_reposts_and_saves_counts_twice(tables: psycopg.Connection[Any]) -> None:
    assert scores(tables, replace(CASE, reposts=(Like(),), saves=(Like(),))) == alike((BASE + 51) * 2000)


def test_former_and_deleted_likes_do_not_count(tables: psycopg.Connection[Any]) -> None:
    likes = (Like(is_current=False), Like(is_delete=True))
    assert scores(tables, replace(CASE, reposts=likes, saves=likes)) == alike(BASE)


def test_likes_of_users_without_a_full_profile_count_without_their_followers(tables: psycopg.Connection[Any]) -> None:
    likes = (Like(user_id=PLAIN), Like(user_id=99))
    assert scores(tables, replace(CASE, reposts=likes)) == alike(BASE + 100)
    assert scores(tables, replace(CASE, reposts=(*likes, Like()))) == alike((BASE + 150) * 1000)


@pytest.mark.parametrize(("followers", "mult"), [(0, 0), (None, 1), ("no row", 1), (10**15, 10**15)])
def test_a_fan_without_followers_makes_the_score_zero_and_one_whose_followers_are_unknown_does_not(
    tables: psycopg.Connection[Any], followers: Any, mult: int
) -> None:
    known: dict[int, int | None] = {OWNER: 3} if followers == "no row" else {OWNER: 3, FAN: followers}
    assert scores(tables, replace(CASE, followers=known, reposts=(Like(),))) == alike((BASE + 50) * mult)


@pytest.mark.parametrize("time_range", PLAYLIST_TIME_RANGES)
def test_a_score_falls_from_one_length_of_the_time_range_to_two(
    tables: psycopg.Connection[Any], time_range: str
) -> None:
    days = DAYS[time_range]
    for age in (days * DAY, (days + 1) * DAY - INSTANT):
        assert scores(tables, replace(CASE, created_at=NOW - age))[time_range] == float(BASE)
    for whole, age in {days + 1: (days + 1) * DAY, 2 * days - 1: 2 * days * DAY - INSTANT}.items():
        found = scores(tables, replace(CASE, created_at=NOW - age))[time_range]
        assert found == float(BASE * decay(whole, time_range))
        assert found < float(BASE)
    for age in (2 * days * DAY, 3 * days * DAY, 5000 * DAY):
        assert scores(tables, replace(CASE, created_at=NOW - age))[time_range] == float(BASE * Decimal("1e-5"))


@pytest.mark.parametrize(
    ("release", "age"), [(None, 10), (NOW - 20 * DAY, 10), (NOW - 8 * DAY, 8), (NOW, 0), (NOW + INSTANT, 10)]
)
def test_age_counts_from_the_release_unless_that_is_to_come_or_before_the_creation(
    tables: psycopg.Connection[Any], release: datetime | None, age: int
) -> None:
    found = scores(tables, replace(CASE, created_at=NOW - 10 * DAY, release_date=release))
    assert found == {"week": float(BASE * decay(age, "week")), "month": float(BASE), "year": float(BASE)}


edges = st.sampled_from([NOW - days * DAY for days in (7, 8, 14, 30, 31, 60, 365, 366, 730)] + [NOW])
moments = st.builds(
    lambda edge, offset: edge + offset,
    edges,
    st.sampled_from([-INSTANT, timedelta(0), INSTANT]) | st.timedeltas(-40 * DAY, 5 * DAY),
)
likes = st.lists(
    st.builds(
        Like,
        created_at=moments,
        user_id=st.sampled_from([OWNER, FAN, PLAIN, 99]),
        item_id=st.sampled_from([1, 1, 1, 2]),
        type=st.sampled_from(["playlist", "playlist", "playlist", "album", "track"]),
        is_current=st.sampled_from([True, True, True, False]),
        is_delete=st.sampled_from([False, False, False, True]),
    ),
    max_size=6,
).map(tuple)
followers = st.none() | st.sampled_from([0, 1, 2, 3]) | st.integers(min_value=0, max_value=10**12)
totals = st.integers(min_value=0, max_value=2**31 - 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.builds(
        Case,
        created_at=moments,
        release_date=st.none() | moments,
        is_album=st.booleans(),
        followers=st.dictionaries(st.sampled_from([OWNER, FAN, PLAIN, 99]), followers),
        totals=st.none() | st.tuples(totals, totals),
        reposts=likes,
        saves=likes,
    )
)
def test_any_contents_give_the_exact_score_to_a_relative_billionth(tables: psycopg.Connection[Any], case: Case) -> None:
    scores(tables, case)
