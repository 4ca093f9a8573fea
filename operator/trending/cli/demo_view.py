"""What a person sees of the demo: its parts, and the ranking with who rose and who fell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Place:
    """A line of the ranking."""

    rank: int
    track: int
    title: str
    artist: str
    genre: str | None
    score: float

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return vars(self)


def title(text: str) -> None:
    """Begin a part."""
    Console().print(Text.assemble("\n", (text, "bold cyan")))


@contextmanager
def part(text: str, *, quiet: bool) -> Iterator[None]:
    """Announce a part and say how long it took; only an animation on a terminal where it is to be quiet."""
    start = time.monotonic()
    if not quiet:
        title(text)
    with Console(stderr=True).status(Text("making the data")):
        yield
    if not quiet:
        Console().print(f"ready in {time.monotonic() - start:.1f} s")


def show(places: list[Place], before: Mapping[int, int], *, quiet: bool) -> None:
    """Print the top ten. `before` is the rank that each track had; empty where there was no ranking before."""
    if quiet:
        return
    table = Table("", "", "track", "artist", "genre", title="\nTrending this week", title_justify="left", box=None)
    table.add_column("score", justify="right")
    for place in places:
        style = "bold yellow" if place.rank == 1 else "bold" if place.rank <= 3 else ""
        cells = (str(place.rank), place.title, place.artist, place.genre or "", f"{place.score:,.0f}")
        rank, *rest = (Text(cell, style=style) for cell in cells)
        table.add_row(rank, _moved(place, before), *rest)
    Console().print(table)


def _moved(place: Place, before: Mapping[int, int]) -> Text:
    if not before:
        return Text("")
    was = before.get(place.track)
    if was is None:
        return Text("new", style="bold green")
    if was == place.rank:
        return Text("=", style="dim")
    return (
        Text(f"▲{was - place.rank}", style="green") if was > place.rank else Text(f"▼{place.rank - was}", style="red")
    )
