"""Finished runs: a Job's end and what its pod left behind, in the words of `status.lastRun`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trending.api.duration import format_duration
from trending.api.names import RUN_CONTAINER
from trending.api.status import LastRun
from trending.report import Report, read_termination_message
from trending.schedule.observed import Job

_REASON_DEADLINE = "DeadlineExceeded"
_REASON_REPLACED = "Replaced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remains:
    """What the pods of a Job left behind."""

    report: Report | None = None
    """The newest pod's report; None where it left none."""
    death: str | None = None
    """How its container ended where it left none, such as `OOMKilled, exit code 137`."""
    pods: int = 0
    """How many pods there are."""


def read_pods(pods: Sequence[dict[str, Any]]) -> Remains:
    """Read what the newest pod of a Job left behind.

    The newest by creation: a container that was lost with its node has no finishedAt.
    """
    ends: list[dict[str, Any]] = []
    for pod in sorted(pods, key=lambda pod: str((pod.get("metadata") or {}).get("creationTimestamp") or "")):
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            end = (container.get("state") or {}).get("terminated")
            if container.get("name") == RUN_CONTAINER and end:
                ends.append(end)
    if not ends:
        return Remains(pods=len(pods))
    newest = ends[-1]
    report = read_termination_message(newest.get("message"))
    death = None if report else f"{newest.get('reason') or 'Error'}, exit code {newest.get('exitCode')}"
    return Remains(report=report, death=death, pods=len(pods))


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRun:
    """A run that has ended."""

    job: Job
    last_run: LastRun
    report: Report | None

    @property
    def failed(self) -> bool:
        """Whether it counts as a failure; one that was superseded or replaced is neither failure nor success."""
        return self.last_run.result in ("Failed", "DeadlineExceeded")

    @property
    def succeeded(self) -> bool:
        """Whether it counts as a success."""
        return self.last_run.result == "Succeeded"


def as_replaced(job: Job, *, by: str, now: datetime) -> Job:
    """Return an active Job as one that has been deleted to make way for Job `by`; no condition tells that any more."""
    message = f"The run was ended to make way for Job {by}; nothing half written remains."
    return replace(
        job, finished="Failed", ended=now.replace(microsecond=0), end_reason=_REASON_REPLACED, end_message=message
    )


def is_replaced(job: Job) -> bool:
    """Tell whether a Job is one that has been deleted to make way for another."""
    return job.end_reason == _REASON_REPLACED


def finish_replaced(job: Job) -> FinishedRun:
    """Tell of a run whose Job was deleted to make way for another; its pods go with it, and so does their report."""
    return finish(job, Remains(pods=job.failed + 1))


def finish(job: Job, remains: Remains) -> FinishedRun:
    """Tell how a finished Job's run went: from its report, else from the Job's own end."""
    ended = job.ended or job.created
    started = job.started or job.created
    report = remains.report if remains.report and _fits(job, remains.report) else None
    told = _from_report(report) if report else _without_report(job, remains)
    # A report counts the attempts that reached the database, by its ledger; pods that were deleted are not there.
    attempts = max(remains.pods, report.attempts if report else 0)
    last_run = LastRun(
        job=job.name,
        scheduled_time=job.scheduled_time,
        start_time=started,
        completion_time=ended,
        duration=format_duration(ended - started),
        attempts=attempts or None,
        **told,
    )
    return FinishedRun(job=job, last_run=last_run, report=report)


def _fits(job: Job, report: Report) -> bool:
    """Tell whether a report is of the attempt that ended the Job; a killed last attempt leaves the one before it
    standing."""
    if job.end_reason == _REASON_DEADLINE:  # the Job controller has deleted the pod of the attempt that was running
        return report.result == "DeadlineExceeded"
    good = report.result in ("Succeeded", "Superseded")
    return good == (job.finished == "Complete")


def _from_report(report: Report) -> dict[str, Any]:
    return {
        "result": report.result,
        "reason": report.reason,
        "message": report.message,
        "rows_changed": report.rows_changed,
        "strategies": report.strategies or None,
        "steps": report.steps,
    }


def _without_report(job: Job, remains: Remains) -> dict[str, Any]:
    if job.finished == "Complete":
        message = (
            "The run succeeded, but its report could not be read; the next run's report tells the data timestamps."
        )
        return {"result": "Succeeded", "reason": "RunSucceeded", "message": message}
    if job.end_reason == _REASON_DEADLINE:
        message = (
            "The run was ended by activeDeadlineSeconds and its pod deleted before it could report; "
            "nothing half written remains."
        )
        return {"result": "DeadlineExceeded", "reason": _REASON_DEADLINE, "message": message}
    if is_replaced(job):
        return {"result": "Replaced", "reason": _REASON_REPLACED, "message": job.end_message}
    how = f"its container ended without a report ({remains.death})" if remains.death else "it left no report"
    why = f"; {job.end_reason}: {job.end_message}" if job.end_reason else ""
    return {"result": "Failed", "reason": "JobFailed", "message": f"The run failed and {how}{why}"}
