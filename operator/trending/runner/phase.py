"""What a step is doing just now: said by whoever does it, who need not know whether anybody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from trending.runner.progress import Advance

_listener: Final[ContextVar[Callable[[Advance], None] | None]] = ContextVar("listener", default=None)
"""Each thread has its own: one target's phases are not another's."""


def phase(text: str, *, rows: int | None = None) -> None:
    """Say what begins, and how many rows it is about; a plan, for one, has nobody who listens."""
    if listener := _listener.get():
        listener(Advance(phase=text, total=rows, unit=None if rows is None else "rows"))


@contextmanager
def heard_by(listener: Callable[[Advance], None]) -> Iterator[None]:
    """Have this thread's phases heard."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
