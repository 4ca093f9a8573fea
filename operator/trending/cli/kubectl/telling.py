"""What is waited for, told on standard error: redrawn on a terminal, a line each time it changes elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from trending.cli.kubectl.times import human_age

Telling = Callable[[str], None]
"""Is told what is waited for, again and again."""


@contextmanager
def telling(name: str, *, quiet: bool = False) -> Iterator[Telling]:
    """Tell what schedule `name` waits for while the block runs; nothing where a program reads the result."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False, emoji=False)
    if quiet:
        yield lambda _: None
    elif not console.is_terminal:
        yield _lines(name)
    else:
        began = time.monotonic()
        with console.status(f"{escape(name)}: a run is requested") as status:
            yield lambda text: status.update(f"{escape(name)}: {escape(text)} [dim]{_so_far(began)}[/]")


def _lines(name: str) -> Telling:
    said = ""

    def says(text: str) -> None:
        nonlocal said
        if text != said:
            said = text
            click.echo(f"{name}: {text}", err=True)

    return says


def _so_far(began: float) -> str:
    return human_age(timedelta(seconds=time.monotonic() - began))
