"""Audius trending: the strategies' constants as data, the queries as SQL beside this file.

The formulas are those of the public AudiusProject/api repository, which names the constants N, F, O, r, i, q and y.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a version of the ranking weighs what listeners do. Numbers are SQL numeric literals: exact, never floats."""

    version: str
    mult: str  # SQL over `input`, a row of a query's input: what karma does to a score
    listen: str = "1"  # N, a play
    window_repost: str = "50"  # F, a repost within the time range
    window_save: str = "1"  # O, a save within the time range
    repost: str = "0.25"  # r, a repost at any time
    save: str = "0.01"  # i, a save at any time
    decay: str = "100000.0"  # q, by which the score falls from one length of the time range to two; no further
    min_followers: str = "3"  # y, with fewer of which an owner's tracks and playlists score zero


@dataclass(frozen=True, kw_only=True)
class Input:
    """A query whose rows several rankings' scores are made of; its name is the same only where its text is."""

    name: str
    query: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A .sql file that computes one or more time ranges, and the materialized views it reads."""

    stem: str
    reads: tuple[str, ...] = ()
    input_stem: str | None = None  # the .sql file of what it computes them from; by default the base tables

    def text(self, strategy: Strategy, time_ranges: Iterable[str], *, schema: str = "") -> str:
        """The query for these time ranges with the strategy's constants, its input being a relation of this schema."""
        ranges = ", ".join(f"'{time_range}'" for time_range in time_ranges)
        input_ = self.input(strategy)
        relation = f"{schema}{input_.name}" if input_ else ""
        decayed_score = _text("decayed-score", strategy)
        return _text(self.stem, strategy, time_ranges=ranges, input=relation, decayed_score=decayed_score)

    def input(self, strategy: Strategy) -> Input | None:
        """The query's input, where it has one."""
        if self.input_stem is None:
            return None
        query = _text(self.input_stem, strategy)
        digest = sha256(query.encode()).hexdigest()[:8]
        return Input(name=f"trending_{self.input_stem.replace('-', '_')}_{digest}", query=query)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One type of ranking in one version: the table its scores go to and what computes each time range."""

    name: str
    type: str
    strategy: Strategy
    table: str
    primary_key: tuple[str, ...]
    stamp: str
    sources: Mapping[str, Source]  # by time range

    def inputs(self, time_ranges: Iterable[str]) -> tuple[Input, ...]:
        """The inputs from which these time ranges are computed."""
        found = (source.input(self.strategy) for source in self._sources(time_ranges))
        return tuple(input_ for input_ in found if input_)

    def query(self, time_ranges: Iterable[str], *, schema: str = "") -> str:
        """One statement for these time ranges over their inputs, which are relations of this schema.

        `:now` in it stands for a timestamptz.
        """
        parts = [
            source.text(self.strategy, ranges, schema=schema) for source, ranges in self._sources(time_ranges).items()
        ]
        return "\nUNION ALL\n".join(parts)

    def _sources(self, time_ranges: Iterable[str]) -> dict[Source, list[str]]:
        covered: dict[Source, list[str]] = {}
        for time_range in time_ranges:
            covered.setdefault(self.sources[time_range], []).append(time_range)
        return covered


def _text(stem: str, strategy: Strategy, **words: str) -> str:
    """A .sql file with the strategy's constants in it; only words of this module ever enter it."""
    return Template(_read(stem)).substitute(vars(strategy), **words)


@cache
def _read(stem: str) -> str:
    return (files(__name__) / f"{stem}.sql").read_text(encoding="utf-8").strip()


PNAGD: Final = Strategy(version="pnagD", mult="input.karma")
# A logarithm has as many decimals as what it is taken of: 24, so that a float8 shows nothing of its being cut off.
ANLGE: Final = Strategy(version="AnlGe", mult=f"(1 + log(1.{'0' * 24} + input.karma))")

_VIEWS: Final = ("aggregate_interval_plays", "trending_params")
TRACKS_WINDOW: Final = Source(stem="tracks-window", input_stem="tracks-window-input", reads=_VIEWS)
TRACKS_ALL_TIME: Final = Source(stem="tracks-all-time", input_stem="tracks-all-time-input", reads=("trending_params",))
PLAYLISTS: Final = Source(stem="playlists")


def _of_tracks(name: str, type_: str, strategy: Strategy) -> Ranking:
    return Ranking(
        name=name,
        type=type_,
        strategy=strategy,
        table="track_trending_scores",
        primary_key=("track_id", "type", "version", "time_range"),
        stamp="created_at",
        sources={"week": TRACKS_WINDOW, "month": TRACKS_WINDOW, "allTime": TRACKS_ALL_TIME},
    )


RANKINGS: Final = (
    _of_tracks("audius/tracks-pnagD", "TRACKS", PNAGD),
    _of_tracks("audius/tracks-AnlGe", "TRACKS", ANLGE),
    _of_tracks("audius/underground-tracks-pnagD", "UNDERGROUND_TRACKS", PNAGD),
    Ranking(
        name="audius/playlists-pnagD",
        type="PLAYLISTS",
        strategy=PNAGD,
        table="playlist_trending_scores",
        primary_key=("playlist_id", "type", "version", "time_range"),
        stamp="created_at",
        sources={"week": PLAYLISTS, "month": PLAYLISTS, "year": PLAYLISTS},
    ),
)
