"""How a run is stopped before its end: by a signal or by its deadline, in the middle of a statement too.

A thread of its own watches. When the time has come it cancels what the connections are doing, again and again until the
run has noticed: a cancellation that arrives between two statements is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from trending.api.instant import format_instant
from trending.api.status import Result
from trending.report.model import RunReason
from trending.runner.failure import RunError

Connection = psycopg.Connection[Any]

_CANCEL_EVERY: Final = 0.2
"""Seconds between two cancellations."""
_PATIENCE: Final = 8.0
"""Seconds after which a connection that does not heed cancellations is cut: its server may be gone without a word."""


class StoppedError(RunError):
    """The run was told to stop."""

    result: Result = "Failed"


class DeadlineError(StoppedError):
    """The run ran out of time."""

    reason: RunReason = "DeadlineExceeded"
    result = "DeadlineExceeded"


class Stop:
    """Whether the run is to stop, and the means to have it notice."""

    def __init__(self, deadline: datetime) -> None:
        """`deadline` is when the run stops by itself."""
        self._deadline = deadline
        self._latest = time.monotonic() + (deadline - datetime.now(UTC)).total_seconds()
        # A signal's handler may run in the middle of anything: of what threads have in common, only this queue's
        # put() is safe there.
        self._signals: SimpleQueue[str] = SimpleQueue()
        self._told = threading.Event()
        self._over = threading.Event()
        self._error: StoppedError | None = None
        self._connections: set[Connection] = set()
        # Held while a cancellation is under way, so that none is when `ended` returns.
        self._cancelling = threading.Lock()

    @contextlib.contextmanager
    def watching(self, *signals: signal.Signals) -> Iterator[None]:
        """Watch the clock and these signals (from the main thread only); afterwards the old handlers are back."""
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        watch = threading.Thread(target=self._watch, name="stop", daemon=True)
        watch.start()
        try:
            yield
        finally:
            self.ended()
            watch.join()
            for number, handler in before.items():
                signal.signal(number, handler)

    def covers(self, connection: Connection) -> None:
        """Have this connection's statements cancelled when the run is to stop."""
        with self._cancelling:
            self._connections.add(connection)

    def ended(self) -> None:
        """Say that the work is done or given up: what follows, the report, is not interrupted any more."""
        self._over.set()
        self._signals.put("")
        with self._cancelling:
            self._connections.clear()

    @property
    def error(self) -> StoppedError | None:
        """Why the run is to stop; None while it may go on."""
        return self._error

    @property
    def seconds_left(self) -> float:
        """Seconds until the run is to stop by itself; less than 0 afterwards."""
        return self._latest - time.monotonic()

    def check(self) -> None:
        """Raise StoppedError or DeadlineError where the run is to stop."""
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass; raise StoppedError or DeadlineError as soon as the run is to stop."""
        self._told.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Add what was being done, such as "while waiting for ..", to a StoppedError that passes."""
        try:
            yield
        except StoppedError as error:
            raise type(error)(f"{error} {doing}") from None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(signal.Signals(number).name)
        # Whoever asks a second time does not want to wait for a report.
        signal.signal(number, signal.SIG_DFL)

    def _watch(self) -> None:
        try:
            name = self._signals.get(timeout=min(max(0.0, self._latest - time.monotonic()), threading.TIMEOUT_MAX))
        except Empty:
            at = format_instant(self._deadline)
            self._error = DeadlineError(f"the run's time was over at {at} (spec.activeDeadlineSeconds)")
        else:
            if not name:
                return
            self._error = StoppedError(f"the run was stopped by {name}")
        self._told.set()
        cut_at = time.monotonic() + _PATIENCE
        while not self._over.wait(_CANCEL_EVERY):
            self._interrupt(cut=time.monotonic() >= cut_at)

    def _interrupt(self, *, cut: bool) -> None:
        with self._cancelling:
            for connection in self._connections:
                # It may end, or be closed by the run, while we look at it: then there is nothing left to interrupt.
                with contextlib.suppress(psycopg.Error, OSError):
                    if connection.info.transaction_status == TransactionStatus.ACTIVE:
                        _cut(connection) if cut else connection.cancel_safe(timeout=2)


def _cut(connection: Connection) -> None:
    """Shut the connection's socket down, which wakes whoever waits for it; the server rolls back."""
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
