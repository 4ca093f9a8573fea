"""Doing in the cluster what is no run: a Job made of the schedule, watched to its end, and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import click
from kubernetes.aio.client.exceptions import ApiException

from trending.api.names import RUN_CONTAINER
from trending.cli.kubectl.connection import Cluster, ask
from trending.cli.kubectl.follow import follow
from trending.cli.kubectl.log_view import LogView
from trending.cli.kubectl.seen import read_schedule
from trending.cli.kubectl.where import Where
from trending.controller.pod_spec import RunImage
from trending.controller.purpose_job import Purpose, build_purpose_job
from trending.controller.settings import PullPolicy
from trending.schedule.observed import Schedule

_OPERATOR: Final = "app.kubernetes.io/name=trending-operator"
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done, and for which schedule."""

    name: str
    """The schedule's."""
    purpose: Purpose
    arguments: Sequence[str] = ()
    image: str | None = None
    """None for that of the schedule's runs."""
    secret: tuple[str, str] | None = None
    """Name and key of the Secret with the database's URI, where that is another than the schedule's."""
    keep_when_interrupted: bool = False
    """Whether it is better left to end by itself."""


def do_in_cluster(where: Where, task: Task, view: LogView) -> int:
    """Do it and show its log; return the exit code of its container, 1 where it had none.

    Raises ClickException with a sentence for whatever keeps it from being done.
    """
    return ask(where, lambda cluster: _do(cluster, task, view))


async def _do(cluster: Cluster, task: Task, view: LogView) -> int:
    body = await cluster.schedule(task.name)
    schedule = _with_secret(body, task.secret)
    image = RunImage(name=task.image) if task.image else await find_image(cluster, schedule)
    manifest = build_purpose_job(schedule, task.purpose, image, datetime.now(UTC), arguments=task.arguments)
    async with _made(cluster, manifest, keep=task.keep_when_interrupted) as job:
        ended = await follow(cluster, job, view)
    if ended.exit_code is None:
        told = f": {ended.job.end_message}" if ended.job.end_message else ""
        raise click.ClickException(f"the pod of Job {job} ended before it could say anything{told}")
    return ended.exit_code


def _with_secret(body: dict[str, Any], secret: tuple[str, str] | None) -> Schedule:
    if secret is not None:
        reference = {"name": secret[0], "key": secret[1]}
        spec = body["spec"]
        body = {**body, "spec": {**spec, "database": {**spec["database"], "secretKeyRef": reference}}}
    return read_schedule(body)


@asynccontextmanager
async def _made(cluster: Cluster, manifest: dict[str, Any], *, keep: bool) -> AsyncIterator[str]:
    """Make the Job, and delete it afterwards; one that is to be kept goes on where we are interrupted."""
    job = await cluster.create_job(manifest)
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    try:
        yield name
    except asyncio.CancelledError:
        if keep:
            click.echo(f"Job {name} goes on; `kubectl logs job/{name} -n {cluster.namespace} -f` shows it.", err=True)
        else:
            await _deleted(cluster, name, uid)
        raise
    except BaseException:
        await _deleted(cluster, name, uid)
        raise
    await _deleted(cluster, name, uid)


async def _deleted(cluster: Cluster, name: str, uid: str) -> None:
    """Delete the Job; where that cannot be, it goes by itself in ten minutes."""
    try:
        await cluster.delete_job(cluster.namespace, name, uid=uid)
    except ApiException as error:
        if error.status not in (_FORBIDDEN, _NOT_FOUND):
            raise


async def find_image(cluster: Cluster, schedule: Schedule) -> RunImage:
    """Return the image of the schedule's newest run, else what the controller gives to runs.

    Raises ClickException where neither can be seen.
    """
    jobs = sorted(await cluster.jobs_of(schedule.name), key=lambda job: str(job["metadata"].get("creationTimestamp")))
    for job in reversed(jobs):
        for container in job["spec"]["template"]["spec"]["containers"]:
            if container["name"] == RUN_CONTAINER:
                policy = container.get("imagePullPolicy", "IfNotPresent")
                return RunImage(name=container["image"], pull_policy=cast("PullPolicy", policy))
    for variables in await _environments(cluster):
        if name := variables.get("TRENDING_RUN_IMAGE"):
            policy = variables.get("TRENDING_RUN_IMAGE_PULL_POLICY") or "IfNotPresent"
            return RunImage(name=name, pull_policy=cast("PullPolicy", policy))
    raise click.ClickException(
        f"which image runs have is not known: {schedule.name} has no Job, and no Deployment of the operator can be "
        "seen; name it with --image"
    )


async def _environments(cluster: Cluster) -> list[dict[str, str]]:
    """Return the environments of the operator's containers, as far as they may be seen."""
    try:
        deployments = await cluster.deployments(_OPERATOR)
    except ApiException as error:
        if error.status != _FORBIDDEN:
            raise
        return []
    containers = [each for found in deployments for each in found["spec"]["template"]["spec"]["containers"]]
    return [
        {variable["name"]: variable.get("value", "") for variable in container.get("env") or []}
        for container in containers
    ]
