"""The scheduler task: which schedule is looked at when.

A schedule is looked at when something about it changes and when the time has come that its last pass named. Passes of
different schedules run side by side, up to a bound; those of one never do. Where more wait than may run, the order is
that of `Ready`.
"""

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from trending.controller.patience import UnreachableError
from trending.controller.ready import Ready, Urgency
from trending.controller.store import Key

_log = logging.getLogger(__name__)

_LONGEST_NAP_SECONDS: Final = 5.0
"""A clock that is set is noticed after so long."""
_SET_BACK_SECONDS: Final = 1.0
"""By less a clock is corrected while it goes; what waits by it does not notice."""
_LONGEST_PASS_SECONDS: Final = 120.0
_STUCK_SECONDS: Final = 180.0
"""Longer than a pass may take: with all workers waiting for a slow API server the task is busy, not stuck."""
_LONGEST_BACKOFF: Final = 60.0
"""Seconds after a refusal: the API server is well, and others use it too."""
_LONGEST_BACKOFF_UNREACHABLE: Final = 4.0
"""Seconds where nothing answers: asking costs nobody anything, and slots come due meanwhile."""
_JITTER: Final = 0.25
"""By up to this share a new try comes later, so that what failed together does not come again together."""
_SPARE_WAKES: Final = 64

Pass = Callable[[Key], Awaitable[datetime | None]]


class Scheduler:
    """Calls a pass over each schedule that is due; `workers` is how many passes run side by side."""

    def __init__(
        self,
        look_at: Pass,
        *,
        workers: int,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
        waited: Callable[[float], None] = lambda _: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`waited` is told for how many seconds each schedule waited until its pass began; `timer` counts seconds,
        whatever the clock does."""
        self._look_at = look_at
        self._clock = clock
        self._timer = timer
        self._jitter = jitter
        self._workers = workers
        self._ready = Ready()
        self._waited = waited
        self._since: dict[Key, float] = {}
        self._wakes: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: dict[Key, Urgency] = {}
        self._failures: dict[Key, int] = {}
        self._something = asyncio.Event()
        self._finishing = False
        self._beat = self._timer()
        self._ahead = self._clock_ahead()

    def touch(self, key: Key, urgency: Urgency = Urgency.CHANGED) -> None:
        """Have a schedule looked at as soon as may be, after its present pass where one is on the way."""
        if key in self._running:
            self._again[key] = min(urgency, self._again.get(key, urgency))
        else:
            self._put(key, urgency)
            self._something.set()

    def _put(self, key: Key, urgency: Urgency) -> None:
        self._since.setdefault(key, self._timer())
        self._ready.put(key, urgency)

    @property
    def depth(self) -> int:
        """How many schedules are to be looked at and are not yet."""
        return len(self._ready)

    def is_alive(self) -> bool:
        """Tell whether the task goes round and passes come to an end."""
        return self._timer() - self._beat < _STUCK_SECONDS

    async def finish(self, seconds: float) -> None:
        """Begin no more passes, and let those that run come to their end, for so long at most."""
        self._finishing = True
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=seconds)

    def is_pressed(self) -> bool:
        """Tell whether schedules wait whose time has come, so that a pass should put off what is not urgent."""
        return self._ready.holds(Urgency.DUE)

    async def run(self) -> None:
        """Go round until cancelled."""
        try:
            while True:
                self._something.clear()
                self._heed_clock()
                self._ripen()
                while self._may_begin() and (key := self._ready.take()):
                    self._waited(self._timer() - self._since.pop(key))
                    self._running[key] = asyncio.create_task(self._pass(key), name=f"pass {key.namespace}/{key.name}")
                if self._may_begin():
                    self._beat = self._timer()
                await self._nap()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _may_begin(self) -> bool:
        return len(self._running) < self._workers and not self._finishing

    def _heed_clock(self) -> None:
        """Have all that waits looked at again where the clock was set back: its time would come later by as much."""
        ahead = self._clock_ahead()
        if (back := self._ahead - ahead) > _SET_BACK_SECONDS:
            waiting = self._wakes.keys() | self._running.keys()
            _log.warning("the clock was set back by %.1f s: %d schedules are looked at again", back, len(waiting))
            for key in waiting:
                self.touch(key)
            self._ahead = ahead
        self._ahead = max(self._ahead, ahead)

    def _clock_ahead(self) -> float:
        """Return by how many seconds the clock is ahead of the timer: more once it was set forward, less when back."""
        return self._clock().timestamp() - self._timer()

    def _ripen(self) -> None:
        """Put those in the queue whose time has come."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._wakes.get(key) == when:
                del self._wakes[key]
                self.touch(key, Urgency.DUE)

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
            wake = self._later(key, error)
        finally:
            del self._running[key]
            self._beat = self._timer()
            self._something.set()
            if (urgency := self._again.pop(key, None)) is not None:
                self._put(key, urgency)
        if wake is None:
            self._wakes.pop(key, None)
        elif self._wakes.get(key) != wake:
            self._wakes[key] = wake
            heapq.heappush(self._heap, (wake, key))
            self._drop_old_wakes()

    def _drop_old_wakes(self) -> None:
        """Make the heap anew where most of it is not so any more: what lies far ahead would stay in it until then."""
        if len(self._heap) > 2 * len(self._wakes) + _SPARE_WAKES:
            self._heap = [(wake, key) for key, wake in self._wakes.items()]
            heapq.heapify(self._heap)

    def _later(self, key: Key, error: Exception) -> datetime:
        """Return when to try again after a failure: after 1, 2, 4 .. 60 seconds, 4 at most where nothing answers."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest = _LONGEST_BACKOFF_UNREACHABLE if isinstance(error, UnreachableError) else _LONGEST_BACKOFF
        seconds = min(longest, 2.0 ** min(failures - 1, 6)) * (1 + _JITTER * self._jitter())
        _log.warning(
            "%s/%s: %s: %s; trying again in %.1f s", key.namespace, key.name, type(error).__name__, error, seconds
        )
        return self._clock() + timedelta(seconds=seconds)


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)
