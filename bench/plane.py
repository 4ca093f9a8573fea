"""A control plane for the controller's benches: its audit log, and a client for thousands of requests at a time."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.versions import KUBERNETES

AT_ONCE: Final = 64
"""How many requests are on their way at a time."""
_TRIES: Final = 10
WRITES: Final = ("create", "update", "patch", "delete")
_POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
"""


@dataclass(frozen=True, kw_only=True)
class Write:
    """A request that wrote, as the API server's audit log has it."""

    at: float
    """When it was answered, seconds since the epoch, by the API server's clock, which is this machine's."""
    verb: str
    resource: str
    name: str
    code: int
    agent: str


@contextmanager
def audited_plane(folder: Path, *, controllers: Sequence[str] = ()) -> Iterator[tuple[ControlPlane, Path]]:
    """Have a control plane that logs each write; yield it and its log."""
    policy, log = folder / "audit-policy.yaml", folder / "audit.log"
    policy.write_text(_POLICY)
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking-strict")
    with control_plane(controllers=controllers, api_server_flags=flags) as plane:
        yield plane, log


def writes(log: Path, *, since: float = 0.0) -> list[Write]:
    """Read what was written since then, in the order of the answers."""
    found = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        at = datetime.fromisoformat(event["stageTimestamp"]).timestamp()
        if at < since or "objectRef" not in event:
            continue
        reference = event["objectRef"]
        resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
        found.append(
            Write(
                at=at,
                verb=event["verb"],
                resource=resource,
                name=reference.get("name", ""),
                code=event.get("responseStatus", {}).get("code", 0),
                agent=event.get("userAgent", ""),
            )
        )
    return sorted(found, key=lambda write: write.at)


class Client:
    """Requests to the API server as the administrator, many at once."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request, again where the API server is too busy; return the JSON of its answer.

        Raises RuntimeError where it is refused.
        """
        for _ in range(_TRIES):
            status, answer = await self._send(method, path, body)
            if status not in (429, 500, 504):
                break
            await asyncio.sleep(1)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.get('message')}")
        return answer

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind}
        async with self._session.request(method, f"{self._url}{path}", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def items(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list, read in pages."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = await self.call("GET", f"{path}?limit=500&continue={token}")
            found += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return found


@asynccontextmanager
async def client(plane: ControlPlane) -> AsyncIterator[Client]:
    """Have a client for the while of the block."""
    user = json.loads(plane.kubeconfig().read_text())["users"][0]["user"]
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=ssl.create_default_context(cafile=plane.ca))
    headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "bench"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=2**21) as session:
        yield Client(session, plane.url)


async def each(things: Iterable[Any], do: Callable[[Any], Awaitable[object]]) -> None:
    """Do something with each thing, AT_ONCE at a time."""
    waiting = iter(things)

    async def work() -> None:
        for thing in waiting:
            await do(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


def machine() -> dict[str, Any]:
    """Tell what the figures were measured on, and how busy it was with other things."""
    return {
        "cpus": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "kubernetes": KUBERNETES,
        "load": os.getloadavg(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
