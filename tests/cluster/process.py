"""Running other programs: their output goes to a log, their failure becomes one sentence."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> None:
    """Run a program with its output appended to `log`.

    `what` completes the sentence "... did not work"; `env` is added to this process's own; `timeout` in seconds.
    Raises ClusterError with the last line that the program said and the log's path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"$ {shlex.join(map(str, argv))}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{what} did not work within {timeout:.0f} s; its log is {log}") from None
        except FileNotFoundError as error:
            raise ClusterError(
                f"{what} did not work: {error.filename} is not on PATH; install it and run this again"
            ) from None
    if done.returncode:
        raise ClusterError(f"{what} did not work ({last_line(log)}); its log is {log}")


def output(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
) -> str | None:
    """Return what a program printed, without the white space around it, or None where it failed, hung or is absent."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def last_line(log: Path) -> str:
    """The last line that says something, at most 300 characters."""
    lines = log.read_bytes().decode(errors="replace").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")
