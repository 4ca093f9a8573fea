"""A run's progress as lines on standard error: sentences for people, JSON for programs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from trending.api.instant import format_instant
from trending.api.status import Step, StepAction
from trending.report.event import EventKind, RunEvent, Work
from trending.runner.progress import Advance
from trending.runner.record import Outcome

FORMAT_VARIABLE: Final = "TRENDING_LOG_FORMAT"
"""`json` for JSON lines; the controller sets it in runs' pods."""

_EVERY: Final = timedelta(seconds=5)
"""Between two lines on where one step is: a run of an hour stays below 800 of them."""

Key = tuple[StepAction, str]
Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Throttle:
    """Lets through, of each step, what is new, and that at most every five seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alone = threading.Lock()
        self._last: dict[Key, tuple[datetime, Advance | None]] = {}

    def starts(self, action: StepAction, name: str) -> None:
        """Count from here: that a step begins is a line of its own."""
        with self._alone:
            self._last[action, name] = (self._clock(), None)

    def lets_through(self, action: StepAction, name: str, advance: Advance) -> bool:
        """Tell whether this is to be written. What is held back is said again at the next look, a second later."""
        at = self._clock()
        with self._alone:
            before, last = self._last.get((action, name), (None, None))
            if advance == last or (before is not None and at - before < _EVERY):
                return False
            self._last[action, name] = (at, advance)
            return True


class LogLines:
    """Tells each thing in a sentence."""

    def __init__(self, clock: Clock = now, *, err: bool = True) -> None:
        """`clock` is asked for the time of each line; `err` says whether to write to standard error."""
        self._clock = clock
        self._err = err
        self._throttle = Throttle(clock)
        self._expected: Mapping[Key, float] = {}

    def expects(self, seconds: Mapping[Key, float]) -> None:
        """Note it, for when the steps start."""
        self._expected = seconds

    def plans(self, work: list[Key]) -> None:
        """Say what is to be done."""
        self.says("to do: " + ", ".join(f"{action.lower()} {name}" for action, name in work))

    def starts(self, action: StepAction, name: str) -> None:
        """Say what begins."""
        self._throttle.starts(action, name)
        seconds = self._expected.get((action, name))
        self.says(f"{action.lower()} {name}" + ("" if seconds is None else f" (usually {seconds:.1f} s)"))

    def advances(self, action: StepAction, name: str, advance: Advance) -> None:
        """Say where it is."""
        if self._throttle.lets_through(action, name, advance):
            self.says(f"{action.lower()} {name}: {where(advance)}")

    def says(self, text: str) -> None:
        """Say it, with the time."""
        click.echo(f"{format_instant(self._clock())} {text}", err=self._err)

    def ends(self, step: Step) -> None:
        """Say how it went."""
        words = [word for word in (step.mode, step.strategy, took(step), rows(step), step.note) if word]
        self.says(f"{step.action.lower()} {step.name}: {', '.join(words)}")

    def reports(self, outcome: Outcome) -> None:
        """Say nothing: the report is told on standard output."""


class JsonLines:
    """Writes each thing as a JSON object (see `RunEvent`)."""

    def __init__(self, clock: Clock = now) -> None:
        """`clock` is asked for the time of each line."""
        self._clock = clock
        self._throttle = Throttle(clock)
        self._expected: Mapping[Key, float] = {}

    def expects(self, seconds: Mapping[Key, float]) -> None:
        """Note it, for what is to be done."""
        self._expected = seconds

    def plans(self, work: list[Key]) -> None:
        """Write what is to be done."""
        steps = [
            Work(action=action, name=name, expected_seconds=self._expected.get((action, name))) for action, name in work
        ]
        self._write("plan", work=tuple(steps))

    def starts(self, action: StepAction, name: str) -> None:
        """Write what begins."""
        self._throttle.starts(action, name)
        self._write("start", action=action, name=name)

    def advances(self, action: StepAction, name: str, advance: Advance) -> None:
        """Write where it is."""
        if self._throttle.lets_through(action, name, advance):
            self._write("progress", action=action, name=name, **vars(advance))

    def says(self, text: str) -> None:
        """Write it."""
        self._write("say", text=text)

    def ends(self, step: Step) -> None:
        """Write how it went."""
        self._write("end", step=step)

    def reports(self, outcome: Outcome) -> None:
        """Write how the run ended; the whole report is on standard output."""
        report = outcome.report
        self._write(
            "report", result=report.result, reason=report.reason, message=report.message, exit_code=outcome.exit_code
        )

    def _write(self, event: EventKind, **fields: Any) -> None:
        click.echo(RunEvent(time=self._clock(), event=event, **fields).to_line(), err=True)


def lines() -> LogLines | JsonLines:
    """Return what writes lines, in the format that the environment asks for."""
    return JsonLines() if os.environ.get(FORMAT_VARIABLE) == "json" else LogLines()


def where(advance: Advance) -> str:
    """Say where a step is: `building index 2 of 6, 43 % of 1,200,000 tuples (loading tuples in tree)`."""
    words = advance.phase
    if advance.done is not None and advance.total:
        words += f", {min(100, 100 * advance.done // advance.total)} % of {advance.total:,} {advance.unit}"
    elif advance.total is not None:
        words += f", {advance.total:,} {advance.unit}"
    return f"{words} ({advance.detail.removeprefix('building index: ')})" if advance.detail else words


def rows(step: Step) -> str:
    """Say what changed: `+12 ~3 -4 =100`; empty where rows were not counted."""
    if step.rows_inserted is None:
        return ""
    return f"+{step.rows_inserted} ~{step.rows_updated} -{step.rows_deleted} ={step.rows_unchanged}"


def took(step: Step) -> str:
    """Say how long it took; empty where it was not done."""
    return "" if step.seconds is None else f"{step.seconds:.1f} s"
