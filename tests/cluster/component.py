"""A program that runs beside the tests: started, stopped, frozen, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.cluster import process
from tests.cluster.errors import ClusterError

_STOP_SECONDS: Final = 10.0


class Component:
    """A process with its log. Where this process dies, however that happens, the kernel kills the other one."""

    def __init__(self, argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = [str(word) for word in argv]
        self.log = log
        self.env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return self.log.stem

    @property
    def pid(self) -> int:
        """The process's id; raises ClusterError where it was never started."""
        if self._process is None:
            raise ClusterError(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives, be it frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended, as subprocess tells it; None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process, its output appended to the log.

        The kernel ties the process to the thread that starts it, so this must be the main one; raises ClusterError.
        """
        if self.is_running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise ClusterError(f"{self.name} can be started from the main thread only, since it ends with its thread")
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,  # a Ctrl-C on the terminal is ours to answer
            )

    def stop(self) -> None:
        """Ask the process to end, and kill it where it does not within 10 seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process at once, as when its node loses power."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the process from running, until it is thawed: to others it is there and does not answer."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, seconds: float) -> int | None:
        """Wait until the process ends by itself; return its exit code, None where it did not within the time."""
        if self._process is None:
            return None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        """Return what the process has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check(self) -> None:
        """Raise ClusterError, with the last line that it said, where the process has ended."""
        if not self.is_running:
            raise ClusterError(f"{self.name} has ended ({process.last_line(self.log)}); its log is {self.log}")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
