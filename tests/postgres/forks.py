"""Real runs in processes of their own, forked from one that has imported everything: hundreds of them in a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.postgres.runs import OPERATOR


@dataclass(frozen=True)
class Forks:
    """Does as `trending run --document` does in a pod, one run at a time."""

    _process: subprocess.Popen[str]

    def start(self, folder: Path) -> int:
        """Start the run of the document in this folder; its process's number, for signals."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        return self._said()

    def exit_code(self) -> int:
        """Wait for it to end; the number of the signal, negative, where that ended it."""
        return self._said()

    def _said(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def forks() -> Iterator[Forks]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres.forks"],
        env={**os.environ, "PYTHONPATH": f"{OPERATOR}{os.pathsep}{OPERATOR.parent}"},
        cwd=OPERATOR.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # ends when its input is closed
        yield Forks(process)


def _fork_for_each_line() -> None:
    import trending.cli.run  # noqa: F401 (which the command would import only when it is called)
    from trending.cli import main

    while folder := sys.stdin.readline().rstrip("\n"):
        process = os.fork()
        if process == 0:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            os.environ["TERMINATION_LOG"] = f"{folder}/termination-log"
            main(["run", "--document", f"{folder}/run.json"])
        _say(process)
        _say(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _fork_for_each_line()
