"""Waiting in tests: until something is so, with a deadline that only a fault comes near."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

Found = TypeVar("Found")

SECONDS: Final = 180.0
"""How long a test waits by default for what takes some seconds at most. It goes on as soon as it comes, so a long
deadline costs nothing but where something is wrong; and a shared machine has bad minutes."""


class TooLateError(AssertionError):
    """What a test waits for did not come about in time; the text says what that was, and how things stand."""


def until(read: Callable[[], Found | None], *, what: str, seconds: float = SECONDS, pause: float = 0.2) -> Found:
    """Ask again and again what nothing can be watched for, until the answer is true; raises TooLateError."""
    deadline = time.monotonic() + seconds
    while True:
        answer = read()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TooLateError(
                f"{what}: this did not come about within {seconds:.0f} s; the last answer was {answer!r}"
            )
        time.sleep(pause)
