"""`trending`: one command with a subcommand for each thing to do."""

from typing import Final

import click

from trending.cli.lazy import LazyGroup

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


@click.group(cls=LazyGroup, modules=_COMMANDS)
@click.version_option(package_name="trending-operator", prog_name="trending")
def main() -> None:
    """Keep ranking tables in PostgreSQL fresh.

    In a cluster the controller starts one Job a run for each TrendingSchedule; `trending run` does the same run here.
    """
