"""Audius trending: the strategies' constants as data, the queries as SQL beside this file.

The formulas are those of the public AudiusProject/api repository, which names the constants N, F, O, r, i, q and y.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a version of the ranking weighs what listeners do. Numbers are SQL numeric literals: exact, never floats."""

    version: str
    mult: str  # SQL over `params`, a row of the view trending_params: what karma does to a score
    listen: str = "1"  # N, a play
    window_repost: str = "50"  # F, a repost within the time range
    window_save: str = "1"  # O, a save within the time range
    repost: str = "0.25"  # r, a repost at any time
    save: str = "0.01"  # i, a save at any time
    decay: str = "100000.0"  # q, by which the score falls from one length of the time range to two; no further
    min_followers: str = "3"  # y, with fewer of which an owner's tracks score zero


@dataclass(frozen=True, kw_only=True)
class Source:
    """A .sql file that computes one or more time ranges, and the materialized views it reads."""

    stem: str
    reads: tuple[str, ...]

    def text(self, strategy: Strategy, time_ranges: Iterable[str]) -> str:
        """The query for these time ranges with the strategy's constants; only words of this module ever enter it."""
        template = Template((files(__name__) / f"{self.stem}.sql").read_text(encoding="utf-8").strip())
        constants = {name: value for name, value in vars(strategy).items() if name != "version"}
        return template.substitute(constants, time_ranges=", ".join(f"'{time_range}'" for time_range in time_ranges))


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

    def query(self, time_ranges: Iterable[str]) -> str:
        """One statement for these time ranges; `:now` in it stands for a timestamptz."""
        covered: dict[str, list[str]] = {}
        for time_range in time_ranges:
            covered.setdefault(self.sources[time_range].stem, []).append(time_range)
        parts = [self.sources[ranges[0]].text(self.strategy, ranges) for ranges in covered.values()]
        return "\nUNION ALL\n".join(parts)


PNAGD = Strategy(version="pnagD", mult="params.karma")

TRACKS_WINDOW = Source(stem="tracks-window", reads=("aggregate_interval_plays", "trending_params"))
TRACKS_ALL_TIME = Source(stem="tracks-all-time", reads=("trending_params",))

RANKINGS = (
    Ranking(
        name="audius/tracks-pnagD",
        type="TRACKS",
        strategy=PNAGD,
        table="track_trending_scores",
        primary_key=("track_id", "type", "version", "time_range"),
        stamp="created_at",
        sources={"week": TRACKS_WINDOW, "month": TRACKS_WINDOW, "allTime": TRACKS_ALL_TIME},
    ),
)
