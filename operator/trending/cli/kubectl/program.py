"""The plugin's commands and what they share."""

from typing import Final

import click

from trending.cli.kubectl.where import Where, located
from trending.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "completion": "trending.cli.kubectl.completion",
    "explain": "trending.cli.kubectl.explain",
    "history": "trending.cli.kubectl.history",
    "list": "trending.cli.kubectl.list",
    "logs": "trending.cli.kubectl.logs",
    "migrate": "trending.cli.kubectl.migrate",
    "plan": "trending.cli.kubectl.plan",
    "resume": "trending.cli.kubectl.suspend:resume",
    "run": "trending.cli.kubectl.run",
    "status": "trending.cli.kubectl.status",
    "suspend": "trending.cli.kubectl.suspend:suspend",
}
"""Where each subcommand is."""


@click.group(cls=LazyGroup, modules=_COMMANDS)
@click.version_option(package_name="trending-operator", prog_name="kubectl trending")
@located
@click.pass_context
def program(ctx: click.Context, where: Where) -> None:
    """Work with TrendingSchedules.

    \b
    Exit codes: 0 all is well; 1 something is wrong, and a sentence on standard error says what; 2 the command line
    cannot be read.
    """
    ctx.obj = where


def main() -> None:
    """Run the plugin under the name by which people call it."""
    program(prog_name="kubectl trending", complete_var="_KUBECTL_TRENDING_COMPLETE")
