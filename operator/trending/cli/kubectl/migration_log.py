"""The log of a migration's pod: sentences and statements, and for programs one object."""

from __future__ import annotations

import click


class MigrationLog:
    """Prints the log as it comes; with `as_object` only what is wrong, and keeps the object that it ends with."""

    def __init__(self, *, as_object: bool) -> None:
        self._as_object = as_object
        self.found: str | None = None
        """The object."""

    def line(self, text: str) -> None:
        """Print a line, or keep it."""
        if self._as_object and text.startswith("{"):
            self.found = text
        else:
            click.echo(text, err=self._as_object or text.startswith("Error: "))

    def remark(self, text: str) -> None:
        """Say what is waited for."""
        click.echo(text, err=True)
