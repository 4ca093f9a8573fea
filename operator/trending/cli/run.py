"""`trending run`: one run, in a Job's pod or by hand."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from trending.api.duration import format_duration
from trending.api.instant import parse_instant
from trending.cli import database as given
from trending.cli import job_document
from trending.cli.job_document import read_access, read_document
from trending.cli.run_lines import JsonLines, LogLines, lines
from trending.cli.run_view import live_progress, print_report
from trending.cli.schedule_file import FILE_HELP, ScheduleFile, ScheduleFileError, read_schedule_file
from trending.report import Report, write_termination_message
from trending.runner.access import Access
from trending.runner.failure import ConfigurationError
from trending.runner.ledger import RunIdentity
from trending.runner.progress import Progress
from trending.runner.record import LOCAL_JOB, Outcome, refuse
from trending.runner.run import Order, perform
from trending.runner.stop import DeadlineError, Stop

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run by hand that is over."""

    outcome: Outcome
    was_interrupted: bool
    """Whether a person or the system wanted it to end before its time."""


@click.command("run")
@click.option("-f", "--file", type=click.Path(path_type=Path), help=FILE_HELP)
@given.option
@click.option(
    "--now", metavar="TIME", help="The data timestamp, as 2026-11-23T18:00:00Z; default the database's clock."
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON alone on standard output.")
@click.option("--embedded", is_flag=True, help="Start a PostgreSQL for this run instead, and remove it afterwards.")
@click.option(
    "--sql",
    "sql_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --embedded: a file for psql that makes tables and data first; may be given several times.",
)
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="With --embedded: a new folder for the server, which goes on there; says how to reach and how to stop it.",
)
@job_document.option
@click.pass_context
def command(
    context: click.Context,
    file: Path | None,
    database: str | None,
    now: str | None,
    output: str | None,
    embedded: bool,
    sql_files: tuple[Path, ...],
    keep: Path | None,
    document: Path | None,
) -> None:
    """Refresh the views and rewrite the targets of a schedule, once. The database is the one given here, not spec's.

    Exits with 0 where nothing failed, 1 where another attempt may succeed, 2 where something has to be changed first.
    Ctrl-C cancels what the database is doing, rolls it back and reports.

    \b
        export TRENDING_DATABASE_URI=postgresql://user:password@host/database
        trending run -f schedule.yaml

    Without a database of your own (pip install 'trending-operator[embedded]'), the ledger included:

    \b
        trending run -f schedule.yaml --embedded --sql schema.sql --sql data.sql
    """
    if (file is None) == (document is None):
        raise click.UsageError("give a schedule: -f FILE")
    if (sql_files or keep) and not embedded:
        raise click.UsageError("--sql and --keep go with --embedded")
    if document is not None:
        if embedded:
            raise click.UsageError("--embedded goes with -f FILE")
        sys.exit(_run_job(document))
    if embedded and context.get_parameter_source("database") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--embedded starts a database of its own: leave --database away")
    if file is not None:
        where = _embedded(sql_files, keep) if embedded else nullcontext(database)
        sys.exit(_run_here(file, where, now, as_json=output == "json"))


def _run_job(path: Path) -> int:
    """Do the run of a Job's pod; its report goes to standard output and to the termination message."""
    told = lines()
    outcome = _perform_job(path, told)
    told.reports(outcome)
    click.echo(_as_text(outcome.report))
    message_file = Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log"))
    try:
        message_file.write_text(write_termination_message(outcome.report), encoding="utf-8")
    except OSError as error:
        told.says(f"the report could not be written to {message_file}: {error.strerror}")
    return outcome.exit_code


def _perform_job(path: Path, told: LogLines | JsonLines) -> Outcome:
    try:
        document = read_document(path)
    except ConfigurationError as error:
        return _unreadable(str(error))
    run = RunIdentity(
        run_id=document.run_id,
        namespace=document.namespace,
        schedule=document.name,
        job=document.job,
        trigger=document.trigger,
        scheduled_time=document.scheduled_time,
    )
    try:
        access = read_access(path, document)
    except ConfigurationError as error:
        return refuse(run, document.spec, error)
    return _stoppable(Order(run=run, spec=document.spec, access=access), document.deadline, told).outcome


def _run_here(path: Path, where: AbstractContextManager[str | None], now: str | None, *, as_json: bool) -> int:
    """Do a run by hand in the database whose URI `where` yields."""
    try:
        schedule = read_schedule_file(path)
    except ScheduleFileError as error:
        if as_json:
            click.echo(_as_text(_unreadable(str(error), LOCAL_JOB).report, indent=2))
        else:
            click.echo(f"Error: {error}", err=True)
        return 2
    try:
        at = _instant(now)
        with where as uri:
            ended = perform_here(schedule, given.access(uri), now=at)
            _tell(ended.outcome.report, as_json=as_json)
            if ended.was_interrupted:
                sys.exit(ended.outcome.exit_code)  # an exception: a server that is embedded is not kept
    except ConfigurationError as error:
        outcome = refuse(_identity(schedule), schedule.spec, error)
        _tell(outcome.report, as_json=as_json)
        return outcome.exit_code
    return ended.outcome.exit_code


def perform_here(schedule: ScheduleFile, access: Access, *, now: datetime | None = None) -> Ended:
    """Do a run by hand, drawn on standard error; SIGINT and SIGTERM stop it, and it reports."""
    order = Order(run=_identity(schedule), spec=schedule.spec, access=access, now=now)
    deadline = datetime.now(UTC) + timedelta(seconds=schedule.spec.active_deadline_seconds)
    with live_progress() as progress:
        return _stoppable(order, deadline, progress)


def _identity(schedule: ScheduleFile) -> RunIdentity:
    return RunIdentity(
        run_id=f"{LOCAL_JOB}/{uuid.uuid4()}",
        namespace=schedule.namespace,
        schedule=schedule.name,
        job=None,
        trigger="Manual",
        scheduled_time=None,
    )


def _embedded(sql_files: tuple[Path, ...], keep: Path | None) -> AbstractContextManager[str]:
    from trending.cli.embedded import prepared

    return prepared(sql_files, keep)


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(_as_text(report, indent=2))
    else:
        print_report(report)


def _stoppable(order: Order, deadline: datetime, progress: Progress) -> Ended:
    stop = Stop(deadline)
    with stop.watching(*_SIGNALS):
        outcome = perform(order, stop=stop, progress=progress)
    return Ended(outcome=outcome, was_interrupted=stop.error is not None and not isinstance(stop.error, DeadlineError))


def _instant(now: str | None) -> datetime | None:
    try:
        return parse_instant(now) if now else None
    except ValueError as error:
        raise ConfigurationError(f"--now: {error}") from None


def _unreadable(sentence: str, job: str = "unknown") -> Outcome:
    now = datetime.now(UTC)
    report = Report(
        job=job,
        start_time=now,
        completion_time=now,
        result="Failed",
        reason="ConfigurationError",
        message=sentence,
    )
    return Outcome(report, 2)


def as_object(report: Report) -> dict[str, Any]:
    """Return the report as JSON has it, with what status.lastRun adds to it."""
    return report.to_json_object() | {
        "duration": format_duration(report.completion_time - report.start_time),
        "rowsChanged": report.rows_changed,
        "strategies": report.strategies,
    }


def _as_text(report: Report, *, indent: int | None = None) -> str:
    return json.dumps(as_object(report), indent=indent, ensure_ascii=False)
