"""The two questions that a kubelet asks: whether the process lives, and whether it does its part."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from trending.controller.listening import listening_socket

Trouble = Callable[[], Awaitable[str | None]]
"""What is wrong, in a sentence; None where nothing is."""


@asynccontextmanager
async def serving_health(*, port: int, live: Trouble, ready: Trouble) -> AsyncIterator[int]:
    """Answer /healthz and /readyz on all addresses: 200, or 500 and 503 with what is wrong; yield the port.

    Raises PortError where the port is taken.
    """
    application = web.Application()
    application.add_routes(
        [web.get("/healthz", _answering(live, status=500)), web.get("/readyz", _answering(ready, status=503))]
    )
    runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=1.0, access_log=None)
    listening = listening_socket(port)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield int(listening.getsockname()[1])
    finally:
        await runner.cleanup()


def _answering(trouble: Trouble, *, status: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = await trouble()
        response = web.Response(text=f"{wrong or 'ok'}\n", status=status if wrong else 200)
        response.force_close()
        return response

    return answer
