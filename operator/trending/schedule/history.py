"""Which Jobs are recorded in the status, and which finished ones are more than the history limits keep."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from trending.api.status import LastRun
from trending.schedule.observed import Finish, Job

_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


def is_recorded(job: Job, last_run: LastRun | None) -> bool:
    """Tell whether a finished Job's end is in the written status.

    Runs of a schedule do not overlap, so the newest finished run stands for all that ended before it; of two that
    ended in the same second, the one that started later came later, else the one whose name comes later: told in this
    order, the last one stands for all. Where the newest was replaced, its end is told by the controller's clock, which
    may be ahead of the API server's: no run that started after it can have been told.
    """
    if last_run is None or job.ended is None:
        return False
    if job.name == last_run.job:
        return True
    if last_run.completion_time is None:
        return False
    started = job.started or job.created
    if last_run.result == "Replaced" and last_run.start_time and started > last_run.start_time:
        return False
    newest = (last_run.completion_time, last_run.start_time or last_run.completion_time, last_run.job)
    return (job.ended, started, job.name) < newest


def unrecorded(jobs: Iterable[Job], last_run: LastRun | None) -> list[Job]:
    """Return the finished Jobs whose end the status does not tell yet, oldest first."""
    open_ends = [job for job in jobs if job.finished and not is_recorded(job, last_run)]
    return sorted(open_ends, key=lambda job: (job.ended or _NEWEST, job.started or job.created, job.name))


def surplus(jobs: Iterable[Job], *, succeeded_limit: int, failed_limit: int, last_run: LastRun | None) -> list[str]:
    """Return the names of recorded Jobs beyond the history limits, oldest first.

    By start time, one that never started counting as newest, ties by name; succeeded and failed Jobs apart.
    """
    names: list[str] = []
    limits: tuple[tuple[Finish, int], ...] = (("Complete", succeeded_limit), ("Failed", failed_limit))
    jobs = list(jobs)
    for finish, limit in limits:
        kept = sorted((j for j in jobs if j.finished == finish), key=lambda job: (job.started or _NEWEST, job.name))
        names += [job.name for job in kept[: max(0, len(kept) - limit)] if is_recorded(job, last_run)]
    return names
