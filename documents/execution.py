"""Executing the documents' blocks as a reader would: in a shell, in one folder a page, comparing what is shown."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from documents.blocks import Block

_URI: Final = re.compile(r"postgresql://[^\s'\"]+")
"""A database of the reader's; the tests have another one."""
_ANYTHING: Final = "..."
"""In what a command prints: whatever comes here, lines included."""


class WrongBlockError(AssertionError):
    """A block does not do what it shows; the text says which, what it was to print, and what it printed."""


def write_file(block: Block, folder: Path) -> None:
    """Write the file that a block with a title shows."""
    if block.title is not None:
        file = folder / block.title
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")


def execute(block: Block, folder: Path, environment: Mapping[str, str], *, uri: str = "") -> None:
    """Execute the commands of a `sh` or `console` block. `uri` takes the place of the URIs that it shows.

    Raises WrongBlockError where a command fails, or prints something else than the block shows.
    """
    if block.language == "sh":
        _run(block, block.text, folder, environment, uri)
        return
    for command, shown in session(block.text):
        printed = _run(block, command, folder, environment, uri)
        if not matches(shown, printed):
            raise WrongBlockError(f"{block.where}: $ {command}\nshows\n{shown}\nbut prints\n{printed}")


def session(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a `console` block, each with the output that is shown after it."""
    command: list[str] = []
    shown: list[str] = []
    for line in text.splitlines():
        if command and not shown and command[-1].endswith("\\"):
            command.append(line.removeprefix("> "))
        elif line.startswith("$ "):
            if command:
                yield "\n".join(command), "\n".join(shown)
            command, shown = [line.removeprefix("$ ")], []
        else:
            shown.append(line)
    if command:
        yield "\n".join(command), "\n".join(shown)


def matches(shown: str, printed: str) -> bool:
    """Tell whether a command printed what is shown, spaces at the ends of lines aside."""
    wanted, found = (
        "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).strip() for text in (shown, printed)
    )
    if not wanted:
        return True
    pattern = ".*".join(re.escape(part.strip("\n")) for part in wanted.split(_ANYTHING))
    return re.fullmatch(pattern.replace(".*", r"\s*.*\s*"), found, re.DOTALL) is not None


def _run(block: Block, script: str, folder: Path, environment: Mapping[str, str], uri: str) -> str:
    """Return what a script prints on both of its outputs."""
    script = _URI.sub(lambda _: uri, script) if uri else script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        raise WrongBlockError(f"{block.where}: exit code {done.returncode} of\n{block.text}\n{done.stdout}")
    return done.stdout
