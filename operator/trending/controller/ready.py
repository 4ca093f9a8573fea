"""Schedules that wait for a pass: the most urgent first, and of equally urgent ones each namespace in its turn.

So a namespace with a thousand schedules that are due delays another one's by one pass, not by a thousand.
"""

from enum import IntEnum
from typing import Final

from trending.controller.store import Key


class Urgency(IntEnum):
    """Why a schedule is to be looked at; the lesser goes first."""

    REQUESTED = 0
    """Somebody asks for a run, and waits for it."""
    DUE = 1
    """Its time has come: a slot, a deadline, data that become stale."""
    CHANGED = 2
    """Something about it has changed, which its status is to tell."""


class Ready:
    """A queue of keys, each in it once."""

    def __init__(self) -> None:
        self._queues: Final[dict[Urgency, dict[str, dict[Key, None]]]] = {urgency: {} for urgency in Urgency}
        self._urgency: dict[Key, Urgency] = {}

    def __len__(self) -> int:
        return len(self._urgency)

    def put(self, key: Key, urgency: Urgency) -> None:
        """Have a key wait; one that waits already becomes as urgent as the more urgent of its two reasons."""
        known = self._urgency.get(key)
        if known is not None:
            if known <= urgency:
                return
            self._remove(key, known)
        self._urgency[key] = urgency
        self._queues[urgency].setdefault(key.namespace, {})[key] = None

    def take(self) -> Key | None:
        """Take the key whose turn it is; None where none waits."""
        for urgency, namespaces in self._queues.items():
            if namespaces:
                key = next(iter(namespaces[next(iter(namespaces))]))
                self._remove(key, urgency)
                if key.namespace in namespaces:  # behind the others
                    namespaces[key.namespace] = namespaces.pop(key.namespace)
                return key
        return None

    def holds(self, urgency: Urgency) -> bool:
        """Tell whether a key waits that is at least so urgent."""
        return any(self._queues[each] for each in Urgency if each <= urgency)

    def _remove(self, key: Key, urgency: Urgency) -> None:
        del self._urgency[key]
        keys = self._queues[urgency][key.namespace]
        del keys[key]
        if not keys:
            del self._queues[urgency][key.namespace]
