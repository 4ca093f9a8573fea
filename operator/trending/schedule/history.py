"""Which Jobs are recorded in the status, and which finished ones are more than the history limits keep."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from trending.api.status import LastRun
from trending.schedule.job_names import is_manual_name
from trending.schedule.observed import Finish, Job

_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


def is_recorded(job: Job, last_run: LastRun | None, jobs: Iterable[Job]) -> bool:
    """Tell whether a finished Job's end is in the written status. `jobs` are those that there are.

    Runs of a schedule do not overlap, so the newest finished run stands for all before it. What is before it, the API
    server's clock says while the newest run's Job is there, and the slots where both are slots' runs; else the ends do.
    Ends are told by the clock of whichever controller manager leads, and by the operator's where a run was replaced:
    one of these may be ahead for a while, and no run after it shall go untold for that.
    """
    if last_run is None or job.ended is None:
        return False
    if job.name == last_run.job:
        return True
    newest = next((each for each in jobs if each.name == last_run.job), None)
    if newest:
        return _order(job) < _order(newest)
    if last_run.completion_time is None:
        return False
    if (
        last_run.scheduled_time
        and job.scheduled_time
        and not is_manual_name(last_run.job)
        and job.trigger == "Schedule"
    ):
        return job.scheduled_time < last_run.scheduled_time
    started = job.started or job.created
    if last_run.result == "Replaced" and last_run.start_time and started > last_run.start_time:
        return False
    end = (last_run.completion_time, last_run.start_time or last_run.completion_time, last_run.job)
    return (job.ended, started, job.name) < end


def unrecorded(jobs: Sequence[Job], last_run: LastRun | None) -> list[Job]:
    """Return the finished Jobs whose end the status does not tell yet, oldest first."""
    return sorted((job for job in jobs if job.finished and not is_recorded(job, last_run, jobs)), key=_order)


def _order(job: Job) -> tuple[datetime, datetime, datetime, str]:
    """Return what orders runs: of those that were created in the same second the one that ended later, or started
    later, is the newer."""
    return job.created, job.ended or _NEWEST, job.started or job.created, job.name


def surplus(jobs: Sequence[Job], *, succeeded_limit: int, failed_limit: int, last_run: LastRun | None) -> list[str]:
    """Return the names of recorded Jobs beyond the history limits, oldest first.

    By start time, one that never started counting as newest, ties by name; succeeded and failed Jobs apart.
    """
    names: list[str] = []
    limits: tuple[tuple[Finish, int], ...] = (("Complete", succeeded_limit), ("Failed", failed_limit))
    for finish, limit in limits:
        kept = sorted((j for j in jobs if j.finished == finish), key=lambda job: (job.started or _NEWEST, job.name))
        names += [job.name for job in kept[: max(0, len(kept) - limit)] if is_recorded(job, last_run, jobs)]
    return names
