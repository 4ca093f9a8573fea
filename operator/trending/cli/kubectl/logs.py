"""`kubectl trending logs`: what a run says of itself, drawn while it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trending.cli.kubectl.where import Where, located, schedule_name

if TYPE_CHECKING:
    from trending.cli.kubectl.connection import Cluster
    from trending.cli.kubectl.log_view import LogView

_INTERRUPTED = 130


@click.command("logs")
@schedule_name
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the run has ended.")
@click.option("--raw", is_flag=True, help="Print the lines of the log as they are: JSON objects.")
@click.option("--job", metavar="JOB", help="The run of this Job; the active or else the newest one by default.")
@located
@click.pass_context
def command(ctx: click.Context, name: str, where: Where, job: str | None, *, following: bool, raw: bool) -> None:
    """Show what a run says of itself: on a terminal drawn as a table of its steps, elsewhere a line each.

    With -f it goes on until the run has ended, from before its pod has started. Ctrl-C ends the view, not the run.

    \b
        kubectl trending logs hourly -f
        kubectl trending logs hourly --raw | jq -c 'select(.event == "end") | .step'
    """
    from trending.cli.kubectl.connection import ask
    from trending.cli.kubectl.follow import follow, show_so_far
    from trending.cli.kubectl.log_view import drawn_or_written

    async def question(cluster: Cluster, view: LogView) -> None:
        chosen = await choose_job(cluster, name, job)
        if following:
            await follow(cluster, chosen, view)
        elif not await show_so_far(cluster, chosen, view):
            raise click.ClickException(
                f"no pod of Job {chosen} has a log: it has not started yet (-f waits for it), or is gone already; "
                f"`kubectl trending history {name}{where.flags}` shows what is known"
            )

    try:
        with drawn_or_written(raw=raw) as view:
            ask(where, lambda cluster: question(cluster, view))
    except KeyboardInterrupt:
        click.echo(f"The run goes on; see it again with: kubectl trending logs {name}{where.flags} -f", err=True)
        ctx.exit(_INTERRUPTED)


async def choose_job(cluster: Cluster, name: str, wanted: str | None) -> str:
    """Return the Job that is meant: the one named, the active one, or the newest. Raises ClickException."""
    from trending.schedule.observed import Job

    body = await cluster.schedule(name)
    jobs = [Job.from_object(each) for each in await cluster.jobs_of(name)]
    own = sorted((job for job in jobs if job.owner == body["metadata"]["uid"]), key=lambda job: job.created)
    if wanted is not None:
        if wanted in {job.name for job in own}:
            return wanted
        known = f"; there are {', '.join(job.name for job in own)}" if own else ""
        raise click.ClickException(f"{name} has no Job {wanted}{known}")
    if not own:
        raise click.ClickException(
            f"{name} has no run whose log could be shown: none was started yet, or its Jobs are deleted already"
        )
    active = [job for job in own if not job.finished]
    return (active or own)[-1].name
