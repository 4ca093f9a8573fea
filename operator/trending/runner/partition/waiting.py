"""How locks are waited for here: politely, as in a run, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import psycopg
from psycopg import sql

from trending.api.status import Step, StepAction
from trending.runner.failure import RunError
from trending.runner.patience import Patience, lock_timeout
from trending.runner.stop import Stop

Connection = psycopg.Connection[Any]


class Listener(Protocol):
    """Who is told how it goes."""

    def says(self, text: str) -> None:
        """Hear what is being done or waited for."""
        ...

    def copied(self, rows: int, of: int) -> None:
        """Hear how many rows have been copied so far."""
        ...


class Waits:
    """Waits for locks, for each at most so long."""

    def __init__(self, seconds: float, stop: Stop, listener: Listener) -> None:
        self._seconds = seconds
        self._patience = Patience(stop, _Sayings(listener))

    def until_had(self, what: str, action: Callable[[float], None], blockers: Callable[[], str]) -> None:
        """Call `action` with the seconds it may wait, again and again, as long as this may wait for a lock."""
        latest = time.monotonic() + self._seconds

        def attempt(seconds: float) -> None:
            try:
                action(seconds)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                if time.monotonic() >= latest:
                    raise RunError(
                        f"{what} could not be had within {self._seconds:.0f} s, held by {blockers()}"
                    ) from None
                raise psycopg.errors.LockNotAvailable(str(error)) from None

        self._patience.until_had(what, attempt, blockers)


def try_all(connection: Connection, seconds: float, statements: Iterable[sql.Composed]) -> None:
    """Execute the statements, each of which may wait so long for a lock; none has been when one has failed."""
    with connection.transaction():
        connection.execute(lock_timeout(seconds))
        for statement in statements:
            connection.execute(statement)


class _Sayings:
    """Passes on what Patience says."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        """Hear nothing of a run."""

    def starts(self, action: StepAction, name: str) -> None:
        """Hear nothing of a run."""

    def ends(self, step: Step) -> None:
        """Hear nothing of a run."""

    def says(self, text: str) -> None:
        """Pass it on."""
        self._listener.says(text)
