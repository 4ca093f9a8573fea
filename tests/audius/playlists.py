"""Scores of playlists in plain Python: as the model of tracks, on the base tables alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from tests.audius.model import (
    DAYS,
    LISTEN,
    REPOST,
    SAVE,
    WINDOW_REPOST,
    WINDOW_SAVE,
    Like,
    Playlist,
    Scores,
    Tables,
    age_in_days,
    decay,
    is_held_back,
    product,
)

PLAYLIST_TIME_RANGES = ("week", "month", "year")
MIN_ENTRIES = 3


def expected_playlist_scores(
    tables: Tables, now: datetime, time_ranges: Collection[str] = PLAYLIST_TIME_RANGES
) -> Scores:
    """The score of each ranked playlist and time range as of `now` (naive, UTC)."""
    reposts, saves = _by_playlist(tables.reposts), _by_playlist(tables.saves)
    expected: Scores = {}
    for playlist in tables.playlists:
        if is_ranked(playlist) and playlist.owner_id in tables.follower_counts:
            its_reposts, its_saves = reposts.get(playlist.playlist_id, []), saves.get(playlist.playlist_id, [])
            for time_range in time_ranges:
                score = _score(tables, playlist, its_reposts, its_saves, time_range, now)
                expected[playlist.playlist_id, time_range] = (None, score)
    return expected


def is_ranked(playlist: Playlist) -> bool:
    """Whether it is public and has enough tracks; an album is as good as any."""
    is_live = playlist.is_current and not (playlist.is_delete or playlist.is_private)
    return is_live and playlist.entries >= MIN_ENTRIES


def _score(
    tables: Tables, playlist: Playlist, reposts: list[Like], saves: list[Like], time_range: str, now: datetime
) -> Decimal:
    if is_held_back(tables.follower_counts[playlist.owner_id]):
        return Decimal(0)
    edge = now - timedelta(days=DAYS[time_range])
    window_reposts = sum(like.created_at > edge for like in reposts)
    window_saves = sum(like.created_at > edge for like in saves)
    total_reposts, total_saves = tables.playlist_totals.get(playlist.playlist_id, (0, 0))
    window = LISTEN * 1 + WINDOW_REPOST * window_reposts + WINDOW_SAVE * window_saves
    base = window + REPOST * total_reposts + SAVE * total_saves
    left = decay(age_in_days(playlist.release_date, playlist.created_at, now), time_range)
    return product(base, Decimal(_karma(tables, [*reposts, *saves], edge)), left)


def _karma(tables: Tables, likes: list[Like], edge: datetime) -> int:
    """The followers of all complete users who liked it from the edge on; 1 where nobody's followers are known."""
    followers = [
        tables.follower_counts.get(like.user_id)
        for like in likes
        if like.created_at >= edge and like.user_id in tables.complete_users
    ]
    known = [count for count in followers if count is not None]
    return sum(known) if known else 1


def _by_playlist(likes: Iterable[Like]) -> dict[int, list[Like]]:
    found: dict[int, list[Like]] = {}
    for like in likes:
        if like.type == "playlist" and like.is_current and not like.is_delete:
            found.setdefault(like.item_id, []).append(like)
    return found
