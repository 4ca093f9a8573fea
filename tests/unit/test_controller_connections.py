"""Connections to the API server: not too many of them, kept from one minute's slots to the next one's, and none that a
watch keeps from a request."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp.connector
import pytest
from aiohttp import web

from trending.controller.kube import Kube


@pytest.fixture
async def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[set[int]]:
    """The ports of the connections by which an API server was asked, which the kubeconfig names."""
    seen: set[int] = set()
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        seen.add(request.transport.get_extra_info("peername")[1])
        if "watch" in request.query:
            stream = web.StreamResponse()
            await stream.prepare(request)
            await stream.write(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5"}}}\n')
            await over.wait()
            return stream
        await asyncio.sleep(0)
        return web.json_response({"metadata": {"name": "hourly"}})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
    context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
    config = {
        "clusters": [server],
        "contexts": [context],
        "current-context": "here",
        "users": [{"name": "me", "user": {}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    yield seen
    over.set()
    await runner.cleanup()


async def test_a_thousand_requests_share_some_connections_which_the_next_minutes_find_open(
    ports: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kube = await Kube.connect(who="test")
    try:
        await asyncio.gather(*(kube.get_schedule("default", "hourly") for _ in range(1000)))
        first = set(ports)
        assert 1 < len(first) <= 48
        monkeypatch.setattr(aiohttp.connector, "monotonic", lambda: time.monotonic() + 60)
        await asyncio.gather(*(kube.get_schedule("default", "hourly") for _ in range(1000)))
        assert ports == first
    finally:
        await kube.close()


async def test_watches_of_many_namespaces_leave_requests_all_their_connections(ports: set[int]) -> None:
    kube = await Kube.connect(who="test")
    streams = [kube.watch_jobs("5", f"team-{number}") for number in range(100)]
    streams += [kube.watch_failed_pods("5", f"team-{number}") for number in range(100)]
    try:
        async with asyncio.timeout(10):
            await asyncio.gather(*(anext(stream) for stream in streams))
            assert len(ports) == len(streams)
            await asyncio.gather(*(kube.get_schedule("default", "hourly") for _ in range(1000)))
        assert len(streams) < len(ports) <= len(streams) + 48
    finally:
        await kube.close()
