"""`kubectl trending list`: all schedules at a glance."""

from typing import Any

import click

from trending.cli.kubectl.output import output_option, print_list, print_name, show
from trending.cli.kubectl.where import Where, everywhere_option, located


@click.command("list")
@everywhere_option
@located
@output_option("wide", "json", "yaml", "name")
def command(where: Where, output: str | None, *, everywhere: bool) -> None:
    """List schedules, most stale first.

    \b
        kubectl trending list -A
        kubectl trending list -o json | jq -r '.items[].metadata.name'

    Where a line is too narrow for all columns, some are left out; `-o wide` shows all, however wide.
    """
    from datetime import UTC, datetime

    from trending.cli.kubectl.connection import Cluster, ask
    from trending.cli.kubectl.list_view import list_table, most_stale_first

    async def question(cluster: Cluster) -> tuple[str, list[dict[str, Any]]]:
        return cluster.namespace, await cluster.list_schedules(everywhere=everywhere)

    namespace, bodies = ask(where, question)
    now = datetime.now(UTC)
    rows = most_stale_first(bodies, now)
    if output == "name":
        for row in rows:
            print_name(row.body)
    elif output in ("json", "yaml"):
        print_list([row.body for row in rows], output)
    elif not rows:
        place = "any namespace" if everywhere else f"namespace {namespace}"
        click.echo(f"There is no schedule in {place}.", err=True)
    else:
        wide = output == "wide"
        show(lambda width: list_table(rows, now, everywhere=everywhere, wide=wide, width=width), wide=wide)
