"""`trending bench`: what each strategy costs on a database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from trending.bench.campaign import STRATEGIES, Campaign, Listener
from trending.bench.measure import Measured
from trending.bench.plot import NoPlotError, check_plot, draw
from trending.bench.work import Bout, work
from trending.bench.yard import MAX_SLICES, Size
from trending.cli import database as given
from trending.runner.failure import ConfigurationError
from trending.runner.migrate import MigrationError

_KINDS: Final = ("plain", "partitioned")
_INTERRUPTED: Final = 130


def _shares(_context: click.Context, _option: click.Parameter, value: str) -> list[float]:
    try:
        shares = sorted({float(text.strip().removesuffix("%")) / 100 for text in value.split(",")})
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of percentages, such as 0,2,10,60") from None
    if not all(0 <= share <= 1 for share in shares):
        raise click.BadParameter("a share lies between 0 and 100 %")
    return shares


def _settings(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign:
            raise click.BadParameter(f"{value!r} is no NAME=VALUE, such as work_mem=64MB")
        settings[name.strip()] = text.strip()
    return settings


def _campaign(options: dict[str, Any]) -> Campaign:
    campaign = Campaign(
        kinds=list(dict.fromkeys(options["kinds"])),
        strategies=[each for each in STRATEGIES if each in options["strategies"]],
        shares=options["shares"],
        rounds=options["rounds"],
        once=options["once"],
        minutes=options["minutes"],
    )
    if campaign.runs == 0:
        raise click.UsageError("there is nothing to measure: Swap needs --kind partitioned")
    return campaign


@click.command("bench")
@given.option
@click.option("--rows", type=click.IntRange(1000), default=200_000, show_default=True, help="Rows of a slice.")
@click.option("--slices", type=click.IntRange(1, MAX_SLICES), default=3, show_default=True, help="Slices of a table.")
@click.option("--shares", default="0,2,10,60", show_default=True, callback=_shares, help="Percentages that change.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each is measured.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), default=_KINDS, help="Of table; both.")
@click.option(
    "--strategy", "strategies", multiple=True, type=click.Choice(STRATEGIES), default=STRATEGIES, help="Default: all."
)
@click.option(
    "--once",
    multiple=True,
    type=click.Choice(STRATEGIES),
    help="Measure it at one share a round; what writes every row costs the same at all.",
)
@click.option("--minutes", type=float, help="Begin no other share after so many.")
@click.option(
    "--setting", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="As spec.database.settings."
)
@click.option("--store", "storing", is_flag=True, help="Store the thresholds that Auto decides by on this database.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw a PNG (needs matplotlib).")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON to a file.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON alone on standard output.")
def command(database: str | None, **options: Any) -> None:
    """Measure the strategies side by side on tables of the seed's shape: time, CPU time, write-ahead log.

    Works in a schema of its own, trending_bench_<random>, and drops it in the end; no other table is touched. It costs
    the database disk and IO for as long as it goes on, so begin small.

    \b
        trending bench --database URI --rows 50000 --rounds 1
        trending bench --database URI --rows 1000000 --store --plot bench.png
    """
    campaign = _campaign(options)
    plot: Path | None = options["plot"]
    try:
        if plot:
            check_plot(plot)
        _check_folder(options["json_file"])
        access = given.access(database)
    except (NoPlotError, ConfigurationError) as error:
        raise given.UnfitError(str(error)) from None
    try:
        with _listening(campaign.runs) as listener:
            bout = work(
                campaign,
                Size(rows=options["rows"], slices=options["slices"]),
                access=access,
                connect=lambda: given.connected(database, purpose="bench"),
                settings=options["settings"],
                storing=options["storing"],
                listener=listener,
            )
    except MigrationError as error:
        raise given.UnfitError(str(error)) from None
    _tell(bout, as_json=options["output"] == "json", file=options["json_file"])
    if plot and bout.runs:
        draw(bout.findings, plot, title=_title(bout))
    if bout.ended is not None:
        click.echo(f"Error: {bout.ended}", err=True)
        sys.exit(_INTERRUPTED if bout.was_interrupted else 1)


def _check_folder(file: Path | None) -> None:
    """Raise UnfitError where a file cannot be written, before the work is done."""
    if file and not file.absolute().parent.is_dir():
        raise given.UnfitError(f"--json: there is no folder {file.parent}")


def _tell(bout: Bout, *, as_json: bool, file: Path | None) -> None:
    text = json.dumps(bout.to_json(), indent=2, ensure_ascii=False)
    if file:
        file.write_text(f"{text}\n", encoding="utf-8")
    if as_json:
        click.echo(text)
    elif bout.runs:
        from rich.console import Console

        from trending.bench.view import print_bout

        print_bout(Console(emoji=False), bout)


def _title(bout: Bout) -> str:
    rows, slices = bout.parameters["rows"], bout.parameters["slices"]
    return f"{rows:,} rows a slice, {slices} slices a table, {bout.machine.server.split(' on ')[0]}"


class _Lines:
    """Tells on standard error what is done."""

    def says(self, text: str) -> None:
        click.echo(text, err=True)

    def measured(self, result: Measured) -> None:
        click.echo(f"  {_in_short(result)}", err=True)


@contextmanager
def _listening(runs: int) -> Iterator[Listener]:
    """Draw a bar on standard error where that is a terminal; write lines to it otherwise."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=runs)

        class Bar:
            def says(self, text: str) -> None:
                progress.update(task, description=text)

            def measured(self, result: Measured) -> None:
                progress.console.print(f"[dim]{_in_short(result)}[/]", highlight=False)
                progress.advance(task)

        yield Bar()


def _in_short(result: Measured) -> str:
    cpu = "" if result.cpu is None else f"{result.cpu:.2f} s of CPU, "
    return (
        f"{result.kind}, {result.share:.0%} changed, {result.strategy}: {result.wall:.2f} s, {cpu}"
        f"{result.wal / 1e6:.1f} MB of WAL"
    )
