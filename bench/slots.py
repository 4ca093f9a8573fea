"""How long a step to the next slot takes, and how long the gaps between slots: `python -m bench.slots`.

The targets: 100 us a step on average over the instants of tests/vectors, most of which lie near a change of daylight
saving; 5 ms for the gaps of any expression. The controller computes these on its event loop, for each schedule that was
made at another minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

from rich.table import Table

from bench.console import console, keep
from trending.schedule.gaps import gaps
from trending.schedule.slots import Slots, slots_of

MOST: Final = 100.0
"""Microseconds a step, on average."""
INSTANTS: Final = Path(__file__).parents[1] / "tests" / "vectors" / "instants.txt"
TYPICAL: Final = (
    ("0 * * * *", "Etc/UTC"),
    ("*/15 8-18 * * MON-FRI", "Europe/Berlin"),
    ("30 2 * * *", "Australia/Lord_Howe"),
    ("0 0 13 * FRI", "America/New_York"),
    ("0 0 1 1 *", "Europe/Berlin"),
)
STEPS: Final = 250
START: Final = datetime(2026, 11, 24, tzinfo=UTC)
MOST_GAPS: Final = 5.0
"""Milliseconds for the gaps of a schedule, for the slowest expression."""
DENSE: Final = (("* * * * *", "Etc/UTC"), ("* * * * *", "Europe/Berlin"), ("*/5 * * * *", "Etc/UTC"))
SCHEDULES: Final = 50
APART: Final = timedelta(minutes=17)


def slots(rounds: int) -> dict[str, Any]:
    """Measure steps and gaps, each kind of expression in alternation."""
    kinds = {f"{expression} ({zone})": [_walk(expression, zone)] for expression, zone in TYPICAL}
    kinds["tests/vectors"] = list(_vectors())
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, walks in kinds.items():
            times[name].append(_microseconds(walks))
    found = _table("Microseconds a step", times)
    mean = fmean(times["tests/vectors"])
    console.print(f"tests/vectors: {mean:.0f} us a step on average, {_verdict(mean, MOST)} {MOST:.0f} us")
    apart = _table("Milliseconds for the gaps", _gaps(rounds))
    slowest = max(figures["median"] for figures in apart.values())
    console.print(f"the slowest: {slowest:.1f} ms, {_verdict(slowest, MOST_GAPS)} {MOST_GAPS:.0f} ms")
    return {
        "python": sys.version,
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "steps": found,
        "mean": mean,
        "gaps": apart,
    }


def _table(title: str, times: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Print and return the median, the least and the most of each."""
    found = {name: {"median": median(each), "least": min(each), "most": max(each)} for name, each in times.items()}
    table = Table("expression", title=title, title_justify="left", box=None)
    for heading in ("median", "least", "most"):
        table.add_column(heading, justify="right")
    for name, figures in found.items():
        table.add_row(name, *(f"{figure:.1f}" for figure in figures.values()))
    console.print(table)
    return found


def _verdict(figure: float, most: float) -> str:
    return "within" if figure <= most else "over"


def _gaps(rounds: int) -> dict[str, list[float]]:
    """Return how long gaps() takes for schedules none of which was made at the same minute as another, in ms each."""
    times: dict[str, list[float]] = {}
    for number in range(rounds):
        for expression, zone in (*DENSE, *TYPICAL):
            begun = time.process_time()
            for schedule in range(number * SCHEDULES, (number + 1) * SCHEDULES):
                gaps(expression, zone, START + schedule * APART)
            took = (time.process_time() - begun) / SCHEDULES * 1e3
            times.setdefault(f"{expression} ({zone})", []).append(took)
    return times


Walk = tuple[Slots, datetime, int]
"""Slots, where to begin, and how many steps to go."""


def _walk(expression: str, zone: str) -> Walk:
    return slots_of(expression, zone, base=START), START, STEPS


def _vectors() -> Iterator[Walk]:
    for line in INSTANTS.read_text(encoding="utf-8").splitlines():
        expression, zone, after, answers = line.split("|")
        start = datetime.fromtimestamp(int(after), UTC)
        if answers.split()[-1].isdigit():
            yield slots_of(expression, zone, base=start), start, len(answers.split())


def _microseconds(walks: Sequence[Walk]) -> float:
    count, begun = 0, time.process_time()
    for slots_, start, steps in walks:
        at = start
        for _ in range(steps):
            following = slots_.next(at)
            if following is None:
                break
            at = following
            count += 1
    return (time.process_time() - begun) / count * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    keep("slots", slots(parser.parse_args(arguments).rounds))


if __name__ == "__main__":
    main()
