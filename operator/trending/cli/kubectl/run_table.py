"""Runs as a table, and their durations as a line of bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from rich.table import Table
from rich.text import Text

from trending.api.duration import format_duration
from trending.cli.kubectl.past_runs import PastRun
from trending.cli.kubectl.times import human_age, local_time

_BARS: Final = "▁▂▃▄▅▆▇█"
_STYLES: Final = {"Succeeded": "green", "Failed": "red", "DeadlineExceeded": "red"}
_UNITS: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def runs_table(runs: Sequence[PastRun], now: datetime, *, zone: tzinfo | None = None) -> Table:
    """Return a line a run: when it started, how long it took, what it changed, how it ended."""
    table = Table(
        *("STARTED", "TOOK", "ROWS", "WAL", "STRATEGY", "RESULT"), box=None, pad_edge=False, header_style="dim"
    )
    for column in table.columns:
        column.no_wrap = column.header != "RESULT"
        column.justify = "right" if column.header in ("TOOK", "ROWS", "WAL") else "left"
    for run in runs:
        table.add_row(*_cells(run, now, zone))
    return table


def _cells(run: PastRun, now: datetime, zone: tzinfo | None) -> tuple[Text, ...]:
    started = Text(local_time(run.start, now, zone) if run.start else "-")
    if run.trigger == "Manual":
        started.append(" by hand", "dim")
    if run.ended is None:
        so_far = human_age(now - run.start) if run.start else "-"
        return started, Text(so_far, "cyan"), *(Text("-", "dim"),) * 3, Text("running", "cyan")
    last = run.ended
    result = Text(last.result, _STYLES.get(last.result, "yellow"))
    if last.attempts and last.attempts > 1:
        result.append(f", {last.attempts} attempts", "dim")
    took = format_duration(run.duration) if run.duration is not None else "-"
    rows = "-" if last.rows_changed is None else f"{last.rows_changed:,}"
    wal = "-" if run.wal_bytes is None else format_bytes(run.wal_bytes)
    return started, Text(took), Text(rows), Text(wal), Text(last.strategies or "-"), result


def format_bytes(count: int) -> str:
    """Write a number of bytes for a person: `1.2 GB`."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def sparkline(runs: Sequence[PastRun]) -> Text:
    """Draw the durations of finished runs as bars, oldest first, in the colours of their results."""
    known = [(run, run.duration.total_seconds()) for run in reversed(runs) if run.duration is not None and run.ended]
    longest = max((seconds for _, seconds in known), default=0) or 1
    line = Text()
    for run, seconds in known:
        bar = _BARS[min(len(_BARS) - 1, int(seconds / longest * len(_BARS)))]
        line.append(bar, _STYLES.get(run.ended.result, "yellow") if run.ended else "")
    return line
