"""The HTTP server that Prometheus asks.

It answers from threads of its own, in pieces and compressed, so that a scrape of ten thousand schedules holds no pass
up and is never in memory as a whole.
"""

import logging
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread
from typing import Any, Final

from trending.controller.listening import listening_socket

_log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PATH: Final = "/metrics"
_SECONDS: Final = 30.0
_GZIP: Final = 31
"""zlib's window bits for a gzip header."""
_QUICK: Final = 1


@contextmanager
def serving_metrics(text: Callable[[], Iterator[str]], *, port: int) -> Iterator[int]:
    """Answer /metrics with what `text` yields, on all addresses; yield the port.

    Raises PortError where the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != _PATH:
                self.send_error(404, explain=f"metrics are at {_PATH}")
                return
            compressed = "gzip" in self.headers.get("Accept-Encoding", "")
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            if compressed:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            for piece in _compressed(text()) if compressed else (part.encode() for part in text()):
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            """Log nothing: a scrape every few seconds is no news."""

    server = _Server(listening_socket(port), Handler)
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, listening: socket, handler: type[BaseHTTPRequestHandler]) -> None:
        """Answer at a socket that listens already, in place of the one that the library makes for IPv4 alone."""
        super().__init__(listening.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (as the library calls it)
        """Say in one line, to those who want to know, that somebody hung up."""
        _log.debug("the scrape of %s: %r", client_address, sys.exception())


def _compressed(parts: Iterator[str]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_QUICK, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield compressor.compress(part.encode())
    yield compressor.flush()
