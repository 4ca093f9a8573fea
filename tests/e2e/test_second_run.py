"""What later runs change, and what they leave alone."""

from __future__ import annotations

from typing import Any

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import audius_schedule

OTHERS = """
    INSERT INTO track_trending_scores
    SELECT track_id, type, genre, version, time_range, 17.25, TIMESTAMP '2020-02-02 02:02:02.020202'
    FROM (SELECT track_id, genre FROM tracks WHERE is_current ORDER BY track_id LIMIT 50) AS chosen
    CROSS JOIN (VALUES ('TRACKS', 'AnlGe'), ('UNDERGROUND_TRACKS', 'pnagD'), ('TRACKS', 'PNAGD')) AS of (type, version)
    CROSS JOIN unnest(ARRAY['week', 'month', 'allTime', 'year']) AS time_range
    UNION ALL
    SELECT track_id, 'TRACKS', genre, 'pnagD', 'year', 17.25, TIMESTAMP '2020-02-02 02:02:02.020202'
    FROM tracks WHERE is_current
"""

TRACK = """
    SELECT track_id FROM aggregate_plays JOIN track_trending_scores ON track_id = play_item_id
    WHERE type = 'TRACKS' AND version = 'pnagD' AND time_range = 'week' ORDER BY score DESC, track_id LIMIT 1
"""
# What changes as soon as a row does: its values, the transaction that wrote it, the place where it lies.
CHECKSUMS = """
    WITH rows AS (
        SELECT
            type = 'TRACKS' AND version = 'pnagD' AND time_range IN ('week', 'month', 'allTime') AS is_ranked,
            scores::text || xmin || ctid AS row
        FROM track_trending_scores AS scores
    )
    SELECT is_ranked, count(*), md5(string_agg(row, ';' ORDER BY row)) FROM rows GROUP BY is_ranked
"""


def test_a_run_changes_what_changed_and_nothing_else(namespace: Namespace, database: Database) -> None:
    """No row where nothing did; a deleted track's rows go; other slices stay as they are, byte for byte."""
    database.execute(OTHERS)
    _, others = checksums(database)
    namespace.create_secret(database.uri)
    namespace.apply(audius_schedule())
    first = namespace.until_run_ended("hourly")
    ranked, _ = checksums(database)
    count = first["lastRun"]["rowsChanged"]

    second = namespace.run_by_hand("hourly")["lastRun"]
    assert second["result"] == "Succeeded"
    assert second["rowsChanged"] == 0
    assert sums(second) == {"Inserted": 0, "Updated": 0, "Deleted": 0, "Unchanged": count}
    assert "no row had changed" in second["message"]
    assert checksums(database) == (ranked, others)

    track = database.value(TRACK)
    database.execute("UPDATE tracks SET is_delete = true WHERE track_id = %s", track)
    third = namespace.run_by_hand("hourly")
    assert sums(third["lastRun"]) == {"Inserted": 0, "Updated": 0, "Deleted": 3, "Unchanged": count - 3}
    assert "3 rows deleted" in third["lastRun"]["message"]
    assert {step["name"]: step["rowsDeleted"] for step in third["lastRun"]["steps"] if "rowsDeleted" in step} == {
        "tracks-pnagD": 2,
        "tracks-pnagD-all-time": 1,
    }
    assert sum(target["rows"] for target in third["targets"]) == count - 3
    left = "SELECT count(*) FROM track_trending_scores WHERE track_id = %s AND created_at > '2021-01-01'"
    assert database.value(left, track) == 0
    assert checksums(database)[1] == others

    events = namespace.events("hourly", "RunSucceeded", "RunFailed")
    assert [event["reason"] for event in events] == ["RunSucceeded"] * 3


def sums(last_run: dict[str, Any]) -> dict[str, int]:
    rewrites = [step for step in last_run["steps"] if step["action"] == "Rewrite"]
    words = ("Inserted", "Updated", "Deleted", "Unchanged")
    return {word: sum(step[f"rows{word}"] for step in rewrites) for word in words}


def checksums(database: Database) -> tuple[Any, Any]:
    """Return number and checksum of the schedule's own rows and of all others."""
    found = {is_ranked: (count, checksum) for is_ranked, count, checksum in database.rows(CHECKSUMS)}
    return found.get(True), found.get(False)
