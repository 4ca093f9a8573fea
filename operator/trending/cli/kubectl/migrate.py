"""`kubectl trending migrate`: what the operator needs in a schedule's database, made from within the cluster."""

from __future__ import annotations

import json

import click

from trending.cli.kubectl.output import output_option, print_object
from trending.cli.kubectl.purpose_options import image_option, secret_option
from trending.cli.kubectl.where import Where, located, schedule_name

_INTERRUPTED = 130


@click.command("migrate")
@schedule_name
@click.option("--preset", type=click.Choice(["audius"]), help="Also what the presets of this family need.")
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
@image_option
@secret_option
@output_option("json", "yaml")
@located
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    where: Where,
    preset: str | None,
    image: str | None,
    secret: tuple[str, str] | None,
    output: str | None,
    *,
    dry_run: bool,
) -> None:
    """Make the ledger in the schedule's database and, with --preset, make the indexes of its views unique.

    A Job in the cluster does it, with the Secrets of a run; it is no run, and is deleted afterwards. Where the role of
    runs may not do it, name a Secret with that of one who may: --secret. Safe to run again.

    \b
        kubectl trending migrate hourly --dry-run
        kubectl trending migrate hourly --preset audius --secret discovery-owner:uri
    """
    from trending.cli.kubectl.in_cluster import Task, do_in_cluster
    from trending.cli.kubectl.migration_log import MigrationLog

    arguments = [*(["--preset", preset] if preset else []), *(["--dry-run"] if dry_run else [])]
    if output:
        arguments += ["-o", "json"]
    view = MigrationLog(as_object=output is not None)
    task = Task(
        name=name, purpose="migrate", arguments=arguments, image=image, secret=secret, keep_when_interrupted=True
    )
    try:
        exit_code = do_in_cluster(where, task, view)
    except KeyboardInterrupt:
        ctx.exit(_INTERRUPTED)
    if output and view.found is not None:
        print_object(json.loads(view.found), output)
    ctx.exit(exit_code)
