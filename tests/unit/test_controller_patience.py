"""Requests that are sent again, against an HTTP server that refuses, asks for time, hangs up, or is not there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException

from tests.cluster.component import free_ports
from trending.controller.kube import Kube
from trending.controller.patience import Patience, UnreachableError

Answer = Callable[[web.Request], web.Response]
OK = web.json_response


def refused(status: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.json_response({"message": "not now"}, status=status, headers=named)


def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def well(_: web.Request) -> web.Response:
    return web.json_response({"metadata": {"name": "hourly"}})


class Server:
    """An API server that gives these answers in turn, the last one again and again; and one that asks it."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [well]
        self.asked = 0
        self.pauses: list[float] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def get(self, *, patience: Patience | None = None) -> str:
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        kube = Kube(ApiClient(configuration), patience=patience or Patience(sleep=self.sleep, chance=lambda: 1.0))
        try:
            return str((await kube.get_schedule("default", "hourly"))["metadata"]["name"])
        finally:
            await kube.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_fails_for_the_moment_is_asked_again_later_and_later(server: Server, status: int) -> None:
    server.answers = [refused(status), refused(status), refused(status), well]
    assert await server.get() == "hourly"
    assert server.pauses == pytest.approx([0.2, 0.4, 0.8])


async def test_an_api_server_that_asks_for_time_gets_it(server: Server) -> None:
    server.answers = [refused(429, Retry_After="1"), refused(429, Retry_After="3"), well]
    assert await server.get() == "hourly"
    assert server.pauses == [1.0, 3.0]


async def test_one_that_asks_for_more_than_a_pass_may_last_is_asked_by_a_later_pass(server: Server) -> None:
    server.answers = [refused(429, Retry_After="60")]
    with pytest.raises(ApiException, match="not now"):
        await server.get()
    assert (server.asked, server.pauses) == (1, [])


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_a_refusal_for_good_is_not_asked_again(server: Server, status: int) -> None:
    server.answers = [refused(status)]
    with pytest.raises(ApiException, match="not now"):
        await server.get()
    assert server.asked == 1


async def test_after_five_tries_the_refusal_is_told(server: Server) -> None:
    server.answers = [refused(503)]
    with pytest.raises(ApiException, match="not now"):
        await server.get()
    assert server.asked == 5


async def test_a_connection_that_breaks_is_made_anew(server: Server) -> None:
    server.answers = [hang_up, hang_up, well]
    assert await server.get() == "hourly"


async def test_where_nothing_answers_that_is_told_apart_from_a_refusal(server: Server) -> None:
    [server.port] = free_ports(1)
    with pytest.raises(UnreachableError, match="does not answer: Cannot connect"):
        await server.get()
    assert len(server.pauses) == 4


async def test_half_of_each_pause_is_left_to_chance(server: Server) -> None:
    server.answers = [refused(503), refused(503), well]
    chances = iter([0.0, 0.5])
    assert await server.get(patience=Patience(sleep=server.sleep, chance=lambda: next(chances))) == "hourly"
    assert server.pauses == pytest.approx([0.1, 0.3])


async def test_a_person_at_the_keyboard_is_told_at_once(server: Server) -> None:
    server.answers = [refused(503)]
    with pytest.raises(ApiException, match="not now"):
        await server.get(patience=Patience(tries=1))
    assert server.asked == 1


async def test_an_answer_that_takes_too_long_is_not_waited_for_twice() -> None:
    asked = 0

    async def never() -> Awaitable[None]:
        nonlocal asked
        asked += 1
        raise TimeoutError

    with pytest.raises(UnreachableError, match="TimeoutError"):
        await Patience().call(never)
    assert asked == 1
