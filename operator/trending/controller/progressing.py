"""Condition Progressing: whether a run is active, whether its pod runs, and if not, why."""

from collections.abc import Sequence
from dataclasses import dataclass

from trending.api.status import Condition, ConditionStatus, TrendingScheduleStatus
from trending.controller.pods import quote
from trending.schedule.observed import Job

PROGRESSING = "Progressing"
_WAITING = "WaitingForPod"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What looks at the pods of a Job have found."""

    uid: str = ""
    """The Job's."""
    waits: str | None = None
    """What keeps its pod from running; empty where nothing says, None where it has not been looked at."""
    before: str | None = None
    """How the pod before this one came to its end; None where there was none, as far as is known."""


def progressing(
    active: Sequence[Job], written: Condition | None, seen: Seen, refused: str | None = None
) -> tuple[ConditionStatus, str, str]:
    """Return status, reason and message. `refused` is why the run that is due has no Job.

    A pod whose container has just ended is not ready any more, for a second or so, before the Job controller notices
    its end, and for another before it says what that means: that is no waiting for a pod, and not worth a status write.
    """
    if not active and refused:
        return "False", "Idle", f"A run is due, and its Job cannot be created: {quote(refused)}."
    if not active:
        return "False", "Idle", "No run is active."
    job = active[0]
    if seen.uid != job.uid:
        seen = Seen()
    if any(each.ending for each in active) and written and written.message.startswith(f"Job {job.name} "):
        return written.status, written.reason, written.message
    if any(each.runs for each in active) and not seen.waits:
        return "True", "RunActive", _running(job, written, seen)
    if seen.waits:
        return "True", _WAITING, f"{_waits(job.name)}: {seen.waits}."
    if written and written.reason == "RunActive" and written.message == _running(job, written, seen) and not job.failed:
        return "True", written.reason, written.message
    if seen.before:
        return "True", _WAITING, f"{_waits(job.name)}: another attempt follows the last one: {seen.before}."
    if seen.waits is None and written and written.reason == _WAITING and written.message.startswith(_waits(job.name)):
        return "True", _WAITING, written.message
    return "True", _WAITING, f"{_waits(job.name)}."


def waited_for(status: TrendingScheduleStatus, job: str) -> str | None:
    """Return what the written status says that the pod of a Job waited for; None where it says nothing of it."""
    condition = next((c for c in status.conditions if c.type == PROGRESSING and c.reason == _WAITING), None)
    prefix = f"{_waits(job)}: "
    if condition is None or not condition.message.startswith(prefix):
        return None
    return condition.message.removeprefix(prefix).removesuffix(".")


def _waits(job: str) -> str:
    return f"Job {job} waits for its pod to run"


def _running(job: Job, written: Condition | None, seen: Seen) -> str:
    """Return the sentence for a Job whose pod runs. How the one before it ended is said until the run ends, also by a
    controller that has not seen it itself."""
    again = f"Job {job.name} is running again: "
    if seen.before:
        return f"{again}{seen.before}."
    if written and written.message.startswith(again):
        return written.message
    return f"Job {job.name} is running."
