"""Small random contents for the Audius tables: near every case of the formulas, never near an edge in time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from tests.audius.model import month_before, week_before, year_before

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GENRES = ("Electronic", "Hip-Hop/Rap", "Lo-Fi", "Punk", None)

Rows = Iterator[tuple[Any, ...]]


def keeps_its_distance(moment: datetime, now: datetime) -> bool:
    """Whether every window and age sees `moment` the same, were it up to an hour earlier or later than `now`.

    A calendar month before a moment can jump at midnight at a month's end, so the midnights within are looked at too.
    """
    midnight = (now + HOUR).replace(hour=0, minute=0, second=0, microsecond=0)
    clocks = [now - HOUR, now, now + HOUR]
    if midnight > now - HOUR:
        clocks += [midnight, midnight - timedelta(microseconds=1)]
    return len({_seen_from(moment, clock) for clock in clocks}) == 1


def _seen_from(moment: datetime, clock: datetime) -> tuple[object, ...]:
    edges = (week_before(clock), month_before(clock), year_before(clock), clock - 30 * DAY, clock - 365 * DAY, clock)
    return (*(moment > edge for edge in edges), (clock - moment).days)


class _Generator:
    def __init__(self, seed: int, now: datetime) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.now = now

    def moment(self, *, newest: float = 0, oldest: float) -> datetime:
        """A moment between `newest` and `oldest` days ago; negative days are to come."""
        while True:
            days = newest + (oldest - newest) * self.random.random() ** 2
            moment = (self.now - days * DAY).replace(microsecond=0)
            if keeps_its_distance(moment, self.now):
                return moment

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability


def fill_with_random_rows(
    connection: psycopg.Connection[Any],
    *,
    seed: int,
    now: datetime,
    tracks: int = 150,
    users: int = 50,
    plays: int = 4000,
    playlists: int = 60,
) -> None:
    """Fill the empty tables of an Audius-shaped database.

    `now` is naive, in UTC, and what the clock will show when the data are used, give or take an hour.
    """
    make = _Generator(seed, now)
    _copy(connection, _of_tracks(make, tracks, users, plays))
    _copy(connection, _of_playlists(make, playlists, users))
    connection.commit()


def _copy(connection: psycopg.Connection[Any], tables: Mapping[str, Iterable[tuple[Any, ...]]]) -> None:
    for table, rows in tables.items():
        with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
            for row in rows:
                copy.write_row(row)


def _of_tracks(make: _Generator, tracks: int, users: int, plays: int) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "users": list(_users(make, users)),
        "aggregate_user": list(_followers(make, users)),
        "tracks": list(_tracks(make, tracks, users)),
        "plays": [
            (number, make.random.randint(1, users), _popular(make, tracks), make.moment(oldest=60))
            for number in range(plays)
        ],
        # Totals are kept by other parts of such a system: they need not agree with the rows they count.
        "aggregate_plays": [
            (track, make.random.randint(0, 10**6)) for track in range(1, tracks + 1) if make.chance(0.8)
        ],
        "aggregate_track": [
            (track, make.random.randint(0, 500), make.random.randint(0, 500))
            for track in range(1, tracks + 1)
            if make.chance(0.8)
        ],
        "reposts": list(_likes(make, tracks, users, 10 * tracks)),
        "saves": list(_likes(make, tracks, users, 10 * tracks)),
    }


def _of_playlists(make: _Generator, playlists: int, users: int) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "playlists": list(_playlists(make, playlists, users)),
        "aggregate_playlist": [
            (playlist, make.random.randint(0, 500), make.random.randint(0, 500))
            for playlist in range(1, playlists + 1)
            if make.chance(0.8)
        ],
        "reposts": list(_likes(make, playlists, users, 5 * playlists, kinds=[0, 4, 1])),
        "saves": list(_likes(make, playlists, users, 5 * playlists, kinds=[0, 4, 1])),
    }


def _popular(make: _Generator, count: int) -> int:
    """A number from 1 to `count`, small ones much oftener, as tracks are played; the last tenth never."""
    return int((count * 0.9) ** make.random.random())


def _users(make: _Generator, users: int) -> Rows:
    for user in range(1, users + 1):
        profile = [None if make.chance(0.3) else f"a{user}" for _ in range(5)]
        yield (user, True, f"user {user}", *profile, make.moment(oldest=900))
        if make.chance(0.2):
            yield (user, False, f"user {user}", *[None] * 5, make.moment(oldest=900))


def _followers(make: _Generator, users: int) -> Rows:
    for user in range(1, users + 1):
        followers = make.random.choice([0, 1, 2, 3, 4, make.random.randint(5, 1000), 40_000_000, None])
        if make.chance(0.85):
            yield (user, followers, make.random.randint(0, 100))


def _tracks(make: _Generator, tracks: int, users: int) -> Rows:
    for track in range(1, tracks + 1):
        created = make.moment(oldest=make.random.choice([3, 12, 70, 500]))
        released = make.random.choice([None, created, make.moment(oldest=40), make.moment(newest=-1, oldest=-30)])
        stem = json.dumps({"parent_track_id": 1}) if make.chance(0.05) else None
        state = (make.chance(0.05), make.chance(0.05))
        row = (track, make.random.randint(1, users), f"track {track}", make.random.choice(GENRES), created, released)
        yield (*row, make.chance(0.97), *state, stem)
        if make.chance(0.2):  # what it was before an edit
            yield (*row[:3], "Former", *row[4:], False, False, False, None)


def _playlists(make: _Generator, playlists: int, users: int) -> Rows:
    for playlist in range(1, playlists + 1):
        created = make.moment(oldest=make.random.choice([3, 12, 70, 900]))
        released = make.random.choice([None, created, make.moment(oldest=40), make.moment(newest=-1, oldest=-30)])
        tracks = [{"track": track} for track in range(make.random.choice([0, 2, 3, 3, 4, 30]))]
        contents = make.random.choices([{"track_ids": tracks}, {}, {"track_ids": None}, [1, 2, 3]], [12, 1, 1, 1])[0]
        row = (playlist, make.random.randint(1, users), f"playlist {playlist}", make.chance(0.2), make.chance(0.1))
        yield (*row, make.chance(0.95), make.chance(0.05), created, released, json.dumps(contents))
        if make.chance(0.2):  # what it was before an edit
            yield (*row, False, False, created, released, json.dumps({"track_ids": [1, 2, 3]}))


def _likes(make: _Generator, items: int, users: int, count: int, kinds: Sequence[int] = (8, 1, 1)) -> Rows:
    for _ in range(count):
        kind = make.random.choices(["track", "playlist", "album"], kinds)[0]
        created = make.moment(oldest=make.random.choice([10, 45, 500]))
        yield (
            make.random.randint(1, users),
            _popular(make, items),
            kind,
            created,
            make.chance(0.95),
            make.chance(0.1),
        )
