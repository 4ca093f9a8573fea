"""Following a Job: its pods one after another, from before the first container starts until the Job has finished."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import click
from aiohttp import ClientError
from kubernetes.aio.client.exceptions import ApiException

from trending.cli.kubectl.connection import Cluster
from trending.cli.kubectl.log_view import LogView
from trending.controller.pods import by_age, has_ended, termination_of, why_not_running
from trending.schedule.observed import Job

_EVERY: Final = 1.0
"""Seconds between two looks at a Job whose pod is waited for."""
_BREAKS: Final = 5
"""How often a log is opened again after its connection broke."""
_GRACE: Final = 10
"""Looks after the end of a log until the kubelet must have told how its container ended."""
_LAST: Final = (0, 2)
"""Exit codes after which there is no further attempt: done, and what another would not mend."""
_NOT_FOUND: Final = 404
_BAD_REQUEST: Final = 400


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A Job that has finished."""

    job: Job
    exit_code: int | None
    """Of the last container, where there was one."""


async def follow(cluster: Cluster, job: str, view: LogView) -> Ended:
    """Show the logs of a Job's pods until it has finished, then return how.

    What is waited for meanwhile is a remark to the view. Raises ClickException where the Job is deleted before a pod of
    it has ended; afterwards its end is that pod's.
    """
    shown: set[str] = set()
    exit_code: int | None = None
    said = ""
    found: Job | None = None
    while True:
        try:
            found = Job.from_object(await _job(cluster, job))
        except click.ClickException:
            if found is None or exit_code is None:
                raise
            return Ended(job=found, exit_code=exit_code)
        pods = by_age(await cluster.pods_of_job(cluster.namespace, found.uid))
        left = [pod for pod in pods if _name(pod) not in shown]
        if ready := next((pod for pod in left if has_begun(pod)), None):
            shown.add(_name(ready))
            view.remark(f"pod {_name(ready)} of Job {job}")
            exit_code = await _show(cluster, found, _name(ready), view)
            continue
        if found.finished:
            return Ended(job=found, exit_code=exit_code)
        if said != (waited_for := _waited_for(job, left, exit_code, attempts=len(shown))):
            said = waited_for
            view.remark(said)
        await asyncio.sleep(_EVERY)


async def show_so_far(cluster: Cluster, job: str, view: LogView) -> bool:
    """Show what the newest pod of a Job that has begun has logged until now; return whether there is one."""
    found = Job.from_object(await _job(cluster, job))
    begun = [pod for pod in by_age(await cluster.pods_of_job(cluster.namespace, found.uid)) if has_begun(pod)]
    if not begun:
        return False
    view.remark(f"pod {_name(begun[-1])} of Job {job}")
    async for line in cluster.log(_name(begun[-1]), follow=False):
        view.line(line)
    return True


def has_begun(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod's container has a log: it runs, or has run."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any("running" in (each.get("state") or {}) for each in statuses) or termination_of(pod) is not None


async def _show(cluster: Cluster, job: Job, pod: str, view: LogView) -> int | None:
    """Show a log to its end; return what the container ended with, None where the pod is gone.

    One whose connection breaks, or ends while the container goes on, is opened again, and what was shown passed over.
    """
    reading = _Reading(cluster, pod, view)
    while True:
        await reading.go_on()
        for _ in range(_GRACE):
            pods = await cluster.pods_of_job(cluster.namespace, job.uid)
            found = next((each for each in pods if _name(each) == pod), None)
            if found is None:  # deleted with its Job, or by its deadline
                return None
            if has_ended(found):
                end = termination_of(found)
                return None if end is None else int(end.get("exitCode", 1))
            await asyncio.sleep(_EVERY)


@dataclass
class _Reading:
    """A log that is read, from its beginning each time."""

    cluster: Cluster
    pod: str
    view: LogView
    seen: int = 0
    breaks: int = 0

    async def go_on(self) -> None:
        """Show what was not shown yet, until the log or its connection ends."""
        number = 0
        try:
            async for line in self.cluster.log(self.pod, follow=True):
                number += 1
                if number > self.seen:
                    self.seen = number
                    self.view.line(line)
        except (ClientError, TimeoutError, ConnectionError) as error:
            self.breaks += 1
            if self.breaks > _BREAKS:
                raise
            self.view.remark(f"the connection to the log broke ({type(error).__name__}); it is opened again")
        except ApiException as error:
            if error.status not in (_NOT_FOUND, _BAD_REQUEST):  # the pod may have been deleted meanwhile
                raise


async def _job(cluster: Cluster, name: str) -> dict[str, Any]:
    try:
        return await cluster.get_job(cluster.namespace, name)
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        raise click.ClickException(f"there is no Job {name} in namespace {cluster.namespace} (any more)") from None


def _waited_for(job: str, pods: list[Mapping[str, Any]], exit_code: int | None, *, attempts: int) -> str:
    if not pods and exit_code in _LAST:
        return f"Job {job}: its pod has ended"
    again = f" after {attempts} attempt{'s' if attempts > 1 else ''}" if attempts else ""
    if not pods:
        return f"Job {job}: waiting for its {'next pod' if attempts else 'pod'} to be made{again}"
    why = why_not_running(pods[-1])
    return f"Job {job}: {why}" if why else f"Job {job}: waiting for pod {_name(pods[-1])} to start"


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])
