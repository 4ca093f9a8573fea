"""`kubectl trending run`: a run by hand, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.cli.kubectl.output import output_option, print_object, show
from trending.cli.kubectl.where import Where, located, schedule_name

if TYPE_CHECKING:
    from trending.api.status import LastRun

_INTERRUPTED: Final = 130


def _read_span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    from trending.api.duration import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command("run")
@schedule_name
@located
@click.option("--wait", is_flag=True, help="Wait until the run has ended, and say how.")
@click.option("-f", "--follow", is_flag=True, help="The same, and show what the run does meanwhile.")
@click.option(
    "--timeout", metavar="SPAN", callback=_read_span, help="Wait no longer than this, as 90s or 30m; the run goes on."
)
@output_option("json", "yaml", "name")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    where: Where,
    timeout: timedelta | None,
    output: str | None,
    *,
    wait: bool,
    follow: bool,
) -> None:
    """Start a run now, by hand; also while suspended. An active run is waited for.

    \b
    Exit codes: 0 the run is requested, with --wait: has succeeded; 1 it failed, or something else is wrong;
    2 the command line cannot be read; 130 Ctrl-C, and the run goes on.
        kubectl trending run hourly --follow
        kubectl trending run hourly --wait && ./warm-the-cache
    """
    if timeout is not None and not (wait or follow):
        raise click.UsageError("--timeout says how long to wait: add --wait or --follow")
    from trending.api.instant import format_precise
    from trending.cli.kubectl.connection import ask
    from trending.schedule.job_names import manual_job_name

    request = format_precise(datetime.now(UTC))
    if wait or follow:
        try:
            ended, told = _await(name, where, request, timeout=timeout, follow=follow, quiet=output is not None)
        except KeyboardInterrupt:
            click.echo(
                f"\n{name}: the run goes on; see it with: kubectl trending logs {name}{where.flags} -f", err=True
            )
            ctx.exit(_INTERRUPTED)
        if not told:
            _print_end(ended, job=manual_job_name(name, request), output=output)
        ctx.exit(0 if ended.result in ("Succeeded", "Superseded") else 1)
    ask(where, lambda cluster: cluster.patch(name, _patch(request)))
    _print_request(name, where, request, output)


def _patch(request: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: request}}}


def _await(
    name: str, where: Where, request: str, *, timeout: timedelta | None, follow: bool, quiet: bool
) -> tuple[LastRun, bool]:
    """Request a run and wait for its end; return how it ended, and whether that has been shown already."""
    import asyncio

    from trending.cli.kubectl.awaited import until_begun, until_ended
    from trending.cli.kubectl.connection import Cluster, ask
    from trending.cli.kubectl.followed import show_run
    from trending.cli.kubectl.telling import telling
    from trending.schedule.job_names import manual_job_name

    async def question(cluster: Cluster) -> tuple[LastRun, bool]:
        await cluster.patch(name, _patch(request))
        told = False
        within = asyncio.timeout(timeout.total_seconds() if timeout is not None else None)
        try:
            async with within:
                if follow and not quiet:
                    with telling(name) as says:
                        await until_begun(cluster, name, request, says=says)
                    told = await show_run(cluster, manual_job_name(name, request))
                with telling(name, quiet=quiet) as says:
                    return await until_ended(cluster, name, request, says=says), told
        except TimeoutError:
            if not within.expired():
                raise  # it is the connection's
            raise click.ClickException(f"{name}: the run has not ended in time; it goes on") from None

    return ask(where, question)


def _print_request(name: str, where: Where, request: str, output: str | None) -> None:
    from trending.schedule.job_names import manual_job_name

    job = manual_job_name(name, request)
    if output == "name":
        click.echo(f"job.batch/{job}")
    elif output:
        print_object({"job": job, "requestedAt": request}, output)
    else:
        click.echo(f"{name}: a run is requested; see it with: kubectl trending status {name}{where.flags}")


def _print_end(ended: LastRun, *, job: str, output: str | None) -> None:
    if output == "name":
        click.echo(f"job.batch/{job}")
    elif output:
        print_object(ended.to_json_object(), output)
    else:
        from trending.cli.kubectl.history_view import ended_view

        show(lambda _: ended_view(ended, datetime.now(UTC)))
