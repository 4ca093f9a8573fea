"""Audius trending in plain Python: from the rows of the base tables to the views' rows and the scores, exactly.

Independent of the project's SQL, and written for the eye, not for speed: integers and fractions all the way, decimals
of 60 digits only for the power and the logarithm, which are no fractions. Timestamps are naive and in UTC, as in the
tables.
"""

from __future__ import annotations

import calendar
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache

LISTEN, WINDOW_REPOST, WINDOW_SAVE, REPOST, SAVE = 1, 50, 1, Fraction(1, 4), Fraction(1, 100)  # N, F, O, r, i
DECAY, MIN_FOLLOWERS = 100_000, 3  # q, y
DAYS = {"week": 7, "month": 30, "year": 365}
TIME_RANGES = ("week", "month", "allTime")

Scores = dict[tuple[int, str], tuple[str | None, Decimal]]
"""Genre (None for playlists) and score by track or playlist and time range."""


@dataclass(frozen=True, slots=True)
class Track:
    """A row of tracks."""

    track_id: int
    owner_id: int
    genre: str | None
    created_at: datetime
    release_date: datetime | None
    is_current: bool
    is_delete: bool
    is_unlisted: bool
    is_stem: bool

    @property
    def is_live(self) -> bool:
        return self.is_current and not (self.is_delete or self.is_unlisted or self.is_stem)


@dataclass(frozen=True, slots=True)
class Like:
    """A row of reposts or saves."""

    user_id: int
    item_id: int
    type: str
    created_at: datetime
    is_current: bool
    is_delete: bool


@dataclass(frozen=True, slots=True)
class Playlist:
    """A row of playlists."""

    playlist_id: int
    owner_id: int
    is_private: bool
    is_current: bool
    is_delete: bool
    created_at: datetime
    release_date: datetime | None
    contents: object  # JSON

    @property
    def entries(self) -> int:
        """How many tracks it lists; none where they are no list."""
        listed = self.contents.get("track_ids") if isinstance(self.contents, dict) else None
        return len(listed) if isinstance(listed, list) else 0


@dataclass(frozen=True, slots=True)
class Tables:
    """The base tables, as far as scores depend on them."""

    tracks: list[Track]
    plays: list[tuple[int, datetime]]
    reposts: list[Like]
    saves: list[Like]
    complete_users: set[int]  # current, with a cover, a picture and a bio
    follower_counts: dict[int, int | None]
    play_counts: dict[int, int | None]
    totals: dict[int, tuple[int, int]]  # reposts, saves
    playlists: list[Playlist]
    playlist_totals: dict[int, tuple[int, int]]  # reposts, saves


@dataclass(frozen=True, slots=True)
class IntervalPlays:
    """A row of aggregate_interval_plays, its columns in order."""

    track_id: int
    genre: str | None
    created_at: datetime
    week_listen_counts: int
    month_listen_counts: int


@dataclass(frozen=True, slots=True)
class TrendingParams:
    """A row of trending_params, its columns in order."""

    track_id: int
    release_date: datetime | None
    genre: str | None
    owner_id: int
    play_count: int | None
    owner_follower_count: int | None
    repost_count: int
    save_count: int
    repost_week_count: int
    repost_month_count: int
    repost_year_count: int
    save_week_count: int
    save_month_count: int
    save_year_count: int
    karma: int


def week_before(now: datetime) -> datetime:
    return now - timedelta(days=7)


def month_before(now: datetime) -> datetime:
    """One calendar month earlier, at the last day of a shorter month, as PostgreSQL reckons."""
    year, month = (now.year, now.month - 1) if now.month > 1 else (now.year - 1, 12)
    return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))


def year_before(now: datetime) -> datetime:
    """One calendar year earlier, 28 February for 29 February."""
    return now.replace(year=now.year - 1, day=min(now.day, calendar.monthrange(now.year - 1, now.month)[1]))


def interval_plays(tables: Tables, now: datetime) -> dict[int, IntervalPlays]:
    """The rows that aggregate_interval_plays must have when refreshed at `now`, by track."""
    week_edge, month_edge = week_before(now), month_before(now)
    week = Counter(track_id for track_id, created_at in tables.plays if created_at > week_edge)
    month = Counter(track_id for track_id, created_at in tables.plays if created_at > month_edge)
    return {
        track.track_id: IntervalPlays(
            track.track_id, track.genre, track.created_at, week[track.track_id], month[track.track_id]
        )
        for track in tables.tracks
        if track.is_live
    }


def trending_params(tables: Tables, now: datetime) -> dict[int, TrendingParams]:
    """The rows that trending_params must have when refreshed at `now`, by track."""
    reposts, saves = _of_tracks(tables.reposts), _of_tracks(tables.saves)
    repost_counts, save_counts = _WindowCounts(reposts, now), _WindowCounts(saves, now)
    karma: defaultdict[int, int] = defaultdict(int)
    for like in (*reposts, *saves):
        if like.user_id in tables.complete_users:
            karma[like.item_id] += tables.follower_counts.get(like.user_id) or 0
    return {
        track.track_id: TrendingParams(
            track.track_id,
            track.release_date,
            track.genre,
            track.owner_id,
            tables.play_counts.get(track.track_id),
            tables.follower_counts.get(track.owner_id),
            *tables.totals.get(track.track_id, (0, 0)),
            *repost_counts.of(track.track_id),
            *save_counts.of(track.track_id),
            karma=karma[track.track_id],
        )
        for track in tables.tracks
        if track.is_live
    }


