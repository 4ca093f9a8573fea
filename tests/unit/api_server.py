"""An API server on loopback, of the few calls that the plugin makes, and a kubeconfig that leads to it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from trending.api.names import GROUP, PLURAL

JsonObject = dict[str, Any]


class ApiServer:
    """Keeps schedules, Jobs and pods as the test puts them there; `refuse` answers everything with a Status."""

    def __init__(self) -> None:
        self.schedules: list[JsonObject] = []
        self.jobs: list[JsonObject] = []
        self.pods: list[JsonObject] = []
        self.deployments: list[JsonObject] = []
        self.logs: dict[str, str] = {}
        """What each pod has logged."""
        self.created: Callable[[JsonObject], None] | None = None
        """Called with a Job that a command makes: what the cluster does with it."""
        self.deleted: list[str] = []
        self.patched: list[JsonObject] = []
        self.refuse: tuple[int, str] | None = None
        self.refused_kinds: set[str] = set()
        """What may not be listed, such as `pods`."""
        self.refusals: list[tuple[int, str]] = []
        """What the next calls are answered with, once each."""
        self.installed = True
        self.meanwhile: Callable[[JsonObject], None] | None = None
        """Called with an object before it is given out: what happens while a command looks on."""

    async def _answer(self, request: web.Request) -> web.Response:
        if self.refuse or self.refusals:
            return _status(*(self.refuse or self.refusals.pop(0)))
        parts = request.path.strip("/").split("/")
        if GROUP in parts and not self.installed:
            return web.Response(status=404, text="404 page not found\n")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else None
        if parts[-1] == "log":
            return web.Response(text=self.logs[parts[-2]])
        if request.method == "POST":
            return self._create(json.loads(await request.text()))
        kinds = {PLURAL: self.schedules, "jobs": self.jobs, "pods": self.pods, "deployments": self.deployments}
        for kind, objects in kinds.items():
            if parts[-1] == kind and kind in self.refused_kinds:
                return _status(403, f"{kind} is forbidden")
            if parts[-1] == kind:
                return web.json_response({"metadata": {}, "items": list(_selected(objects, namespace, request))})
            if parts[-2] == kind:
                return await self._one(objects, namespace, parts[-1], request)
        return _status(404, f"no such path: {request.path}")

    def _create(self, job: JsonObject) -> web.Response:
        job["metadata"] |= {"uid": f"uid-of-{job['metadata']['name']}", "creationTimestamp": "2026-11-23T09:10:00Z"}
        self.jobs.append(job)
        if self.created:
            self.created(job)
        return web.json_response(job, status=201)

    async def _one(
        self, objects: list[JsonObject], namespace: str | None, name: str, request: web.Request
    ) -> web.Response:
        for body in objects:
            if (body["metadata"]["namespace"], body["metadata"]["name"]) == (namespace, name):
                if request.method == "DELETE":
                    objects.remove(body)
                    self.deleted.append(name)
                elif request.method == "PATCH":
                    patch = json.loads(await request.text())
                    self.patched.append(patch)
                    _merge(body, patch)
                elif self.meanwhile:
                    self.meanwhile(body)
                return web.json_response(body)
        return _status(404, f'{PLURAL}.{GROUP} "{name}" not found')

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve while the block runs; yield the address."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        addresses: list[str] = []

        async def start() -> web.AppRunner:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            addresses.append(f"http://{host}:{port}")
            return runner

        def serve() -> None:
            runner = loop.run_until_complete(start())
            ready.set()
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=serve)
        thread.start()
        ready.wait()
        try:
            yield addresses[0]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def write_kubeconfig(path: Path, address: str, *, namespace: str = "default") -> Path:
    """Write a kubeconfig with the context `here`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
    }
    path.write_text(json.dumps(config))
    return path


def _selected(objects: list[JsonObject], namespace: str | None, request: web.Request) -> Iterator[JsonObject]:
    selector = dict(part.split("=") for part in request.query.get("labelSelector", "").split(",") if part)
    for body in objects:
        labels = body["metadata"].get("labels") or {}
        if namespace in (None, body["metadata"]["namespace"]) and selector.items() <= labels.items():
            yield body


def _merge(body: JsonObject, patch: JsonObject) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(body.setdefault(key, {}), value)
        else:
            body[key] = value


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)
