"""`kubectl trending status`: one schedule on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from trending.cli.kubectl.output import output_option, print_object, show
from trending.cli.kubectl.where import Where, located, schedule_name

if TYPE_CHECKING:
    from trending.cli.kubectl.seen import Seen

_NOT_FRESH: Final = 3


@click.command("status")
@schedule_name
@located
@output_option("json", "yaml")
@click.pass_context
def command(ctx: click.Context, name: str, where: Where, output: str | None) -> None:
    """Say how a schedule is: when it runs, how fresh its data are, how its last runs went, what to do.

    \b
    Exit codes: 0 the data are fresh; 3 they are not; 1 something is wrong; 2 the command line cannot be read.
        kubectl trending status hourly > /dev/null || echo "not fresh, or unknown"
    """
    seen = see_live(name, where)
    if output:
        print_object(seen.to_json_object(), output)
    else:
        from trending.cli.kubectl.status_view import status_view

        show(lambda width: status_view(seen, width=width))
    ctx.exit(0 if seen.verdict.fresh else _NOT_FRESH)


def see_live(name: str, where: Where) -> Seen:
    """Look at a schedule as it is in the cluster now."""
    import asyncio
    from datetime import UTC, datetime

    from trending.cli.kubectl.connection import Cluster, ask
    from trending.cli.kubectl.seen import read_schedule, see

    async def question(cluster: Cluster) -> Seen:
        schedule = read_schedule(await cluster.schedule(name))
        jobs, pods = await asyncio.gather(cluster.jobs_of(name), cluster.pods_of(name))
        return see(schedule, jobs, pods, datetime.now(UTC), flags=where.flags)

    return ask(where, question)
