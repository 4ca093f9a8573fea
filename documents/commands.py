"""The reference of the command line, from click: `trending` and `kubectl trending`, each command with its options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any, Final

import click

from trending.cli import kubectl, program

_INTRODUCTION: Final = """\
# The command line

The Python package brings two programs: `trending`, which works with files and databases, and `kubectl-trending`, which
kubectl calls for `kubectl trending`. What is here is what `--help` says of each command.
"""
PROGRAMS: Final[dict[str, click.Command]] = {"trending": program.main, "kubectl trending": kubectl.program}
"""What people type, and what it calls."""
_WIDTH: Final = 100


def write_commands() -> str:
    """Return the page as Markdown."""
    lines = [_INTRODUCTION]
    for name, command in PROGRAMS.items():
        lines += _command(name, command, None, level=2)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: click.Command, parent: click.Context | None, *, level: int) -> Iterator[str]:
    """Yield a command's section and those of the commands in it."""
    word = name.rpartition(" ")[2] if parent else name
    context = command.context_class(
        command,
        parent,
        info_name=word,
        terminal_width=_WIDTH,
        **command.context_settings,
    )
    yield f"{'#' * level} {name}\n"
    yield f"```text\n{_usage(command, context)}\n```\n"
    yield from _text(command)
    options = [record for option in command.get_params(context) if (record := option.get_help_record(context))]
    if options:
        yield "| option | |"
        yield "|---|---|"
        yield "\n".join(f"| <code>{_cell(words)}</code> | {_cell(said)} |" for words, said in options) + "\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from _command(f"{name} {each}", inner, context, level=level + 1)


def _usage(command: click.Command, context: click.Context) -> str:
    return command.get_usage(context).removeprefix("Usage: ")


def _text(command: click.Command) -> Iterator[str]:
    r"""Yield a help text's paragraphs; what is indented after a \b is shown as it stands."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        as_it_stands = []
        if lines[:1] == ["\b"]:
            as_it_stands = list(dropwhile(lambda line: not line.startswith(" "), lines))
            lines = lines[1 : len(lines) - len(as_it_stands)]
        if lines:
            yield " ".join(" ".join(lines).split()).replace("<", "&lt;") + "\n"
        if as_it_stands:
            yield "```text\n" + inspect.cleandoc("\n".join(as_it_stands)) + "\n```\n"


def _cell(text: Any) -> str:
    """Return a text that ends no cell of a table, in code neither."""
    return " ".join(str(text).split()).replace("|", "&#124;").replace("<", "&lt;")
