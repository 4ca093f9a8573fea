"""`kubectl trending plan`: what a run would do now, found out in the cluster."""

from __future__ import annotations

import json

import click

from trending.cli.kubectl.output import output_option, print_object
from trending.cli.kubectl.purpose_options import image_option, secret_option
from trending.cli.kubectl.where import Where, located, schedule_name


@click.command("plan")
@schedule_name
@image_option
@secret_option
@output_option("json", "yaml")
@located
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    where: Where,
    image: str | None,
    secret: tuple[str, str] | None,
    output: str | None,
) -> None:
    """Say what a run would do now, and what would keep it from working. Nothing is written.

    A Job in the cluster finds out, with the Secrets, the network and the rights that a run has; it is no run, and is
    deleted afterwards. Views are read as they are, not refreshed first.

    \b
    Exit codes: 0 a run would work; 2 something has to be changed first; 1 another attempt may succeed, or there was
    none, as a sentence on standard error says.
    """
    from trending.cli.kubectl.in_cluster import Task, do_in_cluster
    from trending.cli.kubectl.plan_log import PlanLog

    view = PlanLog()
    task = Task(name=name, purpose="plan", arguments=("-o", "json"), image=image, secret=secret)
    with view.shown():
        exit_code = do_in_cluster(where, task, view)
    if view.plan is None:
        raise click.ClickException("the pod said no plan: " + (" ".join(view.said) or "nothing at all"))
    if output:
        print_object(json.loads(view.text), output)
    else:
        from trending.cli.plan_view import print_plan

        print_plan(view.plan, exit_code=exit_code)
    ctx.exit(exit_code)
