"""The API server, in the few calls that the controller makes, on JSON objects.

Built on the Kubernetes client's transport (configuration, TLS, tokens, connection pool) without its model classes:
reading ten thousand Jobs into those costs a hundred times what the ten fields that matter do.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import urlencode
from urllib.request import getproxies_environment

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.client.rest import RESTClientObject

from trending.api.names import GROUP, JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, PLURAL, VERSION
from trending.controller.answers import items_of, read_event, read_object, read_resource
from trending.controller.patience import Patience

JsonObject = dict[str, Any]

_PAGE: Final = 500
_TIMEOUT_SECONDS: Final = 30.0
_CONNECTIONS: Final = 48
"""Half as many as there are workers, and some for lists and what the scheduler does not bound: more are no faster, and
each has 256 KiB to read into."""
_UNLIMITED: Final = 0
"""For watches: each has a connection for as long as it lasts, and there are two in each watched namespace."""
_IDLE_SECONDS: Final = 75.0
"""How long a connection is kept that nobody uses: from one minute's slots to the next one's. The API server closes it
after 90 s (k8s.io/apiserver/pkg/server/secure_serving.go)."""
_WATCH_SECONDS: Final = 300
_SILENT_SECONDS: Final = 150.0
"""A bookmark comes each minute: a stream without one for so long is dead, though nobody has closed it."""
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_WATCHED: Final = (PLURAL, "jobs")
JOB_SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
_FAILED: Final = {"labelSelector": JOB_SELECTOR, "fieldSelector": "status.phase=Failed"}


class RefusedError(ApiException):
    """The API server's refusal; its text is one line, for logs."""

    def __str__(self) -> str:
        return f"the API server refused ({self.status}): {reason_of(self)}"


class _Connections(RESTClientObject):
    """A client's pool of connections."""

    def __init__(self, configuration: Configuration, *, limit: int) -> None:
        super().__init__(configuration)
        self._limit = limit

    def _create_connector(self) -> aiohttp.TCPConnector:
        """Return the pool; the client asks for it when the first request comes."""
        return aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_IDLE_SECONDS, ssl=self.ssl_context)


