"""`trending plan`: what a run would do now, writing nothing."""

from __future__ import annotations

import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from trending.api.instant import format_instant, parse_instant
from trending.cli import database as given
from trending.cli.schedule_file import ScheduleFile, ScheduleFileError, read_schedule_file, read_schedule_object
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
@click.option("-f", "--file", required=True, type=click.Path(path_type=Path), help="A file with one TrendingSchedule.")
@given.option
@click.option(
    "--now",
    metavar="TIME",
    help="The data timestamp to plan for, as 2026-11-23T18:00:00Z; default the database's clock.",
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print a JSON object alone on standard output.")
def command(file: Path, database: str | None, now: str | None, output: str | None) -> None:
    """Say what a run would do now, and what would keep it from working. Nothing is written.

    Views are read as they are, not refreshed first. The queries are run, to count the rows that would change: it takes
    about as long as a run that finds nothing to write. No slice is locked, and a run meanwhile is not in the way.

    Exits with 0 where a run would work, 2 where something has to be changed first, 1 where the database cannot be
    reached or another attempt may succeed.

    \b
        export TRENDING_DATABASE_URI=postgresql://user:password@host/database
        trending plan -f schedule.yaml
    """
    as_json = output == "json"
    try:
        schedule = read_schedule_file(file)
        refusal = _refusal(file)
        inquiry = Inquiry(
            namespace=schedule.namespace,
            schedule=schedule.name,
            spec=schedule.spec,
            access=given.access(database),
            now=_instant(now),
        )
        plan = _made(inquiry, schedule)
    except (ScheduleFileError, RunError) as error:
        sys.exit(_told(error, as_json=as_json))
    if refusal:
        plan.preflight.insert(0, refusal)
    else:
        plan.preflight.insert(0, Finding(level="ok", where="spec", sentence="the controller would accept it"))
    _print(plan, as_json=as_json)
    sys.exit(plan.exit_code)


def _made(inquiry: Inquiry, schedule: ScheduleFile) -> RunPlan:
    stop = Stop(datetime.now(UTC) + timedelta(seconds=schedule.spec.active_deadline_seconds))
    with stop.watching(*_SIGNALS):
        return make_plan(inquiry, stop=stop)


def _refusal(file: Path) -> Finding | None:
    """Return why the controller would not accept the schedule."""
    now = datetime.now(UTC)
    body = _as_json(read_schedule_object(file))
    body["metadata"].setdefault("creationTimestamp", format_instant(now))
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


def _told(error: ScheduleFileError | RunError, *, as_json: bool) -> int:
    """Say why there is no plan; return the exit code."""
    retry = isinstance(error, RunError) and error.retry
    if as_json:
        where = "database" if isinstance(error, RunError) else "spec"
        finding = Finding(level="error", where=where, sentence=str(error))
        click.echo(_as_text(RunPlan(preflight=[finding])))
    else:
        click.echo(f"Error: {error}", err=True)
    return 1 if retry else 2


def _print(plan: RunPlan, *, as_json: bool) -> None:
    if as_json:
        click.echo(_as_text(plan))
        return
    from trending.cli.plan_view import print_plan

    print_plan(plan)


def _as_text(plan: RunPlan) -> str:
    return json.dumps(plan.to_json_object(), indent=2, ensure_ascii=False)


def _as_json(document: dict[str, Any]) -> dict[str, Any]:
    """Return what YAML read as it would have come from the API server: times as text."""
    result: dict[str, Any] = json.loads(json.dumps(document, default=lambda value: value.isoformat()))
    return result
