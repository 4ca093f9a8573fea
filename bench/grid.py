"""The strategies over the grid 0, 2, 10, 60 % changed x plain, partitioned: `python -m bench.grid`.

The targets: Auto at most 1.15 times the best fixed strategy everywhere. On a plain table with 2 % changed an eighth of
the CPU time and a third of the WAL of DeleteInsert's first run after a load, a quarter and a half of its third, half
the CPU time of Upsert.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from bench.console import RESULTS, console, keep, say
from bench.server import admin_uri, bench_database
from trending.api.spec import Strategy
from trending.bench.campaign import STRATEGIES, Campaign
from trending.bench.measure import Measured
from trending.bench.plot import draw
from trending.bench.view import print_bout
from trending.bench.work import Bout, work
from trending.bench.yard import Kind, Size
from trending.runner.access import from_uri

KINDS: tuple[Kind, ...] = ("plain", "partitioned")


class Lines:
    """Tells what is done, with the time."""

    def says(self, text: str) -> None:
        say(text)

    def measured(self, result: Measured) -> None:
        cpu = "?" if result.cpu is None else f"{result.cpu:.2f}"
        say(f"  {result.ran}: {result.wall:.2f} s, CPU {cpu} s, WAL {result.wal / 1e6:.1f} MB")


def grid(kind: Kind, *, size: Size, campaign: Campaign) -> Bout:
    """Measure one kind of tables on a server of its own; print, draw and keep the result."""
    with bench_database() as database:
        uri = admin_uri(database)

        def connect() -> AbstractContextManager[psycopg.Connection[Any]]:
            return psycopg.connect(uri, autocommit=True)

        bout = work(
            campaign,
            size,
            access=from_uri(uri, origin="the bench's own server"),
            connect=connect,
            settings={},
            storing=False,
            listener=Lines(),
        )
    print_bout(console, bout)
    if bout.runs:
        keep(f"grid-{kind}", bout.to_json())
        draw(bout.findings, RESULTS / f"grid-{kind}.png", title=f"{size.rows:,} rows a slice, {size.slices} slices")
    for sentence in filter(None, (bout.ended, bout.note)):
        say(sentence)
    return bout


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000, help="of a slice (default 4,000,000)")
    parser.add_argument("--slices", type=int, default=3, help="of a table (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--shares", default="0,2,10,60", help="percentages that change (default 0,2,10,60)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of tables (default both)")
    parser.add_argument("--strategy", choices=STRATEGIES, action="append", help="default all")
    parser.add_argument("--once", choices=STRATEGIES, action="append", help="to measure at one share a round")
    parser.add_argument("--minutes", type=float, help="for each kind, after which no other share is begun")
    options = parser.parse_args(arguments)
    for kind in options.kind or KINDS:
        campaign = Campaign(
            kinds=[kind],
            strategies=_strategies(kind, options.strategy),
            shares=[float(share) / 100 for share in options.shares.split(",")],
            rounds=options.rounds,
            once=options.once or (),
            minutes=options.minutes,
        )
        bout = grid(kind, size=Size(rows=options.rows, slices=options.slices), campaign=campaign)
        if bout.was_interrupted:
            break


def _strategies(kind: Kind, wanted: Sequence[Strategy] | None) -> list[Strategy]:
    """By default a partitioned table is not rewritten with what only costs more there."""
    usual = [each for each in STRATEGIES if kind == "plain" or each not in ("DeleteInsert", "Upsert")]
    return [each for each in STRATEGIES if each in wanted] if wanted else usual


if __name__ == "__main__":
    main()
