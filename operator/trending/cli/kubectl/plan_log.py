"""The log of a plan's pod: one line of it is the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from trending.runner.planned import RunPlan

if TYPE_CHECKING:
    from rich.status import Status


class PlanLog:
    """Keeps the plan, and says on a terminal what is waited for meanwhile."""

    def __init__(self) -> None:
        self.plan: RunPlan | None = None
        self.text = ""
        """The plan as it was printed."""
        self.said: list[str] = []
        """What else was in the log."""
        self._status: Status | None = None

    def line(self, text: str) -> None:
        """Take a line of the log."""
        try:
            self.plan, self.text = RunPlan.from_json_object(json.loads(text)), text
        except ValueError:
            self.said.append(text)

    def remark(self, text: str) -> None:
        """Say what is waited for."""
        if self._status:
            from rich.text import Text

            self._status.update(Text(text))  # kubelets and registries write brackets
        else:
            click.echo(text, err=True)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show remarks in one line where standard error is a terminal."""
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        if not console.is_terminal:
            yield
            return
        with console.status("") as status:
            self._status = status
            yield
        self._status = None
