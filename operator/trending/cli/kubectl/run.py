"""`kubectl trending run`: a run by hand."""

from datetime import UTC, datetime

import click

from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.cli.kubectl.where import Where, located, schedule_name


@click.command("run")
@schedule_name
@located
def command(name: str, where: Where) -> None:
    """Start a run now, by hand; also while suspended. An active run is waited for."""
    from trending.api.instant import format_precise
    from trending.cli.kubectl.connection import ask

    requested = format_precise(datetime.now(UTC))
    patch = {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: requested}}}
    ask(where, lambda cluster: cluster.patch(name, patch))
    click.echo(f"{name}: a run is requested; see it with: kubectl get ts {name} --watch")