class Kube:
    """A connection to the API server. Every call raises ApiException, whose `status` is the HTTP status, where it is
    refused, and UnreadableError where the answer is none to what was asked."""

    answered: Callable[[str, str, str, float], None] | None = None
    """Told of each request: verb, resource, HTTP status (`error` where there was no answer), seconds."""

    wrote: Callable[[str], None] | None = None
    """Told of each resource version of a schedule or Job that a write of ours has made: a watch delivers it later."""

    def __init__(
        self, client: ApiClient, *, streams: ApiClient | None = None, patience: Patience | None = None
    ) -> None:
        """Watches go by `streams`, where that is given, so that they keep no request waiting for a connection."""
        self._client: Any = client  # its transport has no types
        self._streams: Any = streams or client
        self.before_writing: Callable[[], None] = _nothing
        """Called right before each request that writes; what it raises keeps the request from being sent."""
        self._patience = patience or Patience(tries=1)

    @classmethod
    async def connect(cls, *, who: str) -> "Kube":
        """Connect as the pod's service account, else as the kubeconfig says.

        `who` of several controllers this is, the API server's audit log tells by the user agent. Raises
        ConfigException where there is neither.
        """
        configuration, load = Configuration(), cast("Any", config)  # these loaders have no types
        try:
            load.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await load.load_kube_config(client_configuration=configuration)
        # Where it trusts the environment, aiohttp reads ~/.netrc and looks for proxies at each request.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies_environment())}
        client, streams = (_client(configuration, who, limit=limit) for limit in (_CONNECTIONS, _UNLIMITED))
        return cls(client, streams=streams, patience=Patience())

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._streams, self._client):
            await client.close()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        async def once() -> JsonObject:
            return await self._send(method, path, query=query, body=body, content_type=content_type)

        return await self._patience.call(once)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        content_type: str,
    ) -> JsonObject:
        url, headers = await self._address(path, query)
        headers["Content-Type"] = content_type
        if method != "GET":
            self.before_writing()
        began, code = time.monotonic(), "error"
        try:
            response = await self._client.call_api(method, url, headers, body, _request_timeout=_TIMEOUT_SECONDS)
            data = await response.read()
            code = str(response.status)
        finally:
            if self.answered:
                self.answered(*_request_of(method, path), code, time.monotonic() - began)
        if not 200 <= response.status < 300:
            raise RefusedError(http_resp=response, body=data.decode(errors="replace"))
        # What a deletion answers with nobody looks at, and a version has no metadata.
        result = read_resource(data) if method != "DELETE" and path.startswith("/api") else read_object(data)
        if self.wrote and method in ("POST", "PUT", "PATCH") and _request_of(method, path)[1].split("/")[0] in _WATCHED:
            self.wrote(str(result["metadata"].get("resourceVersion")))
        return result

    async def _address(self, path: str, query: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
        """Return a URL, and the headers that say who asks.

        The client's own `param_serialize` would look at each value of each body, to turn models into JSON that is none.
        """
        headers = {**self._client.default_headers, "Accept": "application/json"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, None, None)
        suffix = f"?{urlencode(query)}" if query else ""
        return f"{self._client.configuration.host}{path}{suffix}", headers

    async def _list(self, path: str, **selectors: str) -> AsyncIterator[tuple[list[JsonObject], str]]:
        """Yield a list's pages, each with the list's resource version; an empty list is one empty page."""
        query = {"limit": str(_PAGE), **selectors}
        while True:
            page = await self._call("GET", path, query=query)
            yield items_of(page), page["metadata"].get("resourceVersion", "0")
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def schedules(self, namespace: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        """Yield every TrendingSchedule, or those of a namespace, page by page, with the resource version of the
        list."""
        return self._list(f"/apis/{GROUP}/{VERSION}/{_within(namespace)}{PLURAL}")

    def jobs(self, namespace: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        """Yield every Job that carries the operator's label, or those of a namespace, page by page, with the resource
        version of the list."""
        return self._list(f"/apis/batch/v1/{_within(namespace)}jobs", labelSelector=JOB_SELECTOR)

    def watch_jobs(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        """Yield what happens to the same Jobs after that resource version, until the API server ends the stream."""
        return self._watch(f"/apis/batch/v1/{_within(namespace)}jobs", version, labelSelector=JOB_SELECTOR)

    async def pods_version(self, namespace: str | None = None) -> str:
        """Return the resource version as of which pods are there as they are now."""
        path = f"/api/v1/{_within(namespace)}pods"
        page = await self._call("GET", path, query={"limit": "1", **_FAILED})
        return str(page["metadata"]["resourceVersion"])

    def watch_failed_pods(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:
        """Yield what happens to runs' pods that have failed after that resource version, until the API server ends the
        stream. To such a watch a pod is added when it fails; of all others it is told nothing."""
        return self._watch(f"/api/v1/{_within(namespace)}pods", version, **_FAILED)

    async def _watch(self, path: str, version: str, **selectors: str) -> AsyncIterator[JsonObject]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
            **selectors,
        }
        url, headers = await self._address(path, query)
        patience = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT_SECONDS, sock_read=_SILENT_SECONDS)
        response = (await self._streams.call_api("GET", url, headers, _request_timeout=patience)).response
        async with response:
            if response.status != HTTPStatus.OK:
                raise RefusedError(http_resp=response, body=(await response.read()).decode(errors="replace"))
            async for line in response.content:
                yield read_event(line)

    async def get_schedule(self, namespace: str, name: str) -> JsonObject:
        """Read a schedule as it is now."""
        return await self._call("GET", f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}")

    async def patch_schedule(self, namespace: str, name: str, patch: JsonObject) -> JsonObject:
        """Merge a patch into a schedule."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}"
        return await self._call("PATCH", path, body=patch, content_type="application/merge-patch+json")

    async def replace_status(self, body: JsonObject) -> JsonObject:
        """Write a schedule's status, unless it has changed since the resource version in `body` (409)."""
        metadata = body["metadata"]
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{metadata['namespace']}/{PLURAL}/{metadata['name']}/status"
        return await self._call("PUT", path, body=body)

    async def create_job(self, manifest: JsonObject) -> JsonObject:
        """Create a Job; 409 where its name is taken."""
        return await self._call(
            "POST", f"/apis/batch/v1/namespaces/{manifest['metadata']['namespace']}/jobs", body=manifest
        )

    async def get_job(self, namespace: str, name: str) -> JsonObject:
        """Read a Job as it is now."""
        return await self._call("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")

    async def delete_job(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """Delete the Job of that uid, and its pods after it; 409 where it has changed since that resource version, if
        told."""
        preconditions = {"uid": uid} if version is None else {"uid": uid, "resourceVersion": version}
        options = {"propagationPolicy": "Background", "preconditions": preconditions}
        await self._call("DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}", body=options)

    async def pods_of_job(self, namespace: str, uid: str) -> list[JsonObject]:
        """Return the pods of the Job of that uid."""
        selector = f"{JOB_UID_LABEL}={uid}"
        pages = self._list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        return [pod async for page, _ in pages for pod in page]

    async def warnings(self, namespace: str) -> list[JsonObject]:
        """Return the events of type Warning in a namespace, which are kept for an hour.

        Those on one object cost as much: the API server has no index of events, and reads them all to find a few.
        """
        found: list[JsonObject] = []
        async for page, _ in self._list(f"/api/v1/namespaces/{namespace}/events", fieldSelector="type=Warning"):
            found += page
        return found

    async def create_event(self, manifest: JsonObject) -> None:
        """Create an event; 409 where it exists."""
        await self._call("POST", f"/api/v1/namespaces/{manifest['metadata']['namespace']}/events", body=manifest)

    async def get_namespace(self, name: str) -> JsonObject:
        """Read a namespace."""
        return await self._call("GET", f"/api/v1/namespaces/{name}")

    async def get_version(self) -> JsonObject:
        """Ask the API server for its version, which everybody may: it answers, then."""
        return await self._call("GET", "/version")

    async def get_lease(self, namespace: str, name: str) -> JsonObject:
        """Read a Lease."""
        return await self._call("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")

    async def create_lease(self, body: JsonObject) -> JsonObject:
        """Create a Lease; 409 where it exists."""
        namespace = body["metadata"]["namespace"]
        return await self._call("POST", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", body=body)

    async def replace_lease(self, body: JsonObject) -> JsonObject:
        """Write a Lease, unless it has changed since the resource version in `body` (409)."""
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        return await self._call("PUT", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}", body=body)


def _client(configuration: Configuration, who: str, *, limit: int) -> ApiClient:
    client: Any = ApiClient(configuration)
    client.rest_client = _Connections(configuration, limit=limit)
    client.user_agent = f"{MANAGED_BY} ({who})"
    return cast("ApiClient", client)


def _nothing() -> None:
    """Do nothing."""


def _within(namespace: str | None) -> str:
    return f"namespaces/{namespace}/" if namespace else ""


def _request_of(method: str, path: str) -> tuple[str, str]:
    """Return the verb and the resource, as rules of RBAC name them, of a request; of one for no resource the path."""
    parts = path.strip("/").split("/")
    if parts[0] not in ("api", "apis"):
        return _VERBS[method], path
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    resource = "/".join([parts[0], *parts[2:]])
    verb = _VERBS[method]
    return "list" if verb == "get" and len(parts) == 1 else verb, resource


def why_failed(error: Exception) -> str:
    """Return why a request has failed: in the API server's words, else by the kind of error, on one line."""
    if isinstance(error, ApiException):
        return reason_of(error)
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def reason_of(error: ApiException) -> str:
    """Return what the API server says is wrong, in its own words, on one line."""
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        message = error.reason or f"HTTP status {error.status}"
    return " ".join(str(message).split())
