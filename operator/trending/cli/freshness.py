"""`trending freshness`: how old the data of each slice are, from the ledger."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import click

from trending.api.duration import format_duration
from trending.api.instant import format_precise
from trending.cli import database as given
from trending.runner.ledger import FreshSlice, read_all
from trending.runner.migrate import ledger_is_there

_WIDE: Final = 1000


@click.command("freshness")
@given.option
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print a JSON list alone on standard output.")
def command(database: str | None, output: str | None) -> None:
    """Say how fresh each slice is that a run has written.

    The same in SQL: SELECT * FROM trending.freshness
    """
    with given.connected(database, purpose="freshness") as connection:
        if not ledger_is_there(connection):
            raise given.UnfitError("this database has no ledger (schema trending): run `trending migrate` once")
        slices = read_all(connection)
    if output == "json":
        click.echo(json.dumps([_as_json(each) for each in slices], indent=2, ensure_ascii=False))
    else:
        _print(slices)


def _as_json(each: FreshSlice) -> dict[str, Any]:
    return {
        "name": each.target,
        "namespace": each.namespace,
        "schedule": each.schedule,
        "table": each.table_name,
        "slice": each.slice,
        "dataTimestamp": each.data_timestamp and format_precise(each.data_timestamp),
        "scheduledTime": each.scheduled_time and format_precise(each.scheduled_time),
        "rows": each.rows,
    }


def _print(slices: list[FreshSlice]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("schedule", "target", "table", "slice", "rows", "data of", "age", box=None, pad_edge=False)
    for each in slices:
        schedule = "/".join(part for part in (each.namespace, each.schedule) if part)
        slice_ = "; ".join(f"{column}: {', '.join(values)}" for column, values in each.slice.items())
        age = format_duration(datetime.now(UTC) - each.data_timestamp) if each.data_timestamp else ""
        of = format_precise(each.data_timestamp) if each.data_timestamp else "never written"
        cells = (schedule, each.target or "", each.table_name, slice_, f"{each.rows or 0:,}", of, age)
        table.add_row(*map(escape, cells))
    console = Console(emoji=False)
    # In a pipe there is no width, and nothing may be cut off: a line a slice, for grep and cut.
    (console if console.is_terminal else Console(emoji=False, width=_WIDE)).print(table)
