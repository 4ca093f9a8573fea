"""The runner's memory at any size of the slice: `python -m bench.memory`.

The target: 100 MiB. No row comes through Python. Measured as the peak resident set of `trending run`, as the kernel
counts it when the process has ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml
from rich.table import Table

from bench.console import console, keep, say
from bench.server import admin_uri, bench_database
from tests.postgres.server import Database
from trending.api.spec import Strategy
from trending.bench.machine import look_around
from trending.bench.yard import SLICE, Kind, Size, Yard
from trending.runner.migrate import migrate

MOST: Final = 100.0
"""MiB."""
_LAUNCHER: Final = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Small itself: to the kernel the peak of a process begins with the memory of the one that started it."""
SIZES: Final = (10_000, 400_000, 4_000_000)
PLACES: tuple[tuple[Kind, Strategy], ...] = (
    ("plain", "Merge"),
    ("plain", "DeleteInsert"),
    ("partitioned", "Swap"),
    ("partitioned", "Auto"),
)


def memory(sizes: Sequence[int], places: Sequence[tuple[Kind, Strategy]]) -> dict[str, Any]:
    """Measure it on a server of its own."""
    found: list[dict[str, Any]] = []
    with bench_database() as database, psycopg.connect(admin_uri(database), autocommit=True) as connection:
        migrate(connection, say=say)
        machine = look_around(connection)
        for rows in sizes:
            yard = Yard(connection, Size(rows=rows, slices=1))
            yard.lay_out()
            for kind, strategy in places:
                say(f"{rows:,} rows, {kind}: {strategy}")
                yard.build(kind, strategy)
                yard.move_on(0.3)
                changed, mib = _run(database, yard, kind, strategy)
                found.append({"rows": rows, "kind": kind, "strategy": strategy, "changed": changed, "mib": mib})
                yard.remove(kind, strategy)
            yard.drop(connection)
    _print(found)
    return {"machine": machine.to_json(), "runs": found}


def _run(database: Database, yard: Yard, kind: Kind, strategy: Strategy) -> tuple[int, float]:
    """Do a run in a process of its own; return the rows that changed and the peak of its resident set in MiB."""
    target = {"name": "bench", "table": yard.table(kind, strategy), "slice": SLICE, "query": yard.query}
    schedule = {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": "bench", "namespace": "bench"},
        "spec": {
            "schedule": "@hourly",
            "database": {"secretKeyRef": {"name": "bench", "key": "uri"}, "settings": {"work_mem": "256MB"}},
            "rewrite": [{**target, "strategy": strategy}],
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "schedule.yaml")
        file.write_text(yaml.safe_dump(schedule), encoding="utf-8")
        command = [sys.executable, "-m", "trending", "run", "-f", str(file), "-o", "json"]
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, *command],
            env={**os.environ, "TRENDING_DATABASE_URI": admin_uri(database)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the run failed: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)["rowsChanged"], round(int(done.stderr.split()[-1]) / 1024, 1)


def _print(found: Sequence[dict[str, Any]]) -> None:
    table = Table("table", "strategy", title="Peak memory of the runner", title_justify="left", box=None)
    for heading in ("rows", "changed", "MiB"):
        table.add_column(heading, justify="right")
    for each in found:
        colour = "green" if each["mib"] <= MOST else "red"
        row = (f"{each['rows']:,}", f"{each['changed']:,}", f"[{colour}]{each['mib']}[/]")
        table.add_row(each["kind"], each["strategy"], *row)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help=f"of the slice (default {SIZES})")
    strategies = sorted({strategy for _, strategy in PLACES})
    parser.add_argument("--strategy", choices=strategies, action="append", help="default all of these")
    options = parser.parse_args(arguments)
    places = [place for place in PLACES if place[1] in (options.strategy or strategies)]
    keep("memory", memory(options.rows or SIZES, places))


if __name__ == "__main__":
    main()
