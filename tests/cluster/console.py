"""What a person sees: each step before it starts, with the time it usually takes, and its real time afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """Print one line for people."""
    out.print(sentence, markup=False)


@contextmanager
def step(title: str, *, usually: str) -> Iterator[None]:
    """Announce a step, then print its wall time; a failed step says so and the error goes on its way.

    `usually` is a time span in words, measured on two cores, such as "6 to 9 min".
    """
    start = time.monotonic()
    say(f"-> {title} (usually {usually})")
    try:
        if out.is_terminal:
            with out.status("working"):
                yield
        else:
            yield
    except BaseException:
        say(f"   failed after {time.monotonic() - start:.1f} s")
        raise
    say(f"   done in {time.monotonic() - start:.1f} s")
