"""The options that plan and migrate have in common."""

from __future__ import annotations

from typing import Final

import click


def _read(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, str] | None:
    """Read NAME or NAME:KEY."""
    if value is None:
        return None
    name, _, key = value.partition(":")
    if not name:
        raise click.BadParameter("write NAME or NAME:KEY")
    return name, key or "uri"


secret_option: Final = click.option(
    "--secret",
    metavar="NAME[:KEY]",
    callback=_read,
    help="A Secret with the URI of the database, where another role is to do it than that of runs; KEY is uri by "
    "default.",
)
image_option: Final = click.option(
    "--image", help="The operator's image; that of the schedule's newest run by default, else the controller's own."
)
