"""Where probes and scrapes arrive: at every address of the pod, be the cluster's IPv4, IPv6 or both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from trending.controller.health import serving_health
from trending.controller.listening import PortError, listening_socket
from trending.controller.scraping import serving_metrics


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


LOOPBACKS = [
    pytest.param("127.0.0.1", id="IPv4"),
    pytest.param(
        "::1", id="IPv6", marks=pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
    ),
]


def is_answered(host: str, port: int) -> bool:
    with closing(socket.create_connection((host, port), timeout=2)):
        return True


async def nothing_wrong() -> str | None:
    return None


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_probes_are_answered_in_each_family(host: str) -> None:
    async with serving_health(port=0, live=nothing_wrong, ready=nothing_wrong) as port:
        assert is_answered(host, port)


@pytest.mark.parametrize("host", LOOPBACKS)
def test_scrapes_are_answered_in_each_family(host: str) -> None:
    with serving_metrics(lambda: iter(["up 1\n"]), port=0) as port:
        address = f"[{host}]" if ":" in host else host
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=2) as answer:
            assert answer.read() == b"up 1\n"


@pytest.mark.parametrize(
    "refused", [OSError(97, "Address family not supported by protocol"), OSError(99, "Cannot assign requested address")]
)
def test_a_kernel_without_ipv6_is_listened_on_by_ipv4(refused: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.create_server

    def create_server(address: tuple[str, int], *, family: int = socket.AF_INET, **options: bool) -> socket.socket:
        if family == socket.AF_INET6:
            raise refused
        return original(address, **options)

    monkeypatch.setattr(socket, "create_server", create_server)
    with listening_socket(0) as made:
        assert made.family == socket.AF_INET
        assert is_answered("127.0.0.1", made.getsockname()[1])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another process has, by IPv4 alone."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


async def test_a_port_that_is_taken_is_told_in_a_sentence(taken: int) -> None:
    told = rf"^port {taken} cannot be listened on: Address already in use"
    with pytest.raises(PortError, match=told), ExitStack() as stack:
        stack.enter_context(serving_metrics(lambda: iter([]), port=taken))
    with pytest.raises(PortError, match=told):
        async with serving_health(port=taken, live=nothing_wrong, ready=nothing_wrong):
            pass


def test_the_command_ends_with_that_sentence_and_no_traceback(taken: int) -> None:
    environment = {
        **os.environ,
        "TRENDING_RUN_IMAGE": "registry.example/trending:1",
        "TRENDING_METRICS_PORT": str(taken),
    }
    command = [sys.executable, "-m", "trending", "controller"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: port {taken} cannot be listened on: Address already in use; free it")
