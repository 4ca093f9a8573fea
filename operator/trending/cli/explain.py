"""`trending explain`: what the controller would do with a schedule, and why."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from pydantic import ValidationError

from trending.api.duration import format_duration
from trending.api.instant import format_instant, parse_instant
from trending.api.names import KIND
from trending.api.status import TrendingScheduleStatus
from trending.cli.schedule_file import FILE_HELP, ScheduleFileError, named, read_object, read_schedule_object, told
from trending.controller.validity import refusal_of
from trending.schedule.decision import Decision, decide
from trending.schedule.observed import Job, Schedule
from trending.schedule.spread import offset_of
from trending.schedule.starting import leave_out

_SAID: Final = ("SuccessfulCreate", "JobAlreadyActive", "UnexpectedJob")
"""Events whose words the first sentence has already."""


@click.command("explain")
@click.option("-f", "--file", required=True, type=click.Path(path_type=Path), help=FILE_HELP)
@click.option("--jobs", type=click.Path(path_type=Path), help="A file with its Jobs: `kubectl get jobs -o json`.")
@click.option("--now", metavar="TIME", help="The time to decide for, as 2026-11-23T18:00:00Z; default now.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print a JSON object.")
def command(file: Path, jobs: Path | None, now: str | None, output: str | None) -> None:
    """Say what the controller would do with a schedule now, and why, without a cluster.

    \b
        kubectl get ts hourly -o yaml > hourly.yaml
        kubectl get jobs -l trending.dev/schedule=hourly -o json > jobs.json
        trending explain -f hourly.yaml --jobs jobs.json
    """
    try:
        moment = parse_instant(now) if now else datetime.now(UTC)
        body = read_schedule_object(file)
        listed = _jobs_in(jobs) if jobs else []
        answer, words = explain(body, listed, moment)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(answer, ensure_ascii=False) if output else words)


def explain(body: dict[str, Any], jobs: list[dict[str, Any]], now: datetime) -> tuple[dict[str, Any], str]:
    """Return the answer as a JSON object and in sentences. A file that never was in a cluster counts as created now.

    `body` is as `read_schedule_object` gives it. Raises ValueError, whose text says what is wrong, where a Job cannot
    be read.
    """
    metadata = body["metadata"]
    metadata.setdefault("creationTimestamp", format_instant(now))
    metadata["uid"] = metadata.get("uid") or _owner_of(jobs, metadata["name"])
    try:
        schedule = Schedule.from_object({"spec": None, **body})
    except ValidationError as error:
        message = "; ".join(told(error, "status" if error.title == TrendingScheduleStatus.__name__ else "spec"))
        answer = _answer(
            action="none", reason="InvalidSchedule", events=[_event("Warning", "InvalidSchedule", message)]
        )
        return answer, f"Nothing is started: the API server would refuse the schedule.\n{message}"
    known = [_job(job, schedule.namespace, now) for job in jobs]
    decision = decide(schedule, known, now, refusal=refusal_of(schedule))
    if decision.starts and (other := _holder_of(str(decision.job), schedule, known)):
        decision = leave_out(decision, other)
    return _from_decision(decision), in_words(decision, schedule, now)


def in_words(decision: Decision, schedule: Schedule, now: datetime) -> str:
    """Return what would happen now and why, and what comes next, in sentences for a person."""
    lines = [_now(decision)]
    events = [event for event in decision.events if event.reason not in _SAID]
    lines += [f"{event.reason}: {event.message}" for event in events]
    if decision.deletes:
        lines.append(f"Jobs beyond the history limits would be deleted: {', '.join(decision.deletes)}.")
    lines += _next(decision, schedule, now)
    return "\n".join(lines)


def _now(decision: Decision) -> str:
    if not decision.starts:
        return f"Nothing is started now. {decision.because}"
    instead = f"Job {', '.join(decision.replaces)} would be deleted, and then " if decision.replaces else ""
    return f"{instead}Job {decision.job} would be started now. {decision.because}"


def _next(decision: Decision, schedule: Schedule, now: datetime) -> list[str]:
    following = decision.next_schedule_time
    if decision.refusal or schedule.deleting:
        return []
    if schedule.spec.suspend:
        return ["No slot starts until spec.suspend is false; a run by hand does."]
    if following is None:
        return ["No further slot comes within five years."]
    offset = offset_of(schedule.namespace, schedule.name, schedule.spec.spread)
    spread = [f"With spread, it starts each slot {format_duration(offset)} after its instant."] if offset else []
    if following <= now:
        return ["That slot starts late, as soon as the way is free, if no newer one has come.", *spread]
    return [f"The next slot starts at {format_instant(following)}, in {format_duration(following - now)}.", *spread]


def _from_decision(decision: Decision) -> dict[str, Any]:
    return _answer(
        action=decision.action,
        reason=decision.reason,
        scheduled_time=decision.scheduled_time,
        next_schedule_time=decision.next_schedule_time,
        job=decision.job,
        deletes=[*decision.replaces, *decision.deletes],
        events=[_event(event.type, event.reason, event.message) for event in decision.events],
    )


def _answer(
    *,
    action: str,
    reason: str | None,
    events: list[dict[str, str]],
    scheduled_time: datetime | None = None,
    next_schedule_time: datetime | None = None,
    job: str | None = None,
    deletes: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "action": action,
        "reason": reason,
        "scheduledTime": format_instant(scheduled_time) if scheduled_time else None,
        "nextScheduleTime": format_instant(next_schedule_time) if next_schedule_time else None,
        "job": job,
        "deletes": deletes or [],
        "events": events,
    }


def _event(kind: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "reason": reason, "message": message}


def _jobs_in(path: Path) -> list[dict[str, Any]]:
    """Return the Jobs of a file, a List of them or a single one. Raises ScheduleFileError."""
    document = read_object(path)
    jobs = [document] if document.get("kind") == "Job" else document.get("items")
    if not isinstance(jobs, list):
        raise ScheduleFileError(f"{named(path)} holds no List of Jobs: make it with `kubectl get jobs -o json`")
    for number, job in enumerate(jobs):
        metadata = job.get("metadata") if isinstance(job, dict) else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise ScheduleFileError(f"{named(path)}: items[{number}] is no Job: it has no metadata.name")
        if job.get("kind", "Job") != "Job":
            raise ScheduleFileError(f"{named(path)}: items[{number}] is no Job, but of kind {job['kind']}")
    return jobs


def _job(body: dict[str, Any], namespace: str, now: datetime) -> Job:
    """Read a Job. One without a namespace is the schedule's, one without a time was created when it was started."""
    metadata = body["metadata"]
    created = metadata.get("creationTimestamp") or (body.get("status") or {}).get("startTime") or format_instant(now)
    metadata = {**metadata, "namespace": metadata.get("namespace") or namespace, "creationTimestamp": created}
    try:
        return Job.from_object({**body, "metadata": metadata})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"Job {metadata['name']} cannot be read: {error}") from None


def _holder_of(name: str, schedule: Schedule, jobs: list[Job]) -> Job | None:
    """Return the Job that has a name already and is not this schedule's; None where there is none."""
    named = (job for job in jobs if (job.namespace, job.name) == (schedule.namespace, name))
    return next((job for job in named if job.owner != schedule.uid), None)


def _owner_of(jobs: list[dict[str, Any]], name: str) -> str:
    """Return the uid by which Jobs name their owner of this name, for a file that has none."""
    owners = (owner for job in jobs for owner in job["metadata"].get("ownerReferences") or [])
    return next((str(owner["uid"]) for owner in owners if _is_named(owner, name)), "")


def _is_named(owner: dict[str, Any], name: str) -> bool:
    return (owner.get("kind"), owner.get("name")) == (KIND, name) and "uid" in owner
