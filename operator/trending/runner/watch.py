"""Watching the steps of a run: where each is, about once a second, told to who listens.

A thread looks, on a connection of its own that works at nothing else: the others are busy, and the lock session's must
not be used. A run that ends within a second never opens it, and whatever fails here costs the figures and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg

from trending.api.status import StepAction
from trending.runner.failure import RunError
from trending.runner.history import History
from trending.runner.phase import heard_by
from trending.runner.progress import Advance, CloseProgress, Progress
from trending.runner.server_progress import ServerProgress, look
from trending.runner.session import Sessions

Connection = psycopg.Connection[Any]

_EVERY: Final = 1.0
"""Seconds between two looks."""
_FAREWELL: Final = 2.0
"""Seconds that the end of a run waits for a look under way."""


@dataclass(eq=False)
class _Activity:
    """A step that a connection works at."""

    action: StepAction
    name: str
    pid: int
    begun: float = field(default_factory=time.monotonic)
    advance: Advance | None = None
    """The phase it is in, as it was said."""


class Watch:
    """Tells a listener where the steps are, for as long as they are worked at; several threads may do so."""

    def __init__(self, sessions: Sessions, progress: Progress) -> None:
        self._sessions = sessions
        self._progress = progress if isinstance(progress, CloseProgress) else None
        self._activities: list[_Activity] = []
        self._alone = threading.Lock()
        self._over = threading.Event()
        self._looking = threading.Lock()
        self._connection: Connection | None = None
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether somebody listens."""
        return self._progress is not None

    def look_back(self, history: History, work: Sequence[tuple[StepAction, str]]) -> None:
        """Say how long this work took the last times."""
        if self._progress is not None:
            known = {(action, name): history.expected(action, name) for action, name in work}
            self._progress.expects({due: seconds for due, seconds in known.items() if seconds is not None})

    @contextmanager
    def step(self, connection: Connection, action: StepAction, name: str) -> Iterator[None]:
        """Watch what this connection does for a step, and hear what this thread says of it (see `phase`)."""
        if self._progress is None:
            yield
            return
        activity, told = _Activity(action, name, connection.info.backend_pid), self._progress

        def hear(advance: Advance) -> None:
            activity.advance = advance
            told.advances(action, name, advance)

        with self._alone:
            self._activities.append(activity)
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._watch, args=[told], name="watch", daemon=True)
                self._thread.start()
        try:
            with heard_by(hear):
                yield
        finally:
            with self._alone:
                self._activities.remove(activity)

    def give_way(self) -> None:
        """Close the connection for good: the run itself was refused one, and this may be why."""
        self._given_up.set()
        # A look takes milliseconds; one that hangs, since the server is gone, is left to itself.
        if self._looking.acquire(timeout=_FAREWELL):
            try:
                self._hang_up()
            finally:
                self._looking.release()

    def close(self) -> None:
        """End the watch."""
        self._over.set()
        self.give_way()
        if self._thread is not None:
            self._thread.join(_FAREWELL)

    def _watch(self, progress: CloseProgress) -> None:
        while not self._over.wait(_EVERY):
            with self._alone:
                activities = list(self._activities)
            told = self._look(progress, [each.pid for each in activities if time.monotonic() - each.begun >= _EVERY])
            with self._alone:
                # What has ended meanwhile is not heard of any more.
                for each in activities:
                    if each in self._activities and each.advance is not None:
                        progress.advances(each.action, each.name, _joined(each.advance, told.get(each.pid)))

    def _look(self, progress: CloseProgress, pids: list[int]) -> dict[int, ServerProgress]:
        with self._looking:
            if not pids or self._given_up.is_set():
                return {}
            try:
                if self._connection is None:
                    self._connection = self._sessions.open_to_watch()
                return look(self._connection, pids)
            except (psycopg.Error, RunError) as error:
                self._given_up.set()
                self._hang_up()
                progress.says(f"the server's own figures of progress are not shown: {self._explained(error)}")
                return {}

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _explained(self, error: psycopg.Error | RunError) -> str:
        redactor = self._sessions.access.redactor
        return redactor.driver_text(error) if isinstance(error, psycopg.Error) else str(error)


def _joined(said: Advance, told: ServerProgress | None) -> Advance:
    """Return the phase as it was said, with what the server tells of it."""
    if told is None:
        return said
    if told.total is None:
        return replace(said, detail=told.phase)
    return Advance(phase=said.phase, detail=told.phase, done=told.done, total=told.total, unit=told.unit)
