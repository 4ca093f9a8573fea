"""How the log of a run's pod is shown: as it is, as sentences, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import click
from pydantic import ValidationError

from trending.api.status import StepAction
from trending.cli.run_lines import LogLines
from trending.report import Report
from trending.report.event import RunEvent, read_event
from trending.runner.progress import Advance

if TYPE_CHECKING:
    from rich.console import Console

    from trending.cli.live_table import LiveTable


class LogView(Protocol):
    """Who is shown a log, line by line."""

    def line(self, text: str) -> None:
        """Show a line of the log."""
        ...

    def remark(self, text: str) -> None:
        """Say what is not in the log: what is waited for, which pod this is."""
        ...


class RawView:
    """Shows lines as they are; remarks go to standard error."""

    def line(self, text: str) -> None:
        """Print it."""
        click.echo(text)

    def remark(self, text: str) -> None:
        """Say it aside."""
        click.echo(text, err=True)


class SentenceView:
    """Shows a sentence a line, with the times of the log; the report is left to whoever asks for it."""

    def __init__(self) -> None:
        self._at = datetime.now(UTC)
        self._lines = LogLines(lambda: self._at, err=False)

    def line(self, text: str) -> None:
        """Print it in words; what is no event, as it is."""
        event = read_event(text)
        if event is None:
            if read_report(text) is None:
                click.echo(text)
            return
        self._at = event.time
        if event.event == "report":
            self._lines.says(f"{event.result}: {event.message}")
        else:
            pass_on(event, self._lines, lambda: self._lines.starts(*_step_of(event)))

    def remark(self, text: str) -> None:
        """Say it aside."""
        click.echo(text, err=True)


class DrawnView:
    """Draws the steps; what else is in the log is printed above them, and the report below when it is over."""

    def __init__(self, table: LiveTable, console: Console) -> None:
        self._table = table
        self._console = console
        self.report: Report | None = None
        self.verdict: str | None = None
        """How the run ended, where the report was not read."""

    def line(self, text: str) -> None:
        """Draw it, or print it above."""
        event = read_event(text)
        if event is None:
            if report := read_report(text):
                self.report = report
            elif text:
                self._console.print(text, markup=False, style="dim")
        elif event.event == "report":
            self.verdict = f"{event.result}: {event.message}"
        else:
            ago = max(0.0, (datetime.now(UTC) - event.time).total_seconds())
            pass_on(event, self._table, lambda: self._table.starts(*_step_of(event), ago=ago))

    def remark(self, text: str) -> None:
        """Show it below the steps."""
        self._table.says(text)


def pass_on(event: RunEvent, progress: LogLines | LiveTable, start: Callable[[], None]) -> None:
    """Tell a listener what an event says; `start` has it begin a step."""
    if event.event == "plan":
        work = event.work or ()
        expected = {(each.action, each.name): each.expected_seconds for each in work}
        progress.expects({key: seconds for key, seconds in expected.items() if seconds is not None})
        progress.plans(list(expected))
    elif event.event == "start":
        start()
    elif event.event == "progress" and event.phase:
        advance = Advance(phase=event.phase, detail=event.detail, done=event.done, total=event.total, unit=event.unit)
        progress.advances(*_step_of(event), advance)
    elif event.event == "say" and event.text:
        progress.says(event.text)
    elif event.event == "end" and event.step:
        progress.ends(event.step)


def read_report(text: str) -> Report | None:
    """Read the line that a run prints at its end; None where it is none."""
    if not text.startswith("{"):
        return None
    try:
        return Report.model_validate_json(text)
    except ValidationError:
        return None


@contextmanager
def drawn_or_written(*, raw: bool = False) -> Iterator[LogView]:
    """Show a log as it is best read where it is read: drawn on a terminal, in sentences elsewhere."""
    if raw:
        yield RawView()
        return
    from trending.cli.kubectl.output import screen

    console = screen()
    if not console.is_terminal:
        yield SentenceView()
        return
    from rich.live import Live

    from trending.cli.live_table import LiveTable
    from trending.cli.run_view import print_report

    table = LiveTable()
    view = DrawnView(table, console)
    with Live(table, console=console, refresh_per_second=8, transient=False) as live:
        try:
            yield view
        finally:
            if view.report is not None:
                live.update("")
    if view.report is not None:
        print_report(view.report)
    elif view.verdict is not None:
        console.print(view.verdict, markup=False)


def _step_of(event: RunEvent) -> tuple[StepAction, str]:
    return event.action or "Rewrite", event.name or ""
