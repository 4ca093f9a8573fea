"""`kubectl trending history`: the runs that the cluster still knows of."""

import click

from trending.cli.kubectl.output import output_option, print_object, show
from trending.cli.kubectl.where import Where, located, schedule_name


@click.command("history")
@schedule_name
@located
@output_option("wide", "json", "yaml")
def command(name: str, where: Where, output: str | None) -> None:
    """Show a schedule's last runs: how long they took, what they changed, how they ended.

    They are those whose Jobs are retained (successfulJobsHistoryLimit, failedJobsHistoryLimit); `-o wide` shows each
    run's steps. The database's table trending.run keeps all.
    """
    from trending.cli.kubectl.status import see_live

    seen = see_live(name, where)
    if output in ("json", "yaml"):
        print_object([run.to_json_object() for run in seen.runs], output)
        return
    from trending.cli.kubectl.history_view import history_view

    show(lambda _: history_view(seen, steps=output == "wide"))
