"""Late starts, spread: after a downtime of the controller or the API server the backlog comes piece by piece.

A slot that is on time starts at once, whatever waits. One that is late for more than 30 s takes its turn: a hundred
go at once, then twenty a second, so that ten thousand are started in eight minutes, and neither the API server, nor
the nodes, nor the databases behind meet them all in one second. Where such a turn would come after the slot's
startingDeadlineSeconds, the slot does not wait for it: the deadline is a promise, spreading is a courtesy.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trending.api.instant import format_instant
from trending.controller.store import Key
from trending.schedule.decided import Decision
from trending.schedule.observed import Schedule

LATE: Final = timedelta(seconds=30)
"""From so much after its time on a slot is late; less is the controller's own doing, under load."""
BURST: Final = 100
"""So many late starts go at once."""
A_SECOND: Final = 20.0
"""So many follow each second."""


class LateStarts:
    """Gives late starts their turns, in the order in which they ask.

    `timer` counts seconds, whatever the clock does.
    """

    def __init__(self, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._next = float("-inf")
        self._turns: dict[Key, float] = {}

    def hold(self, schedule: Schedule, decision: Decision, now: datetime) -> Decision:
        """Return the decision, or that to wait for its turn where it is to start a slot that is late."""
        key = Key(schedule.namespace, schedule.name)
        due = decision.due_time
        if not decision.starts or decision.trigger != "Schedule" or due is None or now - due < LATE:
            self._turns.pop(key, None)
            return decision
        seconds = self._take_turn(key) - self._timer()
        turn = now + timedelta(seconds=seconds)
        if seconds <= 0 or _expires_by(schedule, due, turn):
            del self._turns[key]
            return decision
        return replace(
            decision,
            action="skip",
            reason=None,
            because=f"Slot {format_instant(due)} is late, as others are: it waits for its turn.",
            started=None,
            next_schedule_time=due,
            wake=min(turn, decision.wake or turn),
            replaces=(),
            events=tuple(event for event in decision.events if event.reason != "SuccessfulCreate"),
        )

    def forget(self, key: Key) -> None:
        """Forget the turn of a schedule that is gone."""
        self._turns.pop(key, None)

    def _take_turn(self, key: Key) -> float:
        """Return when the turn of a key comes, by the timer; it is asked for once."""
        if key not in self._turns:
            self._next = max(self._next, self._timer() - BURST / A_SECOND) + 1 / A_SECOND
            self._turns[key] = self._next
        return self._turns[key]


def _expires_by(schedule: Schedule, due: datetime, at: datetime) -> bool:
    """Tell whether a slot may no longer be started then."""
    deadline = schedule.spec.starting_deadline_seconds
    return deadline is not None and at - due >= timedelta(seconds=deadline)
