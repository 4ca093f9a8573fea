"""Runs that the cluster still knows of: retained Jobs with what their pods reported, and the status' last run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trending.api.document import Trigger
from trending.api.instant import format_instant
from trending.api.names import JOB_UID_LABEL
from trending.api.status import LastRun
from trending.controller.runs import finish, read_pods
from trending.schedule.job_names import is_manual_name
from trending.schedule.observed import Job, Schedule

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class PastRun:
    """A run, finished or active."""

    job: str
    scheduled_time: datetime | None
    start: datetime | None
    ended: LastRun | None
    """How it ended; None while it is active."""

    @property
    def trigger(self) -> Trigger:
        """Who asked for it."""
        return "Manual" if is_manual_name(self.job) else "Schedule"

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while it is active."""
        if self.ended is None or self.ended.completion_time is None or self.start is None:
            return None
        return self.ended.completion_time - self.start

    @property
    def reported(self) -> bool:
        """Whether what it did is known, not only how its Job ended."""
        return self.ended is not None and self.ended.rows_changed is not None

    @property
    def wal_bytes(self) -> int | None:
        """Write-ahead log of all its steps; None where none of them tells."""
        told = [step.wal_bytes for step in (self.ended.steps if self.ended else ()) if step.wal_bytes is not None]
        return sum(told) if told else None

    def to_json_object(self) -> dict[str, Any]:
        """Return it in the fields of status.lastRun, with `trigger` and `walBytes`; result Active while it runs."""
        if self.ended is None:
            told: dict[str, Any] = {
                "job": self.job,
                "scheduledTime": self.scheduled_time and format_instant(self.scheduled_time),
                "startTime": self.start and format_instant(self.start),
                "result": "Active",
            }
        else:
            told = self.ended.to_json_object()
        return {**told, "trigger": self.trigger, "walBytes": self.wal_bytes}


def past_runs(schedule: Schedule, jobs: Sequence[Mapping[str, Any]], pods: Sequence[dict[str, Any]]) -> list[PastRun]:
    """Return the runs of a schedule, newest first. `jobs` and `pods` are those that carry its label."""
    last = schedule.status.last_run
    runs = [_of_job(Job.from_object(body), pods, last) for body in jobs if _owner(body) == schedule.uid]
    if last and last.job not in {run.job for run in runs}:
        runs.append(_of_last(last))
    return sorted(runs, key=lambda run: (run.start or _LONG_AGO, run.job), reverse=True)


def _of_job(job: Job, pods: Sequence[dict[str, Any]], last: LastRun | None) -> PastRun:
    if last and last.job == job.name:
        return _of_last(last)
    started = job.started or job.created
    if not job.finished:
        return PastRun(job=job.name, scheduled_time=job.scheduled_time, start=started, ended=None)
    of_job = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(JOB_UID_LABEL) == job.uid]
    ended = finish(job, read_pods(of_job)).last_run
    return PastRun(job=job.name, scheduled_time=job.scheduled_time, start=started, ended=ended)


def _of_last(last: LastRun) -> PastRun:
    return PastRun(job=last.job, scheduled_time=last.scheduled_time, start=last.start_time, ended=last)


def _owner(body: Mapping[str, Any]) -> str | None:
    return Job.from_object(body).owner


def not_kept(schedule: Schedule, runs: Sequence[PastRun]) -> list[str]:
    """Say what of the past is not known here any more, and where it is."""
    spec = schedule.spec
    good, bad = spec.successful_jobs_history_limit, spec.failed_jobs_history_limit
    limits = (
        f"Of older runs nothing is kept here (successfulJobsHistoryLimit: {good}, failedJobsHistoryLimit: {bad}); "
        "table trending.run of the database keeps all."
    )
    said = [limits]
    silent = [run.job for run in runs if run.ended and not run.reported]
    if silent:
        said.append(f"What {', '.join(silent)} did is not known here: no pod of it is left that reported.")
    return said
