"""A run is told to stop once, by whatever comes first, and waits for nothing longer."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from trending.runner.stop import DeadlineError, Stop, StoppedError


def in_seconds(seconds: float) -> Stop:
    return Stop(datetime.now(UTC) + timedelta(seconds=seconds))


def test_the_deadline_ends_a_wait() -> None:
    stop = in_seconds(0.2)
    with stop.watching():
        begun = time.monotonic()
        with pytest.raises(DeadlineError, match=r"the run's time was over at .*spec\.activeDeadlineSeconds"):
            stop.wait(30)
        assert time.monotonic() - begun < 5


def test_a_signal_ends_a_wait_and_is_named() -> None:
    stop = in_seconds(60)
    with stop.watching(signal.SIGTERM):
        stop.check()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        with pytest.raises(StoppedError, match="the run was stopped by SIGTERM"):
            stop.wait(30)
        timer.join()


def test_the_first_cause_counts() -> None:
    stop = in_seconds(0.5)
    with stop.watching(signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError) as caught:
            stop.wait(30)
        time.sleep(0.6)  # the deadline passes too
        assert stop.error is caught.value
        assert not isinstance(stop.error, DeadlineError)


def test_handlers_are_put_back_and_the_watch_ends() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = in_seconds(60)
    with stop.watching(signal.SIGTERM):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert not any(thread.name == "stop" for thread in threading.enumerate())


def test_what_was_done_is_added_to_the_sentence() -> None:
    stop = in_seconds(-1)
    said = r"\(spec.activeDeadlineSeconds\) while waiting for a lock$"
    with stop.watching(), pytest.raises(DeadlineError, match=said), stop.explained("while waiting for a lock"):
        stop.wait(30)


def test_a_deadline_beyond_what_a_thread_can_wait_for_is_none() -> None:
    stop = Stop(datetime(9999, 1, 1, tzinfo=UTC))
    with stop.watching():
        stop.wait(0.05)


def test_once_the_work_has_ended_nothing_is_interrupted() -> None:
    stop = in_seconds(0.1)
    with stop.watching():
        stop.ended()
        stop.wait(0.3)
