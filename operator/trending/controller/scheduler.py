"""The scheduler task: which schedule is looked at when.

A schedule is looked at when something about it changes and when the time has come that its last pass named. Passes of
different schedules run
side by side, those of one never do.
"""

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from trending.controller.store import Key

_log = logging.getLogger(__name__)

_LONGEST_NAP_SECONDS: Final = 5.0
"""A clock that is set is noticed after so long."""
_LONGEST_PASS_SECONDS: Final = 120.0
_STUCK_SECONDS: Final = 180.0
"""Longer than a pass may take: with all workers waiting for a slow API server the task is busy, not stuck."""
_LONGEST_BACKOFF: Final = timedelta(minutes=1)

Pass = Callable[[Key], Awaitable[datetime | None]]


class Scheduler:
    """Calls a pass over each schedule that is due."""

    def __init__(self, look_at: Pass, *, workers: int, clock: Callable[[], datetime]) -> None:
        self._look_at = look_at
        self._clock = clock
        self._free = asyncio.Semaphore(workers)
        self._wakes: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._changed: dict[Key, None] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._failures: dict[Key, int] = {}
        self._something = asyncio.Event()
        self._finishing = False
        self._beat = time.monotonic()

    def touch(self, key: Key) -> None:
        """Have a schedule looked at as soon as may be: something about it has changed."""
        self._changed[key] = None
        self._something.set()

    @property
    def depth(self) -> int:
        """How many schedules are to be looked at and are not yet."""
        return len(self._changed)

    def is_alive(self) -> bool:
        """Tell whether the task goes round; it does at least every five seconds."""
        return time.monotonic() - self._beat < _STUCK_SECONDS

    async def finish(self, seconds: float) -> None:
        """Begin no more passes, and let those that run come to their end, for so long at most."""
        self._finishing = True
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=seconds)

    async def run(self) -> None:
        """Go round until cancelled."""
        try:
            while True:
                self._beat = time.monotonic()
                self._something.clear()
                for key in self._due():
                    await self._free.acquire()
                    self._beat = time.monotonic()
                    self._running[key] = asyncio.create_task(self._pass(key), name=f"pass {key.namespace}/{key.name}")
                await self._nap()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _due(self) -> list[Key]:
        """Take the schedules to look at now: those that changed, and those whose time has come."""
        if self._finishing:
            return []
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._wakes.get(key) == when:
                del self._wakes[key]
                self._changed[key] = None
        due = [key for key in self._changed if key not in self._running]
        for key in due:
            del self._changed[key]
        return due

    async def _nap(self) -> None:
        seconds = _LONGEST_NAP_SECONDS
        if self._heap:
            seconds = min(seconds, max(0.0, (self._heap[0][0] - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return

    async def _pass(self, key: Key) -> None:
        try:
            async with asyncio.timeout(_LONGEST_PASS_SECONDS):
                wake = await self._look_at(key)
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong with one schedule, the others go on)
            wake = self._again(key, error)
        finally:
            del self._running[key]
            self._free.release()
            self._something.set()
        if wake is None:
            self._wakes.pop(key, None)
        elif self._wakes.get(key) != wake:
            self._wakes[key] = wake
            heapq.heappush(self._heap, (wake, key))

    def _again(self, key: Key, error: Exception) -> datetime:
        """Return when to try again after a failure: after 1, 2, 4 .. 60 seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        backoff = min(_LONGEST_BACKOFF, timedelta(seconds=2 ** min(failures - 1, 6)))
        _log.warning(
            "%s/%s: %s: %s; trying again in %d s", key.namespace, key.name, type(error).__name__, error, backoff.seconds
        )
        return self._clock() + backoff


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)
