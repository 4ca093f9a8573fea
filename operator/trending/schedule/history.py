"""Which Jobs are recorded in the status, and which finished ones are more than the history limits keep."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from trending.api.status import LastRun, TrendingScheduleStatus
from trending.schedule.job_names import slot_minute
from trending.schedule.observed import Finish, Job

_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


def is_recorded(job: Job, status: TrendingScheduleStatus, jobs: Iterable[Job]) -> bool:
    """Tell whether a finished Job's end is in the written status. `jobs` are those that there are.

    Runs of a schedule do not overlap, so the newest finished run stands for all before it. Which are before it, the
    slots say of slots' runs. Where one of the two was started by hand, a run that the status calls active is not told,
    and of others clocks decide: the API server's by which Jobs are created, and that of the controller manager, or of
    the operator where a run was replaced, by which they end. Each of these may be wrong for a while, so that one is
    newer which is so by both.
    """
    last_run = status.last_run
    if last_run is None or job.ended is None:
        return False
    if job.name == last_run.job:
        return True
    if job.trigger == "Schedule" and job.scheduled_time and last_run.scheduled_time and slot_minute(last_run.job):
        return job.scheduled_time < last_run.scheduled_time
    if job.uid in {run.uid for run in status.active}:
        return False
    newest = next((each for each in jobs if each.name == last_run.job), None)
    if newest and _order(job) < _order(newest):
        return True
    return _ended_before(job, last_run)


def _ended_before(job: Job, last_run: LastRun) -> bool:
    started = job.started or job.created
    if last_run.completion_time is None or job.ended is None:
        return False
    if last_run.result == "Replaced" and last_run.start_time and started > last_run.start_time:
        return False
    end = (last_run.completion_time, last_run.start_time or last_run.completion_time, last_run.job)
    return (job.ended, started, job.name) < end


def unrecorded(jobs: Sequence[Job], status: TrendingScheduleStatus) -> list[Job]:
    """Return the finished Jobs whose end the status does not tell yet, oldest first."""
    return sorted((job for job in jobs if job.finished and not is_recorded(job, status, jobs)), key=_order)


def _order(job: Job) -> tuple[datetime, datetime, datetime, str]:
    """Return what orders runs: of those that were created in the same second the one that ended later, or started
    later, is the newer."""
    return job.created, job.ended or _NEWEST, job.started or job.created, job.name


def surplus(
    jobs: Sequence[Job], *, succeeded_limit: int, failed_limit: int, status: TrendingScheduleStatus
) -> list[str]:
    """Return the names of recorded Jobs beyond the history limits, oldest first.

    By start time, one that never started counting as newest, ties by name; succeeded and failed Jobs apart.
    """
    names: list[str] = []
    limits: tuple[tuple[Finish, int], ...] = (("Complete", succeeded_limit), ("Failed", failed_limit))
    for finish, limit in limits:
        kept = sorted((j for j in jobs if j.finished == finish), key=lambda job: (job.started or _NEWEST, job.name))
        names += [job.name for job in kept[: max(0, len(kept) - limit)] if is_recorded(job, status, jobs)]
    return names
