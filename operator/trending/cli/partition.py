"""`trending partition`: a table whose slices are whole partitions, so that a run can exchange them; and the reverse."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import psycopg

from trending.api.spec import TrendingScheduleSpec
from trending.cli import database as given
from trending.cli.partition_view import Heard, as_json, print_plan, statements
from trending.cli.schedule_file import ScheduleFileError, read_schedule_file
from trending.runner.failure import RunError, from_driver
from trending.runner.partition import Done, Request, Task, carry_out, prepare
from trending.runner.stop import Stop, StoppedError

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_FOR_EVER: Final = timedelta(days=3650)


@click.command("partition")
@click.argument("table")
@given.option
@click.option(
    "--by", metavar="COLUMN[,COLUMN..]", help="One level of partitions a column; default those of the slices."
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file with a TrendingSchedule whose targets say which slices there are. Repeatable.",
)
@click.option("--undo", is_flag=True, help="The reverse: one plain table again.")
@click.option("--keep-old", is_flag=True, help="Keep the old table, as TABLE_before_partition.")
@click.option("--wait", type=click.IntRange(1), default=600, show_default=True, help="Seconds to wait for any lock.")
@click.option("--dry-run", is_flag=True, help="Print the plan and its SQL; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON alone on standard output.")
def command(
    table: str,
    database: str | None,
    by: str | None,
    files: tuple[Path, ...],
    output: str | None,
    *,
    undo: bool,
    keep_old: bool,
    wait: int,
    dry_run: bool,
    yes: bool,
) -> None:
    """Partition TABLE by the columns of its slices, so that a run can exchange whole partitions (strategy Swap).

    Readers go on; writers wait while the rows are copied. Nothing has changed until the names are exchanged, in an
    instant, at the end. Safe to run again, also where it was cut off.
    """
    request = Request(
        table=table,
        by=tuple(name.strip() for name in by.split(",")) if by else (),
        specs=tuple(map(_spec, files)),
        undo=undo,
        keep_old=keep_old,
    )
    with ExitStack() as stack:
        keeper = stack.enter_context(given.connected(database, purpose="partition"))
        worker = stack.enter_context(given.connected(database, purpose="partition"))
        try:
            task = prepare(worker, request)
            if not _is_wanted(worker, task, output=output, dry_run=dry_run, yes=yes):
                return
            done = _do(keeper, worker, request, wait, quiet=output == "json")
        except StoppedError as error:
            raise click.ClickException(f"{error}; {_unchanged(table)}") from None
        except RunError as error:
            raise _told(error, given.access(database).redactor) from None
        except psycopg.Error as error:
            raise _told(from_driver(error, given.access(database).redactor), None) from None
    _report(done, output)


def _spec(path: Path) -> TrendingScheduleSpec:
    try:
        return read_schedule_file(path).spec
    except ScheduleFileError as error:
        raise given.UnfitError(str(error)) from None


def _is_wanted(
    connection: psycopg.Connection[Any], task: Task, *, output: str | None, dry_run: bool, yes: bool
) -> bool:
    """Print what is going to happen, and find out whether it is to."""
    is_over = task.is_done or bool(task.obstacles) or dry_run
    if output is None:
        print_plan(task, click.echo)
        if dry_run and not task.is_done and not task.obstacles:
            for statement in statements(connection, task):
                click.echo(f"{statement};")
    elif is_over:
        click.echo(json.dumps(as_json(task), indent=2, ensure_ascii=False))
    if task.obstacles:
        raise given.UnfitError(
            f"{task.original.table.qualified} cannot be exchanged by another table; in the way:\n"
            + "\n".join(f"  - {each}" for each in task.obstacles)
        )
    if is_over:
        return False
    if not yes:
        if not sys.stdin.isatty() or output is not None:
            raise given.UnfitError("nobody is there to be asked: write --yes to have it done, or --dry-run")
        click.confirm("Do it?", abort=True)
    return True


def _do(
    keeper: psycopg.Connection[Any], worker: psycopg.Connection[Any], request: Request, wait: int, *, quiet: bool
) -> Done:
    stop = Stop(datetime.now(UTC) + _FOR_EVER)
    with stop.watching(*_SIGNALS), Heard(quiet=quiet) as heard:
        try:
            return carry_out(keeper, worker, request, wait_seconds=wait, stop=stop, listener=heard)
        except psycopg.Error:
            stop.check()  # its cancellation, perhaps, is what the driver tells of
            raise


def _told(error: RunError, redactor: Any) -> click.ClickException:
    sentence = str(error.with_answer(redactor)) if redactor else str(error)
    if not error.retry:
        return given.UnfitError(sentence)
    return click.ClickException(f"{sentence}; nothing has changed")


def _unchanged(table: str) -> str:
    return f"{table} is as it was"


def _report(done: Done, output: str | None) -> None:
    if output == "json":
        extra = {"seconds": round(done.seconds, 3), "writersWaitedSeconds": round(done.held_seconds, 3)}
        click.echo(json.dumps({**as_json(done.task), "done": True, **extra}, indent=2, ensure_ascii=False))
        return
    task = done.task
    leaves = f"{len(task.shape.leaves)} partitions" if task.shape else "one plain table"
    click.echo(
        f"{task.original.table.qualified} is {leaves} now: {task.rows:,} rows in {done.seconds:.1f} s; writers waited "
        f"{done.held_seconds:.1f} s at most."
    )
