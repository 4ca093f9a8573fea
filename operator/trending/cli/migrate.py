"""`trending migrate`: what the operator needs in the user's database."""

import click

from trending.cli import database as given
from trending.runner.migrate import OF_PRESETS, MigrationError, migrate


@click.command("migrate")
@given.option
@click.option("--preset", type=click.Choice(sorted(OF_PRESETS)), help="Also what the presets of this family need.")
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
def command(database: str | None, preset: str | None, *, dry_run: bool) -> None:
    """Make the ledger (schema trending) and, with --preset, make the indexes of its views unique.

    Safe to run again, also where it was cut off. Readers never wait, and no index is missing meanwhile.
    """
    with given.connected(database, purpose="migrate") as connection:
        try:
            migrate(connection, preset=preset, dry_run=dry_run, say=click.echo)
        except MigrationError as error:
            raise given.UnfitError(str(error)) from None
