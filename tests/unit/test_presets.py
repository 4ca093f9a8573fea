"""Presets by name: what they bring, and what is said of names that do not exist."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("name", "table", "type_", "version", "key"),
    [
        ("audius/tracks-pnagD", "track_trending_scores", "TRACKS", "pnagD", "track_id"),
        ("audius/tracks-AnlGe", "track_trending_scores", "TRACKS", "AnlGe", "track_id"),
        ("audius/underground-tracks-pnagD", "track_trending_scores", "UNDERGROUND_TRACKS", "pnagD", "track_id"),
        ("audius/playlists-pnagD", "playlist_trending_scores", "PLAYLISTS", "pnagD", "playlist_id"),
    ],
)
def test_each_preset_owns_the_rows_of_its_type_and_version(
    name: str, table: str, type_: str, version: str, key: str
) -> None:
    preset = load_preset(name, ["week", "month"])
    assert preset.table == table
    assert preset.slice == {"type": (type_,), "version": (version,), "time_range": ("week", "month")}
    assert preset.key == (key, "time_range")


def test_playlists_are_ranked_from_the_base_tables() -> None:
    preset = load_preset("audius/playlists-pnagD", ["week", "month", "year"])
    assert preset.reads == ()
    assert preset.inputs == ()
    assert preset.query_of_inputs == preset.query


def test_every_ranking_of_tracks_is_made_of_the_same_inputs() -> None:
    names = [name for name in known_presets() if "tracks" in name]
    assert len(names) == 3
    assert len({load_preset(name, ["week"]).inputs for name in names}) == 1
    assert len({load_preset(name, ["month"]).inputs for name in names}) == 1
    assert len({load_preset(name, ["allTime"]).inputs for name in names}) == 1
    [window] = load_preset(names[0], ["week", "month"]).inputs
    both = load_preset(names[0], ["week", "month", "allTime"]).inputs
    assert window in both
    assert len({each.name for each in both}) == 2


@pytest.mark.parametrize("name", [name for name in known_presets() if "tracks" in name])
def test_the_query_of_the_inputs_reads_temporary_tables_and_nothing_else(name: str) -> None:
    preset = load_preset(name, known_presets()[name])
    read = re.findall(r"\b(?:FROM|JOIN) (?!LATERAL)([\w.]+)", re.sub("--.*", "", preset.query_of_inputs))
    assert sorted(read) == sorted(f"pg_temp.{each.name}" for each in preset.inputs)


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
    names = "audius/playlists-pnagD, audius/tracks-AnlGe, audius/tracks-pnagD, audius/underground-tracks-pnagD"
    with pytest.raises(UnknownPreset, match=rf"^There is no preset 'audius/tracks'; the presets are: {names}\.$"):
        load_preset("audius/tracks", ["week"])


def test_an_unknown_time_range_is_told_with_the_ones_there_are() -> None:
    with pytest.raises(UnknownTimeRange, match=r"has no time range 'year'; it has: week, month, allTime\.$"):
        load_preset("audius/tracks-pnagD", ["week", "year"])
    with pytest.raises(UnknownTimeRange, match=r"has no time range 'allTime'; it has: week, month, year\.$"):
        load_preset("audius/playlists-pnagD", ["week", "allTime"])


def test_no_time_range_at_all_is_told_too() -> None:
    with pytest.raises(UnknownTimeRange, match="needs one or more of its time ranges: week, month, allTime"):
        load_preset("audius/tracks-pnagD", [])


def test_presets_can_be_read_without_a_database_driver() -> None:
    script = "import sys, trending.presets; sys.exit(any(name.startswith('psycopg') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], cwd=PACKAGE, check=False).returncode == 0
