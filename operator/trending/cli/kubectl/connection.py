"""The connection to the API server that all commands share, and its errors as sentences."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import yaml
from aiohttp import ClientError, ClientTimeout
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from trending.api.names import GROUP, PLURAL, RUN_CONTAINER, SCHEDULE_LABEL, VERSION
from trending.cli.kubectl.where import Where
from trending.controller.kube import JOB_SELECTOR, JsonObject, Kube, reason_of

_T = TypeVar("_T")
_FOR_EVER: Final = ClientTimeout(total=None, sock_connect=30)
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


def ask(where: Where, question: Callable[[Cluster], Awaitable[_T]]) -> _T:
    """Connect, ask, and return the answer. Raises ClickException, whose text is one sentence."""

    async def answer() -> _T:
        cluster = await Cluster.open(where)
        try:
            return await question(cluster)
        finally:
            await cluster.close()

    try:
        return asyncio.run(answer())
    except ApiException as error:
        raise click.ClickException(_refusal(error)) from None
    except (ConfigException, ClientError, OSError) as error:
        raise click.ClickException(f"the cluster cannot be reached: {error}; try `kubectl cluster-info`") from None


class Cluster(Kube):
    """The API server as a person sees it: one namespace, that of the command line or of the context."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        super().__init__(client)
        self.namespace = namespace

    @classmethod
    async def open(cls, where: Where) -> Cluster:
        """Connect. Raises ClickException where there is no kubeconfig, or no such context in it, ConfigException where
        it lacks something."""
        configuration, read = Configuration(), _read(_kubeconfig(where))
        contexts = {each["name"]: each.value.get("context") or {} for each in read["contexts"].value}
        context = where.context or read.value.get("current-context")
        if not context:
            known = f"; there {'is' if len(contexts) == 1 else 'are'} {', '.join(contexts)}" if contexts else ""
            raise click.ClickException(f"your kubeconfig has no current context: name one with --context{known}")
        if context not in contexts:
            near = nearest(context, list(contexts))
            raise click.ClickException(f'your kubeconfig has no context "{context}"{near}')
        load: Any = KubeConfigLoader  # it has no types
        loader = load(read, active_context=context, config_base_path=None)
        try:
            await loader.load_and_set(configuration)
        except ValueError as error:  # of data that are no base64, of tokens that are none
            raise click.ClickException(f'your kubeconfig\'s context "{context}" cannot be used: {error}') from None
        namespace = where.namespace or contexts[context].get("namespace") or "default"
        return cls(ApiClient(configuration), namespace)

    async def list_schedules(self, *, everywhere: bool = False) -> list[JsonObject]:
        """Return the schedules of the namespace, or of all."""
        within = "" if everywhere else f"/namespaces/{self.namespace}"
        pages = self._list(f"/apis/{GROUP}/{VERSION}{within}/{PLURAL}")
        return [body async for page, _ in pages for body in page]

    async def schedule(self, name: str) -> JsonObject:
        """Return a schedule. Raises ClickException where there is none of that name, with those that are near it."""
        return await self._named(name, self.get_schedule(self.namespace, name))

    async def patch(self, name: str, patch: JsonObject) -> JsonObject:
        """Merge a patch into a schedule and return it. Raises ClickException where there is none of that name."""
        return await self._named(name, self.patch_schedule(self.namespace, name, patch))

    async def jobs_of(self, name: str) -> list[JsonObject]:
        """Return the Jobs that carry a schedule's label."""
        selector = f"{JOB_SELECTOR},{SCHEDULE_LABEL}={name}"
        pages = self._list(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", selector=selector)
        return [body async for page, _ in pages for body in page]

    async def pods_of(self, name: str) -> list[JsonObject]:
        """Return the pods that carry a schedule's label; none where one may not read pods, since Jobs tell the most."""
        selector = f"{JOB_SELECTOR},{SCHEDULE_LABEL}={name}"
        pages = self._list(f"/api/v1/namespaces/{self.namespace}/pods", selector=selector)
        try:
            return [body async for page, _ in pages for body in page]
        except ApiException as error:
            if error.status != _FORBIDDEN:
                raise
            return []

    async def deployments(self, selector: str) -> list[JsonObject]:
        """Return the Deployments of all namespaces with these labels."""
        pages = self._list("/apis/apps/v1/deployments", selector=selector)
        return [body async for page, _ in pages for body in page]

    async def log(self, pod: str, *, follow: bool) -> AsyncIterator[str]:
        """Yield the lines of a pod's log; with `follow` until its container has ended. Raises ApiException where it
        cannot be read, ClientError where the connection breaks."""
        request = await self._client.param_serialize(
            method="GET",
            resource_path=f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log",
            query_params=[("container", RUN_CONTAINER), *([("follow", "true")] if follow else [])],
            header_params={"Accept": "*/*"},
            auth_settings=["BearerToken"],
        )
        response = (await self._client.call_api(*request, _request_timeout=_FOR_EVER)).response
        try:
            if response.status != _OK:
                raise ApiException(status=response.status, reason=response.reason, body=await response.text())
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")
        finally:
            response.close()

    async def _named(self, name: str, call: Awaitable[JsonObject]) -> JsonObject:
        try:
            return await call
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            if not (error.body or "").lstrip().startswith("{"):
                raise  # the path itself is unknown: no such resource
            near = await self._near(name)
            raise click.ClickException(f'there is no schedule "{name}" in namespace {self.namespace}{near}') from None

    async def _near(self, name: str) -> str:
        """Ask whether one like it was meant, or one of that name elsewhere, as far as one may look."""
        names = [body["metadata"]["name"] for body in await self._visible()]
        if near := nearest(name, names):
            return near
        bodies = await self._visible(everywhere=True)
        found = [body["metadata"]["namespace"] for body in bodies if body["metadata"]["name"] == name]
        return f"; there is one in {' and '.join(found)}: add -n {found[0]}" if found else ""

    async def _visible(self, *, everywhere: bool = False) -> list[JsonObject]:
        try:
            return await self.list_schedules(everywhere=everywhere)
        except ApiException:
            return []


def _kubeconfig(where: Where) -> str:
    """Return the kubeconfig's files that exist, as $KUBECONFIG has several."""
    given = where.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [path for part in given.split(os.pathsep) if part and (path := Path(part).expanduser()).is_file()]
    if not files:
        raise click.ClickException(f"there is no kubeconfig at {given}: name one with --kubeconfig or $KUBECONFIG")
    return os.pathsep.join(map(str, files))


def _read(file: str) -> Any:
    """Read a kubeconfig's files as one. Raises ClickException where one of them cannot be read."""
    merge: Any = KubeConfigMerger  # it has no types
    try:
        return merge(file).config
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        # The client takes for granted that it is an object with lists in it: of an empty file it says TypeError.
        raise click.ClickException(f"{file} is no kubeconfig ({type(error).__name__})") from None


def nearest(name: str, names: list[str]) -> str:
    """Ask whether a name like this one was meant; the empty text where none is like it."""
    near = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _refusal(error: ApiException) -> str:
    """Say what the API server has against it."""
    if error.status == _UNAUTHORIZED:
        return "the API server does not know you (Unauthorized): log in again, or check your kubeconfig's user"
    told = reason_of(error)
    if error.status == _NOT_FOUND and not (error.body or "").lstrip().startswith("{"):
        return "this cluster has no TrendingSchedules: the operator is not installed; install its chart"
    return told
