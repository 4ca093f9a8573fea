"""Condition Progressing: whether a run is active, whether its pod runs, and if not, why."""

from collections.abc import Mapping, Sequence

from trending.api.status import Condition, ConditionStatus, TrendingScheduleStatus
from trending.controller.pods import quote
from trending.schedule.observed import Job

PROGRESSING = "Progressing"
_WAITING = "WaitingForPod"


def progressing(
    active: Sequence[Job], before: Condition | None, waits: Mapping[str, str], refused: str | None = None
) -> tuple[ConditionStatus, str, str]:
    """Return status, reason and message. `waits` says by the uid of a Job what keeps its pod from running; empty where
    nothing says, absent where it has not been looked at. `refused` is why the run that is due has no Job.

    A pod whose container has just ended is not ready any more, for a second or so, before the Job controller notices
    its end: that is no waiting for a pod, and not worth a status write.
    """
    if not active and refused:
        return "False", "Idle", f"A run is due, and its Job cannot be created: {quote(refused)}."
    if not active:
        return "False", "Idle", "No run is active."
    job = active[0]
    running = ("RunActive", f"Job {job.name} is running.")
    if any(each.ready for each in active):
        return "True", *running
    told = waits.get(job.uid)
    if told:
        return "True", _WAITING, f"{_waits(job.name)}: {told}."
    if before and (before.reason, before.message) == running and not job.failed:
        return "True", *running
    if told is None and before and before.reason == _WAITING and before.message.startswith(_waits(job.name)):
        return "True", _WAITING, before.message
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
