"""What a person sees: phases with their times, schedules and pods as they change, the ranking in the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.kubectl import Kubectl
from demo.postgres import Postgres
from tests.cluster.console import out, say
from trending.api.names import PLURAL, SCHEDULE_LABEL

TOP_TEN: Final = """\
SELECT rank() OVER (ORDER BY score DESC), title, users.name, track_trending_scores.genre, score::numeric(20, 1)
FROM track_trending_scores
JOIN tracks USING (track_id)
JOIN users ON users.user_id = tracks.owner_id AND users.is_current
WHERE type = 'TRACKS' AND version = 'pnagD' AND time_range = 'week' AND tracks.is_current
ORDER BY score DESC, track_id
LIMIT 10
"""

_AGE: Final = re.compile(r"(\d+[smhdy])+")


class Phases:
    """The parts of the demo, announced, timed, and told in the end."""

    def __init__(self) -> None:
        self.current = "the beginning"
        self._times: list[tuple[str, float]] = []

    @contextmanager
    def phase(self, title: str, detail: str) -> Iterator[None]:
        """Announce a part and note how long it takes."""
        self.current = title
        say("")
        out.print(Text.assemble((f"== {title}", "bold"), f": {detail}"))
        start = time.monotonic()
        yield
        seconds = time.monotonic() - start
        self._times.append((title, seconds))
        say(f"   {seconds:.1f} s")

    def table(self) -> Table:
        """Return the times of the parts that are done."""
        table = Table("Phase", title="Where the time went", title_justify="left", box=None, pad_edge=False)
        table.add_column("Seconds", justify="right")
        for title, seconds in self._times:
            table.add_row(title, f"{seconds:.1f}")
        table.add_row("In all", f"{sum(seconds for _, seconds in self._times):.1f}", style="bold")
        return table


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is being done: one changing line in a terminal, a line each elsewhere."""
    if not out.is_terminal:
        yield lambda sentence: say(f"   {sentence}")
        return
    with out.status("") as status:
        yield lambda sentence: status.update(Text(sentence))


@contextmanager
def live(kubectl: Kubectl, namespace: str) -> Iterator[Callable[[], None]]:
    """Show schedules and their pods; the function that it gives draws them anew.

    In a terminal that is a table that changes in place, elsewhere the lines that are new.
    """
    if out.is_terminal:
        with Live(console=out, auto_refresh=False) as display:
            yield lambda: display.update(_picture(kubectl, namespace), refresh=True)
        return
    said: set[str] = set()

    def tell_news() -> None:
        for line in columns(kubectl, PLURAL, namespace) + columns(kubectl, "pods", namespace, runs_only=True):
            news = " ".join(word for word in line.split() if not _AGE.fullmatch(word))  # an age alone is none
            if news not in said:
                said.add(news)
                say(f"   {line}")

    yield tell_news


def columns(kubectl: Kubectl, kind: str, namespace: str, *, runs_only: bool = False) -> list[str]:
    """Return the lines that `kubectl get` prints."""
    chosen = (f"--selector={SCHEDULE_LABEL}",) if runs_only else ()
    return kubectl.run(f"--namespace={namespace}", "get", kind, *chosen).splitlines()


def top_ten(postgres: Postgres) -> Table:
    """Return the ranking of the week."""
    title = "The top ten of the week: track_trending_scores, type TRACKS, version pnagD"
    table = Table("#", "Track", "Artist", "Genre", title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("Score", justify="right")
    for line in postgres.psql(TOP_TEN).splitlines():
        table.add_row(*line.split("\t"))
    return table


def _picture(kubectl: Kubectl, namespace: str) -> RenderableType:
    return Group(
        _as_table(columns(kubectl, PLURAL, namespace)),
        Text(),
        _as_table(columns(kubectl, "pods", namespace, runs_only=True)),
    )


def _as_table(lines: list[str]) -> RenderableType:
    """Return what kubectl printed as a table: its columns begin where its headings do."""
    if not lines:
        return Text("no pods yet", style="dim")
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", lines[0])]
    table = Table(box=None, pad_edge=False)
    for heading in _cells(lines[0], starts):
        table.add_column(heading, no_wrap=True)
    for line in lines[1:]:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in _cells(line, starts)))
    return table


def _cells(line: str, starts: list[int]) -> list[str]:
    ends = [*starts[1:], None]
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _style(cell: str) -> str:
    return {"Succeeded": "green", "True": "green", "Completed": "green", "Running": "yellow", "Failed": "red"}.get(
        cell, ""
    )