class _WindowCounts:
    def __init__(self, likes: Collection[Like], now: datetime) -> None:
        self.week = Counter(like.item_id for like in likes if like.created_at > week_before(now))
        self.month = Counter(like.item_id for like in likes if like.created_at > month_before(now))
        self.year = Counter(like.item_id for like in likes if like.created_at > year_before(now))

    def of(self, track_id: int) -> tuple[int, int, int]:
        return self.week[track_id], self.month[track_id], self.year[track_id]


def _of_tracks(likes: Iterable[Like]) -> list[Like]:
    return [like for like in likes if like.type == "track" and like.is_current and not like.is_delete]


def multiplier(karma: int, version: str) -> Decimal:
    """What a track's base is multiplied by in this version: its karma, or a logarithm of it."""
    if version == "pnagD":
        return Decimal(karma)
    assert version == "AnlGe"
    with localcontext(prec=60):
        return 1 + Decimal(1 + karma).log10()


def is_held_back(owner_follower_count: int | None) -> bool:
    """Whether the owner is known to have too few followers for a score."""
    return owner_follower_count is not None and owner_follower_count < MIN_FOLLOWERS


def window_score(
    params: TrendingParams, plays: IntervalPlays, time_range: str, now: datetime, version: str = "pnagD"
) -> Decimal:
    """The score of a track over the last week or month."""
    if is_held_back(params.owner_follower_count):
        return Decimal(0)
    listens, reposts, saves = {
        "week": (plays.week_listen_counts, params.repost_week_count, params.save_week_count),
        "month": (plays.month_listen_counts, params.repost_month_count, params.save_month_count),
    }[time_range]
    window = LISTEN * listens + WINDOW_REPOST * reposts + WINDOW_SAVE * saves
    base = window + REPOST * params.repost_count + SAVE * params.save_count
    left = decay(age_in_days(params.release_date, plays.created_at, now), time_range)
    return product(base, multiplier(params.karma, version), left)


def all_time_score(params: TrendingParams, play_count: int | None, version: str = "pnagD") -> Decimal:
    """The score of a track over all time; `play_count` is that of its aggregate_plays row."""
    if is_held_back(params.owner_follower_count):
        return Decimal(0)
    base = LISTEN * (play_count or 0) + REPOST * params.repost_count + SAVE * params.save_count
    return product(base, multiplier(params.karma, version))


def age_in_days(release_date: datetime | None, created_at: datetime, now: datetime) -> int:
    """Whole days since the release, which is no earlier than the upload; one that is yet to come does not count."""
    is_to_come = release_date is not None and release_date > now
    released = created_at if release_date is None or is_to_come else max(release_date, created_at)
    return (now - released).days


@cache
def decay(age: int, time_range: str) -> Decimal:
    """What an age in whole days leaves of a score: 1 within the time range, falling to 1/q at twice its length."""
    days = DAYS[time_range]
    if age <= days:
        return Decimal(1)
    with localcontext(prec=60):
        exponent = max(Fraction(-10), 1 - Fraction(age, days))
        return max(Decimal(1) / DECAY, Decimal(DECAY) ** _decimal(exponent))


def product(base: Fraction | int, *factors: Decimal) -> Decimal:
    """The base times the factors, to 60 digits."""
    with localcontext(prec=60):
        return math.prod(factors, start=_decimal(base))


def _decimal(number: Fraction | int) -> Decimal:
    with localcontext(prec=60):
        return Decimal(Fraction(number).numerator) / Decimal(Fraction(number).denominator)


def expected_scores(
    tables: Tables, now: datetime, time_ranges: Collection[str] = TIME_RANGES, version: str = "pnagD"
) -> Scores:
    """Genre and score of each track and time range, by (track_id, time_range), all as of `now` (naive, UTC)."""
    params_of, plays_of = trending_params(tables, now), interval_plays(tables, now)
    expected: Scores = {}
    for track_id, params in params_of.items():
        for time_range in time_ranges:
            if time_range != "allTime":
                score = window_score(params, plays_of[track_id], time_range, now, version)
            elif track_id in tables.play_counts:
                score = all_time_score(params, tables.play_counts[track_id], version)
            else:
                continue
            expected[track_id, time_range] = (params.genre, score)
    return expected


def differences(expected: Scores, rows: Iterable[tuple[int, str | None, str, float]]) -> list[str]:
    """What is wrong with rows of (id, genre, time_range, score): a sentence each, none where all is right.

    Right is a score within a relative 1e-9 of the expected one, and exactly zero where that is zero.
    """
    found: list[str] = []
    missing = dict(expected)
    for number, genre, time_range, score in rows:
        if (number, time_range) not in missing:
            found.append(f"{number} {time_range}: a row too many")
            continue
        right_genre, right_score = missing.pop((number, time_range))
        if genre != right_genre:
            found.append(f"{number} {time_range}: genre {genre!r} instead of {right_genre!r}")
        if not is_near(score, right_score):
            found.append(f"{number} {time_range}: score {score!r} instead of {right_score}")
    return found + [f"{number} {time_range}: no row" for number, time_range in missing]


def is_near(score: float, exact: Decimal) -> bool:
    """Whether a stored score is the exact one to a relative billionth, zero being zero."""
    return abs(Decimal(score) - exact) <= abs(exact) * Decimal("1e-9")
