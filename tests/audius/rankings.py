"""The presets' rankings by name, as the model has them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tests.audius.model import TIME_RANGES, Scores, Tables, expected_scores
from tests.audius.playlists import PLAYLIST_TIME_RANGES, expected_playlist_scores

TIME_RANGES_OF = {
    "audius/tracks-pnagD": TIME_RANGES,
    "audius/tracks-AnlGe": TIME_RANGES,
    "audius/underground-tracks-pnagD": TIME_RANGES,
    "audius/playlists-pnagD": PLAYLIST_TIME_RANGES,
}


def expected_of_preset(
    preset: str, tables: Tables, now: datetime, time_ranges: Collection[str], *, persist: str = "all"
) -> Scores:
    """Genre and score of each row of the preset, by (id, time_range), as of `now` (naive, UTC)."""
    if preset == "audius/playlists-pnagD":
        scores = expected_playlist_scores(tables, now, time_ranges)
    else:
        scores = expected_scores(tables, now, time_ranges, version=preset.rpartition("-")[2])
    return {key: value for key, value in scores.items() if persist == "all" or value[1] > 0}
