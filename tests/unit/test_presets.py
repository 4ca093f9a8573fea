"""Presets by name: what they bring, and what is said of names that do not exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trending.presets import UnknownPreset, UnknownTimeRange, known_presets, load_preset

PACKAGE = Path(__file__).parents[2] / "operator"


def test_the_tracks_preset_brings_table_slice_key_and_stamp() -> None:
    preset = load_preset("audius/tracks-pnagD", ["week", "month"])
    assert preset.table == "track_trending_scores"
    assert preset.slice == {"type": ("TRACKS",), "version": ("pnagD",), "time_range": ("week", "month")}
    assert preset.key == ("track_id", "time_range")
    assert preset.stamp == "created_at"
    assert preset.reads == ("aggregate_interval_plays", "trending_params")


def test_a_single_time_range_is_no_part_of_the_key() -> None:
    preset = load_preset("audius/tracks-pnagD", ["allTime"])
    assert preset.key == ("track_id",)
    assert preset.reads == ("trending_params",)


def test_a_repeated_time_range_counts_once() -> None:
    assert load_preset("audius/tracks-pnagD", ["week", "week"]) == load_preset("audius/tracks-pnagD", ["week"])


@pytest.mark.parametrize("name", known_presets())
def test_every_preset_is_one_statement_with_the_data_timestamp_as_its_only_parameter(name: str) -> None:
    query = load_preset(name, known_presets()[name]).query
    assert ";" not in query
    assert "$" not in query
    assert "%" not in query
    assert ":now" in query


def test_an_unknown_preset_is_told_with_the_ones_there_are() -> None:
    with pytest.raises(
        UnknownPreset, match=r"^There is no preset 'audius/tracks'; the presets are: audius/tracks-pnagD\.$"
    ):
        load_preset("audius/tracks", ["week"])


def test_an_unknown_time_range_is_told_with_the_ones_there_are() -> None:
    with pytest.raises(UnknownTimeRange, match=r"has no time range 'year'; it has: week, month, allTime\.$"):
        load_preset("audius/tracks-pnagD", ["week", "year"])


def test_no_time_range_at_all_is_told_too() -> None:
    with pytest.raises(UnknownTimeRange, match="needs one or more of its time ranges: week, month, allTime"):
        load_preset("audius/tracks-pnagD", [])


def test_presets_can_be_read_without_a_database_driver() -> None:
    script = "import sys, trending.presets; sys.exit(any(name.startswith('psycopg') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], cwd=PACKAGE, check=False).returncode == 0
