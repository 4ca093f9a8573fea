"""`kubectl trending explain`: what the controller would do with a schedule now, and why."""

import click

from trending.cli.kubectl.output import output_option, print_object
from trending.cli.kubectl.where import Where, located, schedule_name


@click.command("explain")
@schedule_name
@located
@output_option("json", "yaml")
def command(name: str, where: Where, output: str | None) -> None:
    """Say what the controller would do with a schedule now, and why, from the live object and its Jobs.

    It is the controller's own decision, made here and carried out nowhere; `trending explain` makes it of files.
    """
    from datetime import UTC, datetime
    from typing import Any

    from trending.cli.explain import explain
    from trending.cli.kubectl.connection import Cluster, ask

    async def question(cluster: Cluster) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return await cluster.schedule(name), await cluster.jobs_of(name)

    body, jobs = ask(where, question)
    answer, words = explain(body, jobs, datetime.now(UTC))
    if output:
        print_object(answer, output)
    else:
        click.echo(words)
