"""Finished runs: a Job's end and what its pod left behind, in the words of `status.lastRun`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trending.api.duration import format_duration
from trending.api.status import LastRun
from trending.controller.pods import by_age, has_ended, how_it_ended, termination_of, who_took
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
    """How it ended where it left none, in a clause."""
    taken: str | None = None
    """Who took the newest pod away, in a clause, where it did not end of itself."""
    pods: int = 0
    """How many pods there are."""
    waited: str | None = None
    """What the last pod waited for, as the status tells, where it never ran."""


def read_pods(pods: Sequence[dict[str, Any]]) -> Remains:
    """Read what the newest pod of a Job that has ended left behind."""
    ended = [pod for pod in by_age(pods) if has_ended(pod)]
    if not ended:
        return Remains(pods=len(pods))
    end = termination_of(ended[-1])
    report = read_termination_message(end.get("message")) if end else None
    death = None if report else how_it_ended(ended[-1])
    return Remains(report=report, death=death, taken=who_took(ended[-1]), pods=len(pods))


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


def as_replaced(job: Job, *, by: str, now: datetime, waited: str | None = None) -> Job:
    """Return an active Job as one that has been deleted to make way for Job `by`; no condition tells that any more.

    `waited` is what its pod waited for, where it never ran.
    """
    message = f"The run was ended to make way for Job {by}{_while_waiting(waited)}; nothing half written remains."
    # By a clock that is behind it would have ended before it started, and before runs that are told already.
    ended = max(now.replace(microsecond=0), job.started or job.created)
    return replace(job, finished="Failed", ended=ended, end_reason=_REASON_REPLACED, end_message=message)


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
    told = _from_report(report, job, remains) if report else _without_report(job, remains)
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


def _from_report(report: Report, job: Job, remains: Remains) -> dict[str, Any]:
    # That it was stopped it knows itself, but not by whom.
    taken = f"; {remains.taken}" if remains.taken and job.finished == "Failed" else ""
    return {
        "result": report.result,
        "reason": report.reason,
        "message": f"{report.message}{taken}",
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
        waiting = _while_waiting(remains.waited) or " and its pod deleted before it could report"
        message = f"The run was ended by activeDeadlineSeconds{waiting}; nothing half written remains."
        return {"result": "DeadlineExceeded", "reason": _REASON_DEADLINE, "message": message}
    if is_replaced(job):
        return {"result": "Replaced", "reason": _REASON_REPLACED, "message": job.end_message}
    how = remains.death or "it left no report"
    words = ": ".join(filter(None, (job.end_reason, job.end_message)))
    why = f"; {words}" if words else ""
    return {"result": "Failed", "reason": "JobFailed", "message": f"The run failed and {how}{why}"}


def _while_waiting(waited: str | None) -> str:
    return f" while it waited for its pod to run: {waited}" if waited else ""
