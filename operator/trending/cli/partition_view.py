"""How `trending partition` shows its plan and its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

import click
import psycopg

from trending.runner.partition.exchange import exchange
from trending.runner.partition.shape import Part
from trending.runner.partition.task import Task

_MOST_LINES: Final = 30
_HALF_SECOND: Final = 0.5


def print_plan(task: Task, say: Callable[[str], None]) -> None:
    """Print what is there, what is going to be, what it takes and who waits."""
    qualified = task.original.table.qualified
    if task.kept:
        say(f"{task.kept}, kept by an earlier time, is still there: drop it when it is not needed.")
    if task.is_done:
        by = f"partitioned by {', '.join(task.by)} already" if task.original.is_partitioned else "a plain table already"
        say(f"{qualified} is {by}: nothing to do.")
        return
    if task.obstacles:
        return
    size = task.table_bytes + task.index_bytes
    say(f"{qualified}: {task.rows:,} rows, {_size(task.table_bytes)} and {_size(task.index_bytes)} of indexes")
    if task.shape:
        say(f"to be partitioned by {', '.join(task.by)}, {len(task.shape.leaves)} partitions:")
        _print_parts(task.shape.leaves, say)
    else:
        say(f"to be one plain table; its {len(task.original.leaves)} partitions go")
    for each in task.not_whole:
        say(f"  slice {each.canonical} is not going to be whole partitions: it also depends on other columns")
    longer = " (and after it, by --keep-old)" if task.request.keep_old else ""
    say(f"disk: about {_size(size)} more until the end{longer}, and as much WAL")
    say(f"time: roughly {_duration(task.seconds)} (10 us a row, unmeasured here; more with wide rows or slow disks)")
    say(
        f"who waits: writers of {qualified} and runs of its {len(task.slices)} known slices for all of that time; "
        "readers for an instant at the end"
    )


def statements(connection: psycopg.Connection[Any], task: Task) -> Iterator[str]:
    """Return the SQL of the whole: the worker's, and then the keeper's exchange."""
    twin = task.twin
    whole = [twin.copy(leaf, 0, None) for leaf in task.original.leaves]
    for each in (*twin.make(), *whole, *twin.finish(), twin.vacuum(), *exchange(twin, keep_old=task.request.keep_old)):
        yield each.as_string(connection)


def as_json(task: Task) -> dict[str, Any]:
    """Return the plan for programs; bytes and seconds."""
    parts = task.shape.leaves if task.shape else ()
    return {
        "table": task.original.table.qualified,
        "undo": task.request.undo,
        "alreadyDone": task.is_done,
        "by": list(task.by),
        "rows": task.rows,
        "tableBytes": task.table_bytes,
        "indexBytes": task.index_bytes,
        "estimatedSeconds": round(task.seconds, 1),
        "obstacles": list(task.obstacles),
        "partitions": [{"name": p.name, "values": [_value(v) for v in p.path], "rows": p.rows} for p in parts],
        "slices": [each.values for each in task.slices],
        "keptTable": task.kept,
        "done": False,
    }


class Heard:
    """Prints lines to standard error, and the progress of the copy in one line on a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._begun = time.monotonic()
        self._shown = 0.0
        self._is_open = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the line of progress."""
        self._end_line()

    def says(self, text: str) -> None:
        """Print a line."""
        self._end_line()
        if not self._quiet:
            click.echo(text, err=True)
        self._begun = time.monotonic()

    def copied(self, rows: int, of: int) -> None:
        """Show how far the copy is, at most twice a second."""
        now = time.monotonic()
        if self._quiet or not self._terminal or (now - self._shown < _HALF_SECOND and rows < of):
            return
        rate = rows / max(now - self._begun, 1e-3)
        left = _duration((of - rows) / rate) if rate else "?"
        click.echo(f"\r\x1b[Kcopied {rows:,} of {of:,} rows, {rate:,.0f} a second, {left} left", nl=False, err=True)
        self._shown, self._is_open = now, True

    def _end_line(self) -> None:
        if self._is_open:
            click.echo(err=True)
        self._is_open = False


def _print_parts(leaves: tuple[Part, ...], say: Callable[[str], None]) -> None:
    for part in leaves[:_MOST_LINES]:
        values = ", ".join("NULL" if value is None else str(value) for value in part.path)
        say(f"  {part.name}: {values} ({part.rows:,} rows)")
    if len(leaves) > _MOST_LINES:
        say(f"  and {len(leaves) - _MOST_LINES} more")


def _value(value: Any) -> str | None:
    return None if value is None else str(value)


def _size(number: int) -> str:
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
