"""Spread: the ticks of many schedules are drawn apart, so that they do not all start in the same second."""

import hashlib
from datetime import timedelta

_BITS = 64


def offset_of(namespace: str, name: str, spread: timedelta) -> timedelta:
    """Return how much later than its slots a schedule starts: whole seconds, less than `spread`.

    It hangs on the schedule's namespace and name alone, and so is the same for every slot and every controller.
    """
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()[: _BITS // 8]
    return timedelta(seconds=int.from_bytes(digest) * int(spread.total_seconds()) >> _BITS)
