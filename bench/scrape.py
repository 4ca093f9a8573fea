"""What a scrape of many schedules costs the controller: `python -m bench.scrape`.

Beside it, as the rival, the same metrics as the client library renders them. There is no target but that of the
controller's memory: 150 MiB with 1,000 schedules, 350 MiB with 10,000, and these must hold while it is asked.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from prometheus_client import generate_latest
from rich.table import Table

from bench.console import console, keep
from trending.controller.metrics import Metrics
from trending.controller.store import Store

_SPEC = {
    "schedule": "0 * * * *",
    "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
    "rewrite": [{"name": "week", "table": "hot", "slice": {"board": ["week"]}, "query": "SELECT 1 AS id"}],
}
_MEBIBYTE = 1024


def scrape(schedules: int, rounds: int) -> dict[str, Any]:
    """Measure both ways in alternation, the quick one first, since peak memory never goes down again."""
    metrics = Metrics(_store(schedules), decides=lambda: True)
    ways: dict[str, Callable[[], Iterator[bytes]]] = {
        "ours": lambda: (part.encode() for part in metrics.text()),
        "the client library's": lambda: iter([generate_latest(metrics.registry)]),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, way in ways.items():
        before = _peak()
        size, compressed, seconds = _measure(way)
        found[name] = {"bytes": size, "gzip": compressed, "seconds": [seconds], "memory": _peak() - before}
    for _ in range(rounds - 1):
        for name, way in ways.items():
            found[name]["seconds"].append(_measure(way)[2])
    return found


def _store(schedules: int) -> Store:
    store = Store(changed=lambda _: None)
    for number in range(schedules):
        metadata = {
            "namespace": f"team-{number % 50}",
            "name": f"hourly-{number}",
            "uid": f"u{number}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-23T08:30:00Z",
        }
        store.put_schedule({"metadata": metadata, "spec": _SPEC})
    return store


def _measure(way: Callable[[], Iterator[bytes]]) -> tuple[int, int, float]:
    """Return the bytes of an answer, those after gzip, and the CPU time of both."""
    begun = time.process_time()
    compressor, size, compressed = zlib.compressobj(1, zlib.DEFLATED, 31), 0, 0
    for piece in way():
        size += len(piece)
        compressed += len(compressor.compress(piece))
    compressed += len(compressor.flush())
    return size, compressed, time.process_time() - begun


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _MEBIBYTE


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scrape", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many there are (default 10000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    given = parser.parse_args(arguments)
    found = scrape(given.schedules, given.rounds)
    table = Table("rendered by", title=f"A scrape of {given.schedules} schedules", title_justify="left", box=None)
    for heading in ("MB", "MB gzip", "CPU s, median", "least", "most", "MiB more at the peak"):
        table.add_column(heading, justify="right")
    for name, each in found.items():
        seconds = each["seconds"]
        figures = (each["bytes"] / 1e6, each["gzip"] / 1e6, median(seconds), min(seconds), max(seconds))
        table.add_row(name, *(f"{figure:.2f}" for figure in figures), str(each["memory"]))
    console.print(table)
    keep("scrape", {"python": sys.version, "load": os.getloadavg()[0], "schedules": given.schedules, "found": found})


if __name__ == "__main__":
    main()
