"""`trending run`: one run, in a Job's pod or by hand."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
from pydantic import ValidationError

from trending.api.document import RunDocument
from trending.api.duration import format_duration
from trending.api.instant import parse_instant
from trending.cli import database as given
from trending.cli.run_view import LogLines, live_progress, print_report
from trending.cli.schedule_file import ScheduleFileError, read_schedule_file, told
from trending.report import Report, write_termination_message
from trending.runner.access import from_files
from trending.runner.failure import ConfigurationError
from trending.runner.ledger import RunIdentity
from trending.runner.progress import Progress
from trending.runner.record import LOCAL_JOB, Outcome, refuse
from trending.runner.run import Order, perform
from trending.runner.stop import Stop

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@click.command("run")
@click.option("-f", "--file", type=click.Path(path_type=Path), help="A file with one TrendingSchedule.")
@given.option
@click.option(
    "--now", metavar="TIME", help="The data timestamp, as 2026-11-23T18:00:00Z; default the database's clock."
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON alone on standard output.")
@click.option(
    "--document", type=click.Path(path_type=Path), help="What a Job's pod is told; its secrets lie beside it."
)
def command(
    file: Path | None, database: str | None, now: str | None, output: str | None, document: Path | None
) -> None:
    """Refresh the views and rewrite the targets of a schedule, once. The database is the one given here, not spec's.

    Exits with 0 where nothing failed, 1 where another attempt may succeed, 2 where something has to be changed first.
    Ctrl-C cancels what the database is doing, rolls it back and reports.

    \b
        export TRENDING_DATABASE_URI=postgresql://user:password@host/database
        trending run -f schedule.yaml
    """
    if (file is None) == (document is None):
        raise click.UsageError("give a schedule: -f FILE")
    if document is not None:
        sys.exit(_run_job(document))
    if file is not None:
        sys.exit(_run_here(file, database, now, as_json=output == "json"))


def _run_job(path: Path) -> int:
    """Do the run of a Job's pod; its report goes to standard output and to the termination message."""
    outcome = _perform_job(path)
    click.echo(_as_text(outcome.report))
    message_file = Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log"))
    try:
        message_file.write_text(write_termination_message(outcome.report), encoding="utf-8")
    except OSError as error:
        LogLines().says(f"the report could not be written to {message_file}: {error.strerror}")
    return outcome.exit_code


def _perform_job(path: Path) -> Outcome:
    try:
        document = RunDocument.parse(path.read_bytes())
    except OSError as error:
        return _unreadable(f"the run document {path} cannot be read: {error.strerror}")
    except ValidationError as error:
        return _unreadable(f"the run document {path} is none: {'; '.join(told(error, 'document'))}")
    run = RunIdentity(
        run_id=document.run_id,
        namespace=document.namespace,
        schedule=document.name,
        job=document.job,
        trigger=document.trigger,
        scheduled_time=document.scheduled_time,
    )
    try:
        access = from_files(path.parent, document.spec.database, namespace=document.namespace)
    except ConfigurationError as error:
        return refuse(run, document.spec, error)
    return _stoppable(Order(run=run, spec=document.spec, access=access), document.deadline, LogLines())


def _run_here(path: Path, database: str | None, now: str | None, *, as_json: bool) -> int:
    try:
        schedule = read_schedule_file(path)
    except ScheduleFileError as error:
        if as_json:
            click.echo(_as_text(_unreadable(str(error), LOCAL_JOB).report, indent=2))
        else:
            click.echo(f"Error: {error}", err=True)
        return 2
    run = RunIdentity(
        run_id=f"{LOCAL_JOB}/{uuid.uuid4()}",
        namespace=schedule.namespace,
        schedule=schedule.name,
        job=None,
        trigger="Manual",
        scheduled_time=None,
    )
    try:
        access = given.access(database)
        at = _instant(now)
    except ConfigurationError as error:
        outcome = refuse(run, schedule.spec, error)
    else:
        deadline = datetime.now(UTC) + timedelta(seconds=schedule.spec.active_deadline_seconds)
        with live_progress() as progress:
            order = Order(run=run, spec=schedule.spec, access=access, now=at)
            outcome = _stoppable(order, deadline, progress)
    if as_json:
        click.echo(_as_text(outcome.report, indent=2))
    else:
        print_report(outcome.report)
    return outcome.exit_code


def _stoppable(order: Order, deadline: datetime, progress: Progress) -> Outcome:
    stop = Stop(deadline)
    with stop.watching(*_SIGNALS):
        return perform(order, stop=stop, progress=progress)


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


def _as_text(report: Report, *, indent: int | None = None) -> str:
    """Return the report as JSON, with what status.lastRun adds to it."""
    added = {
        "duration": format_duration(report.completion_time - report.start_time),
        "rowsChanged": report.rows_changed,
        "strategies": report.strategies,
    }
    return json.dumps(report.to_json_object() | added, indent=indent, ensure_ascii=False)
