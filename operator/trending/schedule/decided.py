"""What a decision says: what to do with a schedule now, how far scheduling has come, what to tell."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trending.api.document import Trigger
from trending.api.status import ObservedSchedule

Action = Literal["start", "replace", "skip", "wait", "none"]
"""start: a run starts now; replace: the same after an active Job is deleted; skip: a slot is due and is held back;
wait: nothing is due; none: the schedule is suspended, invalid or being deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An event to send, once."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    key: str
    """What it is about; the same reason and key are sent once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a schedule is not accepted."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far scheduling has come, as the status is to say it."""

    schedule_since: datetime
    observed: ObservedSchedule
    last_schedule_time: datetime | None
    last_missed_time: datetime | None
    last_handled_request: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to do with a schedule now."""

    action: Action
    progress: Progress
    """How far scheduling has come without the start."""
    started: Progress | None = None
    """How far it has come once the Job is there; None where none is started."""
    reason: str | None = None
    """The word of the event that says why nothing is started, or that something is."""
    because: str = ""
    """A sentence that says why this is done, or why nothing is."""
    job: str | None = None
    """The Job to start, or that would have been."""
    trigger: Trigger = "Schedule"
    scheduled_time: datetime | None = None
    """The slot that is started or held; for a run by hand the second it is started in."""
    due_time: datetime | None = None
    """When that slot was due: with spread, so much later; for a run by hand the same second."""
    next_schedule_time: datetime | None = None
    """When the next slot may start."""
    wake: datetime | None = None
    """When to decide again, though nothing else happens."""
    missed: int = 0
    """How many slots are newly missed, counted up to 101."""
    replaces: tuple[str, ...] = ()
    """Active Jobs to delete before the start."""
    deletes: tuple[str, ...] = ()
    """Finished Jobs beyond the history limits."""
    events: tuple[Event, ...] = ()
    refusal: Refusal | None = None
    """Why the schedule is not accepted; None where it is."""

    @property
    def starts(self) -> bool:
        """Whether a run is to start now."""
        return self.action in ("start", "replace")
