"""Manifests of the schedules that the tests apply."""

from __future__ import annotations

from typing import Any, Final

from trending.api.names import API_VERSION, KIND

NEVER: Final = "0 0 29 2 *"
"""A slot that no test meets: runs come by `immediate` or by hand."""
SECRET: Final = "db"
SCORES_TABLE: Final = "track_trending_scores"
GATE: Final = 7
"""The key of the advisory lock that a gated query waits for."""
_GATED: Final = """
    WITH opened AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(GATE))
    SELECT 'a' AS item, SCORE AS score FROM opened
"""


def schedule(*rewrite: dict[str, Any], name: str = "scores", **spec: Any) -> dict[str, Any]:
    """Return a schedule whose first run is due at once; `spec` adds fields or replaces them."""
    usual = {"schedule": NEVER, "immediate": True, "database": {"secretKeyRef": {"name": SECRET, "key": "uri"}}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {**usual, "rewrite": list(rewrite), **spec},
    }


def audius_schedule(name: str = "hourly", **spec: Any) -> dict[str, Any]:
    """Return the schedule of a music service: both views, the week and the month, and all time."""
    targets = (
        preset_target("tracks-pnagD", "week", "month"),
        preset_target("tracks-pnagD-all-time", "allTime"),
    )
    views = [{"materializedView": "aggregate_interval_plays"}, {"materializedView": "trending_params"}]
    return schedule(*targets, name=name, refresh=views, **spec)


def preset_target(name: str, *time_ranges: str) -> dict[str, Any]:
    """Return a target of the preset audius/tracks-pnagD."""
    return {"name": name, "preset": {"name": "audius/tracks-pnagD", "timeRanges": list(time_ranges)}}


def query_target(query: str = "SELECT 'a' AS item, 1 AS score", *, board: str = "main") -> dict[str, Any]:
    """Return a target of the table `ranking`, named after the board that is its slice."""
    return {"name": board, "table": "ranking", "slice": {"board": [board]}, "query": query, "stamp": "computed_at"}


def gated_target(*, board: str = "main", gate: int = GATE, score: float = 1) -> dict[str, Any]:
    """Return a target whose query ends only when nobody holds the gate (see `Database.gate`)."""
    query = _GATED.replace("GATE", str(gate)).replace("SCORE", str(score))
    return query_target(query, board=board)
