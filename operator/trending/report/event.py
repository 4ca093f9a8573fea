"""What a run says of itself while it goes, one JSON object a line: written in its pod, read by whoever follows it."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, ValidationError

from trending.api.instant import PreciseInstant
from trending.api.model import ApiModel
from trending.api.status import Result, Step, StepAction
from trending.report.model import RunReason

EventKind = Literal["plan", "start", "progress", "say", "end", "report"]


class Work(ApiModel):
    """A step that is to be done."""

    model_config = ConfigDict(extra="ignore")

    action: StepAction
    """Refresh or Rewrite."""
    name: str
    """The view's or the target's name."""
    expected_seconds: float | None = None
    """What it took the last times; absent where that is not known."""


class RunEvent(ApiModel):
    """One line. Which fields it has depends on `event`; fields that a reader does not know are to be passed over."""

    model_config = ConfigDict(extra="ignore")

    time: PreciseInstant
    """When it was said, by the clock of the pod's node."""
    event: EventKind
    """plan: what is to be done; start, progress, end: of one step; say: a remark; report: how the run ended."""
    work: tuple[Work, ...] | None = None
    """plan: the steps, in order."""
    action: StepAction | None = None
    """start, progress: Refresh or Rewrite."""
    name: str | None = None
    """start, progress: the view's or the target's name."""
    phase: str | None = None
    """progress: what is being done, such as `staging` or `building index 2 of 6`."""
    detail: str | None = None
    """progress: where in that the server is, in the words of its pg_stat_progress_* views."""
    done: int | None = None
    """progress: how many units are behind; absent where the server does not tell."""
    total: int | None = None
    """progress: how many there are."""
    unit: str | None = None
    """progress: what is counted: rows, tuples, blocks, indexes, lockers."""
    text: str | None = None
    """say: a sentence for people."""
    step: Step | None = None
    """end: how the step went, as in status.lastRun.steps; without seconds where it was not done."""
    result: Result | None = None
    """report: how the run ended."""
    reason: RunReason | None = None
    """report: one word for programs."""
    message: str | None = None
    """report: a sentence for people."""
    exit_code: int | None = None
    """report: what the process ends with: 0, 1 where another attempt may succeed, 2 where not."""

    def to_line(self) -> str:
        """Return the event as compact JSON on one line, absent fields left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def read_event(line: str) -> RunEvent | None:
    """Read a line of a run's log; None where it is none of these, such as the report or a driver's warning."""
    if not line.startswith("{"):
        return None
    try:
        return RunEvent.model_validate_json(line)
    except ValidationError:
        return None
