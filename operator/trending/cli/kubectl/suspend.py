"""`kubectl trending suspend` and `kubectl trending resume`."""

import click

from trending.cli.kubectl.output import output_option, print_name, print_object
from trending.cli.kubectl.where import Where, located, schedule_name

_output = output_option("json", "yaml", "name")


@click.command("suspend")
@schedule_name
@located
@_output
def suspend(name: str, where: Where, output: str | None) -> None:
    """Start no further runs by schedule; an active one goes on."""
    _set(name, where, output, suspended=True)


@click.command("resume")
@schedule_name
@located
@_output
def resume(name: str, where: Where, output: str | None) -> None:
    """Start runs by schedule again."""
    _set(name, where, output, suspended=False)


def _set(name: str, where: Where, output: str | None, *, suspended: bool) -> None:
    from trending.cli.kubectl.connection import ask

    body = ask(where, lambda cluster: cluster.patch(name, {"spec": {"suspend": suspended}}))
    if output == "name":
        print_name(body)
    elif output:
        print_object(body, output)
    else:
        click.echo(f"{name}: {'suspended' if suspended else 'resumed'}")
