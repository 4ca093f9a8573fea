"""Schedules, CronJobs and Jobs by the thousand, and what a cluster would do with them: no pod ever runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.plane import Client, each
from trending.api.instant import format_instant
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, SCHEDULE_LABEL, SCHEDULED_TIMESTAMP_ANNOTATION

NAMESPACE: Final = "default"
SCHEDULES: Final = f"/apis/trending.dev/v1/namespaces/{NAMESPACE}/trendingschedules"
CRONJOBS: Final = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs"
JOBS: Final = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
EACH_MINUTE: Final = "* * * * *"
NEVER_NOW: Final = "0 0 1 1 *"
_EPOCH_MINUTE: Final = 60
_TRIES: Final = 5
QUIET_SECONDS: Final = 6.0
"""With nothing written for so long, the controller is at rest."""
_SETTLED_SECONDS: Final = 900.0


def names(prefix: str, count: int) -> list[str]:
    """Return so many names."""
    return [f"{prefix}-{number:05}" for number in range(count)]


def schedule(name: str, *, expression: str, suspend: bool = False) -> dict[str, Any]:
    """Build a TrendingSchedule as long as they are in real life: two views, three targets, one query of its own."""
    preset = {"name": "audius/tracks-pnagD", "timeRanges": ["week", "month"]}
    query = (
        "SELECT post_id, sum(votes)::float8 AS score FROM votes WHERE created_at > :now - interval '1 day' GROUP BY 1"
    )
    return {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": name},
        "spec": {
            "schedule": expression,
            "suspend": suspend,
            "staleAfter": "8760h",
            "database": {"secretKeyRef": {"name": "discovery-db", "key": "uri"}, "settings": {"work_mem": "256MB"}},
            "refresh": [{"materializedView": view} for view in ("aggregate_interval_plays", "trending_params")],
            "rewrite": [
                {"name": "tracks-pnagD", "preset": preset},
                {"name": "tracks-all-time", "preset": preset | {"timeRanges": ["allTime"]}, "every": "24h"},
                {"name": "hot-posts", "table": "hot_posts", "slice": {"board": ["main"]}, "query": query},
            ],
        },
    }


def cronjob(name: str, *, expression: str, suspend: bool = False) -> dict[str, Any]:
    """Build a CronJob with a plain Job, under the policy that never holds it."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "run", "image": "none"}]}
    job = {"spec": {"template": {"spec": pod}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": expression, "suspend": suspend, "jobTemplate": job},
    }


def finished_job(owner: dict[str, Any], slot: datetime, *, succeeded: bool = True) -> dict[str, Any]:
    """Build the Job of a slot, with the status that it is to get."""
    name = owner["metadata"]["name"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name,
        "uid": owner["metadata"]["uid"],
    }
    labels = {MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: name}
    pod = {"restartPolicy": "Never", "containers": [{"name": "run", "image": "none", "env": _ballast()}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name}-{int(slot.timestamp()) // _EPOCH_MINUTE}",
            "labels": labels,
            "annotations": {SCHEDULED_TIMESTAMP_ANNOTATION: format_instant(slot)},
            "ownerReferences": [{**reference, "controller": True}],
        },
        "spec": {"template": {"metadata": {"labels": labels}, "spec": pod}},
        "status": ended(slot, succeeded=succeeded),
    }


def ended(start: datetime, *, succeeded: bool = True) -> dict[str, Any]:
    """Build the status of a Job that took ten seconds."""
    begun, end = format_instant(start), format_instant(start + timedelta(seconds=10))
    reached, kind = ("SuccessCriteriaMet", "Complete") if succeeded else ("FailureTarget", "Failed")
    reason = "CompletionsReached" if succeeded else "BackoffLimitExceeded"
    conditions = [
        {
            "type": each,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": end,
            "lastProbeTime": end,
        }
        for each in (reached, kind)
    ]
    counts = {"succeeded": 1, "completionTime": end} if succeeded else {"failed": 1}
    return {"startTime": begun, "conditions": conditions, "active": 0, "ready": 0, "terminating": 0, **counts}


async def create(client: Client, path: str, bodies: Sequence[dict[str, Any]]) -> None:
    """Create objects."""
    await each(bodies, lambda body: client.call("POST", path, body))


async def suspend(client: Client, path: str, which: Sequence[str], *, value: bool) -> None:
    """Suspend or resume objects."""
    await each(which, lambda name: client.call("PATCH", f"{path}/{name}", {"spec": {"suspend": value}}))


async def create_finished(client: Client, bodies: Sequence[dict[str, Any]]) -> None:
    """Create Jobs and give them their status."""

    async def one(body: dict[str, Any]) -> None:
        await client.call("POST", JOBS, {key: value for key, value in body.items() if key != "status"})
        await client.call("PATCH", f"{JOBS}/{body['metadata']['name']}/status", {"status": body["status"]})

    await each(bodies, one)


async def populate(client: Client, count: int, jobs: int) -> list[str]:
    """Create schedules that are never due, and finished Jobs of each, every fourth failed; return the names."""
    which = names("schedule", count)
    await create(client, SCHEDULES, [schedule(name, expression=NEVER_NOW) for name in which])
    made = await client.items(SCHEDULES)
    slot = datetime.now(UTC).replace(second=0, microsecond=0)
    bodies = [
        finished_job(owner, slot - timedelta(hours=number), succeeded=number < 3)
        for owner in made
        for number in range(jobs)
    ]
    await create_finished(client, bodies)
    return which


async def settle(log: Path, count: int) -> None:
    """Wait until the statuses of so many schedules are written and then nothing is for a while; raises RuntimeError."""
    known, since = -1, 0.0
    for _ in range(int(_SETTLED_SECONDS)):
        await asyncio.sleep(1)
        with log.open() as lines:
            written = sum("trendingschedules" in line and '"subresource":"status"' in line for line in lines)
        since = since + 1 if written == known else 0.0
        known = written
        if written >= count and since >= QUIET_SECONDS:
            return
    raise RuntimeError("the controller did not come to rest")


async def finish_all(client: Client) -> int:
    """End every Job that is active, well; return how many these were."""
    active = [job for job in await client.items(JOBS) if not job.get("status", {}).get("conditions")]
    now = datetime.now(UTC).replace(microsecond=0)

    async def one(job: dict[str, Any]) -> None:
        created = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        status = ended(min(created, now - timedelta(seconds=10)))
        await client.call("PATCH", f"{JOBS}/{job['metadata']['name']}/status", {"status": status})

    await each(active, one)
    return len(active)


async def delete_jobs(client: Client) -> None:
    """Delete all Jobs; raises RuntimeError where some stay.

    The policy stands in the body, since a body, be it empty, has the API server pass over the query; and a Job deleted
    without one stays, with a finalizer that a garbage collector would have to take off.
    """
    for _ in range(_TRIES):  # who has just been killed may have had one on its way
        await client.call("DELETE", JOBS, {"propagationPolicy": "Background"})
        if not await client.items(JOBS):
            return
    raise RuntimeError("Jobs are left after all were deleted")


def _ballast() -> list[dict[str, str]]:
    """Return what makes a Job as long as one of the operator's, with its run document: three kilobytes."""
    return [{"name": "RUN", "value": "x" * 3000}]
