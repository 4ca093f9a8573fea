"""The wire between a runner and its server: it counts the statements, and something happens at the n-th."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final, Literal

from tests.postgres.server import Database
from tests.waiting import SECONDS

Moment = Literal["before", "unanswered"]
"""Before the server gets the statement; or when it has done it, and nobody was told."""

_CANCEL_REQUEST: Final = 80877102
_TERMINATE: Final = b"X"


@dataclass
class Wire:
    """Passes on what runner and server say, whole messages at a time.

    A statement is a simple query, or a batch of the extended protocol up to its Sync. They are counted over all
    connections, in the order in which they come.
    """

    database: Database
    at: int = 0
    """The statement at which `happens` is called, counted from one; 0 for never."""
    moment: Moment = "before"
    happens: Callable[[int], object] = id
    """Gets the number of the backend's process on the server."""
    statements: list[str] = field(default_factory=list)
    """All that came, by their texts."""
    cut: str | None = None
    """The one that it happened at."""
    errors: list[BaseException] = field(default_factory=list)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: list[socket.socket] = field(default_factory=list)
    _alone: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uri(self) -> str:
        """What a runner connects to instead of the server; in clear, so that the messages can be told apart."""
        port = self._listener.getsockname()[1]
        direct = self.database.uri.replace(f":{self.database.server.port}/", f":{port}/")
        return f"{direct}?sslmode=disable&gssencmode=disable"

    @contextmanager
    def laid(self) -> Iterator[Wire]:
        """Lay it; at the end all that went over it is closed."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        accepting = threading.Thread(target=self._accept)
        accepting.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            accepting.join()
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join()
            for end in self._open:
                end.close()
        if self.errors:
            raise self.errors[0]

    def next(self, statement: str) -> bool:
        """Count a statement; whether it is the one."""
        with self._alone:
            self.statements.append(statement)
            if len(self.statements) != self.at:
                return False
            self.cut = statement
            return True

    def _accept(self) -> None:
        while True:
            try:
                runner, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            try:
                server = socket.create_connection(("127.0.0.1", self.database.server.port))
            except OSError:
                runner.close()  # the server is down, as the runner finds out by this
                continue
            for end in (runner, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += (runner, server)
            line = _Line(self, runner, server)
            for pump in (line.from_runner, line.from_server):
                thread = threading.Thread(target=self._pumping, args=(pump, runner, server))
                self._threads.append(thread)
                thread.start()

    def _pumping(self, pump: Callable[[], None], *ends: socket.socket) -> None:
        try:
            pump()
        except OSError:
            pass  # one end has gone: the other hears of it by what follows
        except BaseException as error:  # noqa: BLE001 (told to the test, which is in another thread)
            self.errors.append(error)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Line:
    """One connection."""

    def __init__(self, wire: Wire, runner: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._runner = runner
        self._server = server
        self._backend = 0
        self._is_deaf = False
        self._answered = threading.Event()

    def from_runner(self) -> None:
        with self._runner.makefile("rb") as heard:
            (length,) = struct.unpack("!i", _exactly(heard, 4))
            startup = _exactly(heard, length - 4)
            self._server.sendall(struct.pack("!i", length) + startup)
            if struct.unpack("!i", startup[:4]) == (_CANCEL_REQUEST,):
                return
            batch, text = b"", ""
            while message := _message(heard):
                kind = message[:1]
                batch += message
                if kind in b"QP":
                    text = _statement(message)
                elif kind == b"B" and not text:
                    text = "(prepared before)"
                if kind in b"QS" and text:
                    self._pass_on(batch, text)
                elif kind in (b"S", b"p", b"H", _TERMINATE):
                    self._server.sendall(batch)
                else:
                    continue  # the rest of the batch is still to come
                batch, text = b"", ""

    def from_server(self) -> None:
        with self._server.makefile("rb") as heard:
            while message := _message(heard):
                kind = message[:1]
                if kind == b"K":
                    (self._backend,) = struct.unpack("!i", message[5:9])
                if not self._is_deaf:
                    self._runner.sendall(message)
                elif kind == b"Z":
                    self._answered.set()
        self._answered.set()

    def _pass_on(self, batch: bytes, text: str) -> None:
        if not self._wire.next(text):
            self._server.sendall(batch)
        elif self._wire.moment == "before":
            self._wire.happens(self._backend)
            self._server.sendall(batch)
        else:
            self._is_deaf = True
            self._server.sendall(batch)
            if not self._answered.wait(SECONDS):
                raise AssertionError(f"the server did not answer {text!r} within {SECONDS:.0f} s")
            self._wire.happens(self._backend)


def _exactly(heard: BufferedReader, length: int) -> bytes:
    data = heard.read(length)
    if len(data) < length:
        raise ConnectionError("closed")
    return data


def _message(heard: BufferedReader) -> bytes:
    """Return the next message, or nothing at the end."""
    head = heard.read(5)
    if len(head) < 5:
        return b""
    return head + _exactly(heard, int(struct.unpack("!i", head[1:])[0]) - 4)


def _statement(message: bytes) -> str:
    """Return the text of a Query or Parse, on one line."""
    parts = message[5:].split(b"\0")
    return " ".join((parts[0] if message[:1] == b"Q" else parts[1]).decode(errors="replace").split())
