"""A controller's way to the API server, which can be cut: connections dropped, refused, or silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

State = Literal["open", "refusing", "silent"]


class Link:
    """A port that leads to the API server's, in a thread of its own; TLS goes through it untouched."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._state: State = "open"
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0

    def set(self, state: State) -> None:
        """Have connections go through, be dropped and refused, or stay and carry nothing: as when a cable is cut."""
        self._run(self._set(state))

    def drop(self) -> None:
        """Drop all connections that there are, watches among them; new ones are let through."""
        self._run(self._drop())

    async def _set(self, state: State) -> None:
        self._state = state
        if state == "silent":
            self._open.clear()
        else:
            self._open.set()
        if state == "refusing":
            await self._drop()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state == "refusing":
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:  # the API server is away
            writer.transport.abort()
            return
        ends = {writer, back}
        self._writers |= ends
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @contextmanager
    def serving(self) -> Iterator[Link]:
        """Lead to the API server for the while of the block."""
        self._thread.start()
        server: asyncio.Server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._run(self._end(server))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        self._open.set()
        await self._drop()
        if ours := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(ours, timeout=5)


def kubeconfig_by(link: Link, kubeconfig: Path) -> Path:
    """Write a copy of a kubeconfig that goes by the link; return its path."""
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{link.port}"
    copy = kubeconfig.with_name(f"{link.port}-{kubeconfig.name}")
    copy.write_text(json.dumps(config))
    return copy
