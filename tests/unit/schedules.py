"""Schedules and Jobs as the unit tests need them. All times are of one day."""

from datetime import UTC, datetime
from typing import Any

from trending.api.spec import TrendingScheduleSpec
from trending.api.status import ObservedSchedule, TrendingScheduleStatus
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule

SPEC: dict[str, Any] = {
    "schedule": "0 * * * *",
    "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
    "rewrite": [{"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
}


def at(time: str) -> datetime:
    """Read `10:20` or `10:20:30` as a time of the day that all tests are about."""
    return datetime.fromisoformat(f"2026-11-23T{time}").replace(tzinfo=UTC)


def schedule(*, created: str = "08:30", requested: str | None = None, status: Any = None, **spec: Any) -> Schedule:
    """Build a schedule; `status` are fields of a status that was written before, in Python's names."""
    merged = {**SPEC, **spec}
    return Schedule(
        namespace="default",
        name="hourly",
        uid="u1",
        generation=1,
        resource_version="1",
        created=at(created),
        deleting=False,
        requested_at=requested,
        spec=TrendingScheduleSpec.model_validate(merged),
        status=status or TrendingScheduleStatus(),
        raw_spec=merged,
    )


def written(*, since: str = "08:30", expression: str = "0 * * * *", zone: str = "Etc/UTC", **fields: Any) -> Any:
    """Build the status of a schedule that was seen before and was not suspended."""
    fields.setdefault("next_schedule_time", at("11:00"))
    return TrendingScheduleStatus(
        schedule_since=at(since), observed_schedule=ObservedSchedule(schedule=expression, time_zone=zone), **fields
    )


def job(
    slot: str, *, ended: str | None = None, finished: Any = None, owner: str = "u1", request: str | None = None
) -> Job:
    """Build the Job of a slot, or of a request made at that time; active unless it ended."""
    time = at(slot)
    return Job(
        namespace="default",
        name=manual_job_name("hourly", request) if request else slot_job_name("hourly", time),
        uid=f"job-{slot}",
        owner=owner,
        created=time,
        started=time,
        scheduled_time=time,
        trigger="Manual" if request else "Schedule",
        finished=finished or ("Complete" if ended else None),
        ended=at(ended) if ended else None,
    )
