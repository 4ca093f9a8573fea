"""What a person sees of a run: log lines in a pod, a live table on a terminal, a table at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trending.api.duration import format_duration
from trending.api.instant import format_instant, format_precise
from trending.api.status import Step, StepAction
from trending.report import Report
from trending.runner.progress import Progress

if TYPE_CHECKING:  # a run in a pod draws nothing and need not wait for rich
    from rich.table import Table


class LogLines:
    """Tells each thing on a line of standard error."""

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        """Say what is to be done."""
        self.says("to do: " + ", ".join(f"{action.lower()} {name}" for action, name in work))

    def starts(self, action: StepAction, name: str) -> None:
        """Say what begins."""
        self.says(f"{action.lower()} {name}")

    def says(self, text: str) -> None:
        """Say it, with the time."""
        click.echo(f"{format_instant(datetime.now(UTC))} {text}", err=True)

    def ends(self, step: Step) -> None:
        """Say how it went."""
        words = [word for word in (step.mode, step.strategy, _took(step), rows(step), step.note) if word]
        self.says(f"{step.action.lower()} {step.name}: {', '.join(words)}")


class LiveTable:
    """Draws the steps on a terminal and redraws them while they go on."""

    def __init__(self) -> None:
        self._steps: dict[tuple[StepAction, str], Step | None] = {}
        self._begun: dict[tuple[StepAction, str], float] = {}
        self._said = ""
        self._lock = threading.Lock()  # the drawing thread reads what the run's writes

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        """Draw a line for each."""
        with self._lock:
            self._steps = dict.fromkeys(work)

    def starts(self, action: StepAction, name: str) -> None:
        """Let its clock run."""
        with self._lock:
            self._begun[action, name] = time.monotonic()

    def says(self, text: str) -> None:
        """Show it below."""
        with self._lock:
            self._said = text

    def ends(self, step: Step) -> None:
        """Show how it went."""
        with self._lock:
            self._steps[step.action, step.name] = step
            self._said = ""

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(box=None, show_header=False, pad_edge=False)
        with self._lock:
            for (action, name), step in self._steps.items():
                table.add_row(*self._line(action, name, step))
            if self._said:
                table.add_row("", "", "", f"[yellow]{_escaped(self._said)}[/]")
        return table

    def _line(self, action: StepAction, name: str, step: Step | None) -> tuple[str, str, str, str]:
        label = f"{action.lower()} {_escaped(name)}"
        if step and step.seconds is not None:
            return "[green]✓[/]", label, _took(step), rows(step)
        if step:
            return "[red]✗[/]", label, "", ""
        if (action, name) not in self._begun:
            return "[dim]·[/]", f"[dim]{label}[/]", "", ""
        return "[cyan]▸[/]", f"[bold]{label}[/]", f"{time.monotonic() - self._begun[action, name]:.1f} s", ""


@contextmanager
def live_progress() -> Iterator[Progress]:
    """Draw on standard error where that is a terminal; write lines to it otherwise."""
    if not sys.stderr.isatty():
        yield LogLines()
        return
    from rich.console import Console
    from rich.live import Live

    table = LiveTable()
    with Live(table, console=Console(stderr=True), refresh_per_second=8, transient=True):
        yield table


def print_report(report: Report) -> None:
    """Print what a run did as tables and a sentence on standard output."""
    from rich.console import Console

    console = Console()
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
        table.add_row(name, how, _took(step), rows(step), wal)
    return table


def _targets_table(report: Report) -> Table:
    from rich.table import Table

    table = Table("target", "data of", "rows", box=None, pad_edge=False, header_style="bold")
    for target in report.targets:
        of = format_precise(target.data_timestamp) if target.data_timestamp else "never written"
        table.add_row(_escaped(target.name), of, "" if target.rows is None else f"{target.rows:,}")
    return table


def rows(step: Step) -> str:
    """Say what changed: `+12 ~3 -4 =100`; empty where rows were not counted."""
    if step.rows_inserted is None:
        return ""
    return f"+{step.rows_inserted} ~{step.rows_updated} -{step.rows_deleted} ={step.rows_unchanged}"


def _took(step: Step) -> str:
    return "" if step.seconds is None else f"{step.seconds:.1f} s"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
