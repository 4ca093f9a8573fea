"""The two answers that a kubelet gets."""

from __future__ import annotations

import aiohttp
import pytest

from trending.controller.health import serving_health


async def ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("live", [None, "the scheduler task is dead"])
@pytest.mark.parametrize("ready", [None, "nothing has been listed yet"])
async def test_live_and_ready_are_told_apart_each_with_what_is_wrong(live: str | None, ready: str | None) -> None:
    async def why_not_live() -> str | None:
        return live

    async def why_not_ready() -> str | None:
        return ready

    async with serving_health(port=0, live=why_not_live, ready=why_not_ready) as port:
        assert await ask(port, "/healthz") == ((500, f"{live}\n") if live else (200, "ok\n"))
        assert await ask(port, "/readyz") == ((503, f"{ready}\n") if ready else (200, "ok\n"))
        assert (await ask(port, "/"))[0] == 404
