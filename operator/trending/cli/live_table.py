"""The steps of a run drawn on a terminal, and redrawn while they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Final

from trending.api.status import Step, StepAction
from trending.cli.run_lines import rows, took, where
from trending.runner.progress import Advance

if TYPE_CHECKING:  # a run in a pod draws nothing and need not wait for rich
    from rich.console import Group
    from rich.text import Text

_BAR: Final = 16
"""Characters."""
_SHORT: Final = 1.0
"""Seconds below which a step needs no bar."""

Key = tuple[StepAction, str]


class LiveTable:
    """Shows of each step how it goes or went: phase, bar and what is left of the time that it usually takes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
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
            self._begun[action, name] = self._clock() - ago

    def advances(self, action: StepAction, name: str, advance: Advance) -> None:
        """Show where it is."""
        with self._lock:
            self._newest = (action, name)
            self._advances[action, name] = advance
            # What several targets share is read before the first of them starts.
            self._begun.setdefault((action, name), self._clock())

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
        from rich.cells import cell_len
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            width = max((cell_len(_label(key)) for key in self._steps), default=0)
            lines = [line for key, step in self._steps.items() for line in self._lines(key, step, width)]
            if self._said:
                lines.append(Text(f"   {self._said}", "yellow"))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _lines(self, key: Key, step: Step | None, width: int) -> Iterator[Text]:
        """Yield a step's line, and below it where the step is: the terminal may be narrow."""
        from rich.cells import set_cell_size
        from rich.text import Text

        label = set_cell_size(_label(key), width)
        advance = self._advances.get(key)
        if step is not None:
            mark = ("✓", "green") if step.seconds is not None else ("✗", "red")
            yield Text.assemble(mark, f"  {label}  {took(step):>8}  {rows(step)}")
            advance = advance if key == self._newest else None
        elif key in self._begun:
            seconds = self._clock() - self._begun[key]
            time_ = f"{seconds:.1f} s"
            yield Text.assemble(("▸", "cyan"), "  ", (label, "bold"), f"  {time_:>8}  ", *self._bar(key, seconds))
        else:
            usual = f"{'':>10}usually {self._expected[key]:.0f} s" if self._expected.get(key, 0) >= _SHORT else ""
            yield Text(f"·  {label}  {usual}", "dim")
        if advance:
            yield Text(f"     {where(advance)}", "dim")

    def _bar(self, key: Key, seconds: float) -> Iterator[tuple[str, str]]:
        """Yield the share of the time that a step usually takes, else of what the server counts."""
        expected, advance = self._expected.get(key), self._advances.get(key)
        if expected and max(seconds, expected) >= _SHORT:
            yield from _drawn(seconds / expected)
            left = expected - seconds
            words = f"about {ceil(left)} s left" if left > 0 else f"longer than the usual {expected:.0f} s"
            yield f"  {words}", ""
        elif advance and advance.done is not None and advance.total:
            yield from _drawn(advance.done / advance.total)


def _drawn(share: float) -> Iterator[tuple[str, str]]:
    """Yield a bar that is read without colours, too."""
    done = round(_BAR * min(1.0, share))
    yield "━" * done, "cyan"
    yield "─" * (_BAR - done), "dim"


def _label(key: Key) -> str:
    return f"{key[0].lower()} {key[1]}"
