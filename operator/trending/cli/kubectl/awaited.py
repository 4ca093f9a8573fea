"""Waiting for the run of a request: what it waits for, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import click
from aiohttp import ClientError
from kubernetes.aio.client.exceptions import ApiException

from trending.api.status import LastRun
from trending.cli.kubectl.connection import Cluster
from trending.cli.kubectl.seen import find_condition, read_schedule
from trending.controller.runs import finish, read_pods
from trending.schedule.job_names import manual_job_name
from trending.schedule.observed import Job, Schedule

_PAUSE: Final = 1.0
"""How many seconds until the schedule is looked at again."""
_LONGEST_SILENCE: Final = 60.0
"""How many seconds an API server may be away, as while it is upgraded, before the wait is given up."""
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_ITS_OWN_FAULT: Final = 500


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a run waits for, or is doing."""

    text: str
    begun: bool
    """Whether its Job is there."""


async def until_begun(cluster: Cluster, name: str, request: str, *, says: Callable[[str], None]) -> None:
    """Wait until the Job of a request is there. Raises ClickException as `until_ended` does."""
    await _until(cluster, name, request, lambda told: isinstance(told, LastRun) or told.begun, says)


async def until_ended(cluster: Cluster, name: str, request: str, *, says: Callable[[str], None]) -> LastRun:
    """Wait until the run of a request has ended, and return how. `says` is told what is waited for, each time.

    Raises ClickException where the run never comes (the schedule is not accepted, a newer request took its place, its
    Job is gone), and what the connection raises where the API server is away for long.
    """
    told = await _until(cluster, name, request, lambda told: isinstance(told, LastRun), says)
    if isinstance(told, Awaited):
        raise TypeError(f"the wait ended before the run: {told.text}")
    return told


async def _until(
    cluster: Cluster,
    name: str,
    request: str,
    enough: Callable[[LastRun | Awaited], bool],
    says: Callable[[str], None],
) -> LastRun | Awaited:
    clock = asyncio.get_running_loop().time
    heard = clock()
    while True:
        try:
            told = await _look(cluster, name, request)
        except (ApiException, ClientError, OSError) as error:
            if _for_good(error) or clock() - heard > _LONGEST_SILENCE:
                raise
            told = Awaited("the API server does not answer; it is asked again", begun=False)
        else:
            heard = clock()
        if enough(told):
            return told
        if isinstance(told, Awaited):
            says(told.text)
        await asyncio.sleep(_PAUSE)


def _for_good(error: Exception) -> bool:
    """Tell whether the API server means it: asking again would not help."""
    status = error.status if isinstance(error, ApiException) else None
    return isinstance(status, int) and status < _ITS_OWN_FAULT and status != _TOO_MANY


async def _look(cluster: Cluster, name: str, request: str) -> LastRun | Awaited:
    schedule = read_schedule(await cluster.schedule(name))
    told = tell(schedule, request)
    return await _by_its_job(cluster, schedule, request) if told is None else told


def tell(schedule: Schedule, request: str) -> LastRun | Awaited | None:
    """Return how the run of a request ended, or what it waits for; None where only its Job can tell.

    Raises ClickException where the schedule is not accepted, so that no run comes.
    """
    status, job = schedule.status, manual_job_name(schedule.name, request)
    if status.last_run and status.last_run.job == job:
        return status.last_run
    progressing = find_condition(schedule, "Progressing")
    if job in {run.name for run in status.active}:
        return Awaited(progressing.message.removesuffix(".") if progressing else f"Job {job} is active", begun=True)
    if request == status.last_handled_request or schedule.requested_at != request:
        return None
    accepted = find_condition(schedule, "Accepted")
    if accepted and accepted.status == "False" and status.observed_generation == schedule.generation:
        raise click.ClickException(
            f"{schedule.name} is not accepted, and starts this run only when it is corrected: {accepted.message}"
        )
    if status.active:
        return Awaited(f"it waits for Job {status.active[0].name} to end", begun=False)
    return Awaited("it waits for the controller to start it", begun=False)


async def _by_its_job(cluster: Cluster, schedule: Schedule, request: str) -> LastRun | Awaited:
    """Tell by the Job itself, where the status tells of a later run already, or of a later request."""
    name = manual_job_name(schedule.name, request)
    try:
        job = Job.from_object(await cluster.get_job(cluster.namespace, name))
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        if schedule.status.last_handled_request != request:
            raise click.ClickException("a newer request has taken this one's place: it starts no run") from None
        raise click.ClickException(
            f"Job {name} is gone, and how its run ended is not known here; table trending.run of the database tells"
        ) from None
    if not job.finished:
        return Awaited(f"Job {name} is active", begun=True)
    return finish(job, read_pods(await cluster.pods_of_job(cluster.namespace, job.uid))).last_run
