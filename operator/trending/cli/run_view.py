"""What a person sees of a run: lines, or a live table on a terminal; tables at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trending.api.duration import format_duration
from trending.api.instant import format_precise
from trending.cli.run_lines import lines, rows, took
from trending.report import Report
from trending.runner.progress import Progress

if TYPE_CHECKING:  # a run in a pod draws nothing and need not wait for rich
    from rich.table import Table


@contextmanager
def live_progress() -> Iterator[Progress]:
    """Draw on standard error where that is a terminal; write lines to it otherwise."""
    if not sys.stderr.isatty():
        yield lines()
        return
    from rich.console import Console
    from rich.live import Live

    from trending.cli.live_table import LiveTable

    table = LiveTable()
    with Live(table, console=Console(stderr=True), refresh_per_second=8, transient=True):
        yield table


def print_report(report: Report) -> None:
    """Print what a run did as tables and a sentence on standard output."""
    from rich.console import Console

    # Text in colons is no name of an emoji: an address may have :a: in it.
    console = Console(emoji=False)
    console.print(_steps_table(report))
    for step in report.steps:
        if step.note and step.seconds is not None:
            console.print(f"[dim]{step.action.lower()} {_escaped(step.name)}: {_escaped(step.note)}[/]", soft_wrap=True)
    if report.targets:
        console.print(_targets_table(report))
    colour = "green" if report.result == "Succeeded" else "yellow" if report.result == "Superseded" else "red"
    took = format_duration(report.completion_time - report.start_time)
    console.print(f"[{colour}]{report.result}[/] in {took}: {_escaped(report.message)}", soft_wrap=True)


def _steps_table(report: Report) -> Table:
    from rich.table import Table

    table = Table("step", "how", "time", "rows", "WAL", box=None, pad_edge=False, header_style="bold")
    for step in report.steps:
        wal = "" if step.wal_bytes is None else f"{step.wal_bytes / 1e6:.1f} MB"
        name = f"{step.action.lower()} {_escaped(step.name)}"
        how = step.mode or step.strategy or ("" if step.seconds is not None else "not done")
        table.add_row(name, how, took(step), rows(step), wal)
    return table


def _targets_table(report: Report) -> Table:
    from rich.table import Table

    table = Table("target", "data of", "rows", box=None, pad_edge=False, header_style="bold")
    for target in report.targets:
        of = format_precise(target.data_timestamp) if target.data_timestamp else "never written"
        table.add_row(_escaped(target.name), of, "" if target.rows is None else f"{target.rows:,}")
    return table


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
