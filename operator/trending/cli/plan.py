"""`trending plan`: what a run would do now, writing nothing."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from trending.api.instant import format_instant, parse_instant
from trending.cli import database as given
from trending.cli import job_document
from trending.cli.job_document import read_access, read_document
from trending.cli.schedule_file import FILE_HELP, ScheduleFileError, read_schedule_object, schedule_of
from trending.controller.validity import refusal_of
from trending.runner.failure import ConfigurationError, RunError
from trending.runner.plan import Inquiry, make_plan
from trending.runner.planned import RunPlan
from trending.runner.preflight import Finding
from trending.runner.stop import Stop
from trending.schedule.decision import decide
from trending.schedule.observed import Schedule

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PLACES: Final = {
    "InvalidSchedule": "spec.schedule",
    "UnknownTimeZone": "spec.timeZone",
    "UnknownPreset": "spec.rewrite",
    "OverlappingSlices": "spec.rewrite",
    "NameTooLong": "metadata.name",
    "SpecTooLarge": "spec",
}
"""Which field is meant, by the reason of condition Accepted."""


@click.command("plan")
@click.option("-f", "--file", type=click.Path(path_type=Path), help=FILE_HELP)
@given.option
@click.option(
    "--now",
    metavar="TIME",
    help="The data timestamp to plan for, as 2026-11-23T18:00:00Z; default the database's clock.",
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print a JSON object alone on standard output.")
@job_document.option
def command(
    file: Path | None, database: str | None, now: str | None, output: str | None, document: Path | None
) -> None:
    """Say what a run would do now, and what would keep it from working. Nothing is written.

    Views are read as they are, not refreshed first. The queries are run, to count the rows that would change: it takes
    about as long as a run that finds nothing to write. No slice is locked, and a run meanwhile is not in the way.

    Exits with 0 where a run would work, 2 where something has to be changed first, 1 where the database cannot be
    reached or another attempt may succeed.

    \b
        export TRENDING_DATABASE_URI=postgresql://user:password@host/database
        trending plan -f schedule.yaml
    """
    if (file is None) == (document is None):
        raise click.UsageError("give a schedule: -f FILE")
    # A pod's log is read by lines.
    told = _Told(as_json=output == "json", indent=None if document else 2)
    try:
        asked = _of_document(document) if document else _of_file(file, database)
        plan = _made(replace(asked.inquiry, now=_instant(now)), asked.deadline)
    except (ScheduleFileError, RunError) as error:
        sys.exit(told.why_not(error))
    accepted = Finding(level="ok", where="spec", sentence="the controller would accept it")
    plan.preflight.insert(0, asked.refusal or accepted)
    told.plan(plan)
    sys.exit(plan.exit_code)


@dataclass(frozen=True)
class _Asked:
    inquiry: Inquiry
    deadline: datetime
    refusal: Finding | None
    """Why the controller would not accept the schedule."""


def _of_file(file: Path | None, database: str | None) -> _Asked:
    if file is None:
        raise AssertionError("a file or a document is given")
    document = read_schedule_object(file)
    schedule = schedule_of(document, file)
    refusal = _refusal(document)
    inquiry = Inquiry(
        namespace=schedule.namespace, schedule=schedule.name, spec=schedule.spec, access=given.access(database)
    )
    return _Asked(inquiry, datetime.now(UTC) + timedelta(seconds=schedule.spec.active_deadline_seconds), refusal)


def _of_document(path: Path) -> _Asked:
    """Take what a Job's pod is told."""
    document = read_document(path)
    metadata = {"namespace": document.namespace, "name": document.name, "uid": document.uid}
    refusal = _refusal({"metadata": metadata, "spec": document.spec.to_json_object()})
    inquiry = Inquiry(
        namespace=document.namespace,
        schedule=document.name,
        spec=document.spec,
        access=read_access(path, document),
    )
    return _Asked(inquiry, document.deadline, refusal)


def _made(inquiry: Inquiry, deadline: datetime) -> RunPlan:
    stop = Stop(deadline)
    with stop.watching(*_SIGNALS):
        return make_plan(inquiry, stop=stop)


def _refusal(body: dict[str, Any]) -> Finding | None:
    """Return why the controller would not accept the schedule."""
    now = datetime.now(UTC)
    body["metadata"]["creationTimestamp"] = format_instant(now)
    body.pop("status", None)
    schedule = Schedule.from_object(body)
    refusal = decide(schedule, [], now, refusal=refusal_of(schedule)).refusal
    if refusal is None:
        return None
    where = _PLACES.get(refusal.reason, "spec")
    return Finding(level="error", where=where, sentence=refusal.message.removeprefix(f"{where}: "))


def _instant(now: str | None) -> datetime | None:
    try:
        return parse_instant(now) if now else None
    except ValueError as error:
        raise ConfigurationError(f"--now: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Told:
    """How the answer is told."""

    as_json: bool
    indent: int | None

    def plan(self, plan: RunPlan) -> None:
        if self.as_json:
            click.echo(json.dumps(plan.to_json_object(), indent=self.indent, ensure_ascii=False))
            return
        from trending.cli.plan_view import print_plan

        print_plan(plan)

    def why_not(self, error: ScheduleFileError | RunError) -> int:
        """Say why there is no plan; return the exit code."""
        retry = isinstance(error, RunError) and error.retry
        if self.as_json:
            where = "database" if isinstance(error, RunError) else "spec"
            self.plan(RunPlan(preflight=[Finding(level="error", where=where, sentence=str(error))]))
        else:
            click.echo(f"Error: {error}", err=True)
        return 1 if retry else 2
