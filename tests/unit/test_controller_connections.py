"""Connections to the API server: not too many of them, and kept from one minute's slots to the next one's."""

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

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.add(request.transport.get_extra_info("peername")[1])
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
