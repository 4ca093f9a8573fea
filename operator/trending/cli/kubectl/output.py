"""What a command prints: objects for programs, tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from trending.api.names import GROUP, SINGULAR

if TYPE_CHECKING:  # help and completion need not wait for rich
    from rich.console import Console, RenderableType

_F = TypeVar("_F", bound=Callable[..., Any])
_UNFOLDED: Final = 2000
"""How wide a line may be that no terminal shows: programs read lines, and none may be folded."""


def output_option(*formats: str) -> Callable[[_F], _F]:
    """Give a command `-o`; it is called with `output`, which is None where a person reads it."""
    return click.option("-o", "--output", type=click.Choice(formats), help=_HELP[formats == ("json", "yaml")])


_HELP: Final = ("How to print it; a table for people by default.", "Print an object for programs.")


def print_object(value: Any, output: str) -> None:
    """Print an object as JSON or YAML alone on standard output, without what only the API server needs."""
    value = _shown(value)
    if output == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


def print_list(bodies: list[dict[str, Any]], output: str) -> None:
    """Print objects as `kubectl get` prints several."""
    print_object({"apiVersion": "v1", "kind": "List", "items": bodies}, output)


def print_name(body: dict[str, Any]) -> None:
    """Print a schedule's name as `kubectl get -o name` does."""
    click.echo(f"{SINGULAR}.{GROUP}/{body['metadata']['name']}")


def screen(*, wide: bool = False) -> Console:
    """Return what is drawn on: coloured on a terminal without NO_COLOR; as wide as that, or `wide`, and never folded
    where there is none."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if wide or not console.is_terminal:
        console.width = _UNFOLDED
    return console


def show(view: Callable[[int], RenderableType], *, wide: bool = False) -> None:
    """Print what `view` draws at the width of the screen.

    Where there is no terminal no line ends in the spaces that fill a screen.
    """
    console = screen(wide=wide)
    if console.is_terminal:
        console.print(view(console.width))
        return
    with console.capture() as printed:
        console.print(view(console.width))
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _shown(value: Any) -> Any:
    """Leave out managedFields, as kubectl does."""
    if isinstance(value, dict):
        return {key: _shown(each) for key, each in value.items() if key != "managedFields"}
    return [_shown(each) for each in value] if isinstance(value, list) else value
