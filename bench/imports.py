"""How long a run's process takes before it does anything: `python -m bench.imports`.

The target: 500 ms to import the runner; psycopg and pydantic alone are most of it. The CPU time is told beside it: on a
machine with other work the time is mostly waiting.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from rich.table import Table

from bench.console import console, keep

MOST: Final = 0.5
"""Seconds, less those of an empty program."""
PROGRAMS: Final = {
    "an empty program": "pass",
    "psycopg and pydantic": "import psycopg, pydantic",
    "the runner": "import trending.cli.run",
}

_COMPILED: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As in the image, where all modules are compiled ahead."""


def imports(rounds: int) -> dict[str, Any]:
    """Measure all programs in alternation, the files warm."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    cpus: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for round_ in range(rounds + 1):
        for name, program in PROGRAMS.items():
            begun, used = time.perf_counter(), _cpu_of_children()
            subprocess.run([sys.executable, "-c", program], check=True, env=_COMPILED)
            if round_:  # the first one warms up
                times[name].append(time.perf_counter() - begun)
                cpus[name].append(_cpu_of_children() - used)
    found = {
        name: {"median": median(each), "least": min(each), "most": max(each), "cpu": median(cpus[name])}
        for name, each in times.items()
    }
    table = Table("program", title="Seconds to start and import", title_justify="left", box=None)
    for heading in ("median", "least", "most", "CPU, median"):
        table.add_column(heading, justify="right")
    for name, figures in found.items():
        table.add_row(name, *(f"{figure:.3f}" for figure in figures.values()))
    console.print(table)
    extra = median(times["the runner"]) - median(times["an empty program"])
    cpu = found["the runner"]["cpu"] - found["an empty program"]["cpu"]
    verdict = "within" if extra <= MOST else "over"
    console.print(
        f"the runner's imports: {extra * 1000:.0f} ms, {verdict} {MOST:.1f} s; {cpu * 1000:.0f} ms of CPU time"
    )
    return {
        "python": sys.version,
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "programs": found,
        "imports": extra,
        "importsCpu": cpu,
    }


def _cpu_of_children() -> float:
    """Return the seconds of CPU time, user and system, of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="default 9")
    keep("imports", imports(parser.parse_args(arguments).rounds))


if __name__ == "__main__":
    main()
