"""Answers that are none to what was asked, though their status is 200: a proxy gives such in the API server's place."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from tests.unit.kube import SETTINGS
from trending.controller.answers import UnreadableError
from trending.controller.kube import Kube, why_failed
from trending.controller.leadership import Leadership

PAGE = b"<html>\n<head><title>Log in</title>\r\n\x1b[31m</head>" + b" please" * 100


class Proxy:
    """Answers everything with the same."""

    def __init__(self) -> None:
        self.says = b""

    async def answer(self, _: web.Request) -> web.Response:
        return web.Response(body=self.says, content_type="application/json")


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


@pytest.fixture
async def kube(proxy: Proxy) -> AsyncIterator[Kube]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", proxy.answer)
    async with TestServer(application) as server:
        made = Kube(ApiClient(Configuration(host=str(server.make_url("/")).rstrip("/"))))
        yield made
        await made.close()


async def everything(pages: AsyncIterator[object]) -> None:
    async for _ in pages:
        pass


Ask = Callable[[Kube], Awaitable[object]]
LIST: Ask = lambda kube: everything(kube.schedules())  # noqa: E731 (a name makes the cases readable)
READ: Ask = lambda kube: kube.get_job("default", "hourly-1")  # noqa: E731
VERSION: Ask = lambda kube: kube.get_version()  # noqa: E731
WATCH: Ask = lambda kube: everything(kube.watch_jobs("5"))  # noqa: E731


@pytest.mark.parametrize(
    ("ask", "says", "told"),
    [
        (LIST, b"<html>", "no JSON: '<html>'"),
        (READ, b"", "no JSON: ''"),
        (READ, b'{"metadata": "\xe9"}', 'no JSON: \'{"metadata": "\N{REPLACEMENT CHARACTER}"}\''),
        (READ, b"[" * 100_000, f"no JSON: '{'[' * 80}'"),
        (VERSION, b"null", "no object: 'null'"),
        (READ, b"{}", "no resource: '{}'"),
        (LIST, b'{"metadata": {}}', "no list: '{\"metadata\": {}}'"),
        (LIST, b'{"metadata": {}, "items": null}', 'no list: \'{"metadata": {}, "items": null}\''),
        (WATCH, b"<html>\n", "no JSON: '<html>'"),
        (WATCH, b"null\n", "no object: 'null'"),
        (WATCH, b"{}\n", "no event of a watch: '{}'"),
        (WATCH, b'{"kind": "Status"}\n', 'no event of a watch: \'{"kind": "Status"}\''),
        (WATCH, b'{"type": "\xe9"}\n', 'no JSON: \'{"type": "\N{REPLACEMENT CHARACTER}"}\''),
    ],
)
async def test_an_answer_that_is_none_is_told_by_its_first_words(
    kube: Kube, proxy: Proxy, ask: Ask, says: bytes, told: str
) -> None:
    proxy.says = says
    with pytest.raises(UnreadableError) as raised:
        await ask(kube)
    assert str(raised.value) == f"the API server's answer is {told}"


async def test_a_whole_page_is_told_in_one_line_that_is_not_long(kube: Kube, proxy: Proxy) -> None:
    proxy.says = PAGE
    with pytest.raises(UnreadableError) as raised:
        await kube.get_version()
    told = why_failed(raised.value)
    assert told.isprintable()
    assert told.startswith("UnreadableError: the API server's answer is no JSON: '<html> <head>")
    assert len(told) < 160


def test_of_any_error_one_line_is_told() -> None:
    assert why_failed(ValueError("two\nlines")) == "ValueError: two lines"
    assert why_failed(TimeoutError()) == "TimeoutError"


async def test_a_deletion_is_done_whatever_its_answer_holds(kube: Kube, proxy: Proxy) -> None:
    proxy.says = b"{}"
    await kube.delete_job("default", "hourly-1", uid="j1")


@pytest.mark.parametrize("says", [b"<html>", b"{}"])
async def test_a_lease_that_cannot_be_understood_is_one_that_cannot_be_read(
    kube: Kube, proxy: Proxy, says: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.says = says
    leadership = Leadership(kube=kube, namespace="default", name="x", identity=SETTINGS.instance)
    waiting = asyncio.create_task(leadership.acquire())
    await asyncio.wait((waiting,), timeout=0.2)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert "the Lease default/x cannot be read or written: UnreadableError: " in caplog.text
