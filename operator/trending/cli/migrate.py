"""`trending migrate`: what the operator needs in the user's database."""

from __future__ import annotations

import sys

import click
import psycopg
from psycopg.conninfo import make_conninfo

from trending.cli.run import DATABASE_VARIABLE
from trending.runner.access import Access, from_uri
from trending.runner.failure import ConfigurationError
from trending.runner.migrate import OF_PRESETS, MigrationError, migrate


@click.command("migrate")
@click.option(
    "--database",
    metavar="URI",
    envvar=DATABASE_VARIABLE,
    show_envvar=True,
    required=True,
    help="The database. Arguments can be seen by every user of this machine (ps): better set the variable.",
)
@click.option("--preset", type=click.Choice(sorted(OF_PRESETS)), help="Also what the presets of this family need.")
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
def command(database: str, preset: str | None, *, dry_run: bool) -> None:
    """Make the ledger (schema trending) and, with --preset, make its views' indexes unique.

    Safe to run again, also where it was cut off. Readers never wait; no index is missing meanwhile.
    """
    try:
        access = from_uri(database, origin="the URI given by hand")
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
    sys.exit(_migrate(access, preset, dry_run=dry_run))


def _migrate(access: Access, preset: str | None, *, dry_run: bool) -> int:
    """Migrate; return the exit code: 1 where trying again may help, 2 where something has to be changed first."""
    try:
        own = {"application_name": "trending/migrate"}
        conninfo = make_conninfo(**({"connect_timeout": "10"} | access.parameters | own))
        with psycopg.connect(conninfo, autocommit=True) as connection:
            migrate(connection, preset=preset, dry_run=dry_run, say=click.echo)
    except MigrationError as error:
        click.echo(f"Error: {access.redactor.text(str(error))}", err=True)
        return 2
    except psycopg.Error as error:
        click.echo(f"Error: {access.place}: {access.redactor.driver_text(error)}", err=True)
        return 1
    return 0
