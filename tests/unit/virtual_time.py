"""An event loop whose time is its own: where nothing can be done it goes to the next timer at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _NoWaiting(selectors.SelectSelector):
    """Looks at what is ready and never waits; the time that would have passed is added to the loop's."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: all tasks wait for each other")
        self.passed += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop for what happens in memory alone."""

    def __init__(self) -> None:
        self._own = _NoWaiting()
        super().__init__(self._own)

    def time(self) -> float:
        return self._own.passed


def run_in_virtual_time(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, hours in a moment."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
