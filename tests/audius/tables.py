"""The base tables of an Audius-shaped database, read raw for the model."""

from __future__ import annotations

from typing import Any, cast

import psycopg

from tests.audius.model import Like, Playlist, Tables, Track

_TRACKS = """
SELECT track_id, owner_id, genre, created_at, release_date, is_current, is_delete, is_unlisted, stem_of IS NOT NULL
FROM tracks
"""
_COMPLETE_USERS = """
SELECT user_id, cover_photo, cover_photo_sizes, profile_picture, profile_picture_sizes, bio FROM users WHERE is_current
"""
_REPOSTS = "SELECT user_id, repost_item_id, repost_type::text, created_at, is_current, is_delete FROM reposts"
_PLAYLISTS = """
SELECT playlist_id, playlist_owner_id, is_private, is_current, is_delete, created_at, release_date, playlist_contents
FROM playlists
"""
_SAVES = "SELECT user_id, save_item_id, save_type::text, created_at, is_current, is_delete FROM saves"


def read_tables(connection: psycopg.Connection[Any]) -> Tables:
    """All rows of the base tables; a million plays take some 200 MB and a few seconds."""

    def rows(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    return Tables(
        tracks=[Track(*row) for row in rows(_TRACKS)],
        plays=rows("SELECT play_item_id, created_at FROM plays"),
        reposts=[Like(*row) for row in rows(_REPOSTS)],
        saves=[Like(*row) for row in rows(_SAVES)],
        complete_users={
            cast("int", user_id)
            for user_id, cover, covers, picture, pictures, bio in rows(_COMPLETE_USERS)
            if (cover, covers) != (None, None) and (picture, pictures) != (None, None) and bio is not None
        },
        follower_counts=dict(rows("SELECT user_id, follower_count FROM aggregate_user")),
        play_counts=dict(rows("SELECT play_item_id, count FROM aggregate_plays")),
        totals={
            track_id: (reposts, saves)
            for track_id, reposts, saves in rows("SELECT track_id, repost_count, save_count FROM aggregate_track")
        },
        playlists=[Playlist(*row) for row in rows(_PLAYLISTS)],
        playlist_totals={
            playlist_id: (reposts, saves)
            for playlist_id, reposts, saves in rows(
                "SELECT playlist_id, repost_count, save_count FROM aggregate_playlist"
            )
        },
    )
