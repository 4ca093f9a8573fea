"""`trending migrate`: what the operator needs in the user's database."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trending.cli import database as given
from trending.cli import job_document
from trending.runner.migrate import OF_PRESETS, MigrationError, migrate


@click.command("migrate")
@given.option
@click.option("--preset", type=click.Choice(sorted(OF_PRESETS)), help="Also what the presets of this family need.")
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
@click.option(
    "-o", "--output", type=click.Choice(["json"]), help="Print the statements as a JSON object on standard output."
)
@job_document.option
def command(
    database: str | None, preset: str | None, output: str | None, document: Path | None, *, dry_run: bool
) -> None:
    """Make the ledger (schema trending) and, with --preset, make the indexes of its views unique.

    Safe to run again, also where it was cut off. Readers never wait, and no index is missing meanwhile.
    """

    def say(text: str) -> None:
        click.echo(text, err=output == "json")

    access = given.of_document(document) if document else given.of_uri(database)
    with given.connected_to(access, purpose="migrate") as connection:
        try:
            statements = migrate(connection, preset=preset, dry_run=dry_run, say=say)
        except MigrationError as error:
            raise given.UnfitError(str(error)) from None
    if output == "json":
        click.echo(json.dumps({"dryRun": dry_run, "statements": statements}, ensure_ascii=False))
