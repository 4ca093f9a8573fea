"""The steps of a run drawn on a terminal, and redrawn while they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from trending.api.status import Step, StepAction
from trending.cli.run_lines import rows, took, where
from trending.runner.progress import Advance

if TYPE_CHECKING:  # a run in a pod draws nothing and need not wait for rich
    from rich.console import Group, RenderableType

_BAR: Final = 16
"""Characters."""
_SHORT: Final = 1.0
"""Seconds below which a step needs no bar."""

Key = tuple[StepAction, str]


class LiveTable:
    """Shows of each step how it goes or went: phase, bar and what is left of the time that it usually takes."""

    def __init__(self) -> None:
        self._steps: dict[Key, Step | None] = {}
        self._begun: dict[Key, float] = {}
        self._expected: Mapping[Key, float] = {}
        self._advances: dict[Key, Advance] = {}
        self._newest: Key | None = None
        self._said = ""
        self._lock = threading.Lock()  # the drawing thread reads what the run's writes

    def expects(self, seconds: Mapping[Key, float]) -> None:
        """Note it, for bars."""
        with self._lock:
            self._expected = seconds

    def plans(self, work: list[Key]) -> None:
        """Draw a line for each; another attempt of the same run begins anew."""
        with self._lock:
            self._steps = dict.fromkeys(work)
            self._begun.clear()
            self._advances.clear()

    def starts(self, action: StepAction, name: str, *, ago: float = 0.0) -> None:
        """Let its clock run, which began so many seconds ago."""
        with self._lock:
            self._steps.setdefault((action, name), None)
            self._begun[action, name] = time.monotonic() - ago

    def advances(self, action: StepAction, name: str, advance: Advance) -> None:
        """Show where it is."""
        with self._lock:
            self._newest = (action, name)
            self._advances[action, name] = advance
            # What several targets share is read before the first of them starts.
            self._begun.setdefault((action, name), time.monotonic())

    def says(self, text: str) -> None:
        """Show it below."""
        with self._lock:
            self._said = text

    def ends(self, step: Step) -> None:
        """Show how it went."""
        with self._lock:
            self._steps[step.action, step.name] = step
            self._advances.pop((step.action, step.name), None)
            self._said = ""

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False, expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True, justify="right")
        with self._lock:
            lines = [self._line(key, step) for key, step in self._steps.items()]
            said = [Text(f"   {self._said}", "yellow")] if self._said else []
        # A bar gives way to words otherwise.
        table.add_column(width=_BAR if any(line[3] for line in lines) else 0)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for line in lines:
            table.add_row(*line)
        return Group(table, *said)

    def _line(self, key: Key, step: Step | None) -> tuple[RenderableType, ...]:
        label = f"{key[0].lower()} {_escaped(key[1])}"
        if step and step.seconds is not None:
            after = self._advances.get(key) if key == self._newest else None
            words = [word for word in (rows(step), f"[dim]{_escaped(where(after))}[/]" if after else "") if word]
            return "[green]✓[/]", label, took(step), "", " · ".join(words)
        if step:
            return "[red]✗[/]", label, "", "", ""
        if key not in self._begun:
            usual = f"[dim]usually {self._expected[key]:.0f} s[/]" if self._expected.get(key, 0) >= _SHORT else ""
            return "[dim]·[/]", f"[dim]{label}[/]", "", "", usual
        seconds = time.monotonic() - self._begun[key]
        return "[cyan]▸[/]", f"[bold]{label}[/]", f"{seconds:.1f} s", self._bar(key, seconds), self._words(key, seconds)

    def _bar(self, key: Key, seconds: float) -> RenderableType:
        """Return the share of the time that it usually takes, else of what the server counts."""
        from rich.progress_bar import ProgressBar

        expected, advance = self._expected.get(key), self._advances.get(key)
        if expected and max(seconds, expected) >= _SHORT:
            return ProgressBar(total=expected, completed=min(seconds, expected), width=_BAR)
        if advance and advance.done is not None and advance.total:
            return ProgressBar(total=advance.total, completed=min(advance.done, advance.total), width=_BAR)
        return ""

    def _words(self, key: Key, seconds: float) -> str:
        expected, advance = self._expected.get(key), self._advances.get(key)
        words = []
        if expected and max(seconds, expected) >= _SHORT:
            left = expected - seconds
            words.append(f"about {left:.0f} s left" if left > 0 else f"longer than the usual {expected:.0f} s")
        if advance:
            words.append(_escaped(where(advance)))
        return " · ".join(words)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
