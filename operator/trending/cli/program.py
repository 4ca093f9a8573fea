"""`trending`: one command with a subcommand for each thing to do.

A subcommand's module is imported when it is called: a run must not wait for what only the controller needs.
"""

import importlib
from typing import Final

import click

_COMMANDS: Final = {
    "bench": "trending.cli.bench",
    "controller": "trending.cli.controller",
    "crd": "trending.cli.crd",
    "demo": "trending.cli.demo",
    "explain": "trending.cli.explain",
    "freshness": "trending.cli.freshness",
    "migrate": "trending.cli.migrate",
    "next": "trending.cli.next",
    "partition": "trending.cli.partition",
    "plan": "trending.cli.plan",
    "run": "trending.cli.run",
}
"""Where each subcommand is: a module whose `command` it is."""


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's own signature)
        """Return the names that --help lists."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's own signature)
        """Return the named subcommand; None where there is none, which click tells with its nearest match."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMMANDS[cmd_name]}.command is no click command")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="trending-operator", prog_name="trending")
def main() -> None:
    """Keep ranking tables in PostgreSQL fresh.

    In a cluster the controller starts one Job a run for each TrendingSchedule; `trending run` does the same run here.
    """
