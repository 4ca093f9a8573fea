"""A schedule as a person wants to see it: pure, from the live object, its Jobs and their pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import click
from pydantic import ValidationError

from trending.api.instant import format_instant
from trending.api.status import Condition, TargetStatus
from trending.cli.kubectl.advice import advise
from trending.cli.kubectl.past_runs import PastRun, past_runs
from trending.cli.schedule_file import told
from trending.schedule.cron import InvalidScheduleError
from trending.schedule.freshness import Verdict, judge
from trending.schedule.observed import Schedule
from trending.schedule.slots import slots_of, upcoming
from trending.schedule.spread import offset_of
from trending.schedule.words import in_words
from trending.schedule.zone import UnknownTimeZoneError

_NEXT: Final = 3


def read_schedule(body: Mapping[str, Any]) -> Schedule:
    """Read a schedule. Raises ClickException where this version of the plugin cannot."""
    try:
        return Schedule.from_object(body)
    except ValidationError as error:
        name = body["metadata"]["name"]
        raise click.ClickException(
            f"schedule {name} cannot be read by this version of the plugin, which may be older than the operator: "
            + "; ".join(told(error, name))
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A schedule at an instant."""

    schedule: Schedule
    now: datetime
    verdict: Verdict
    """Whether the data are fresh by the clock, whatever the controller last wrote."""
    targets: tuple[TargetStatus, ...]
    """Most stale first."""
    next_runs: tuple[datetime, ...]
    runs: tuple[PastRun, ...]
    """Newest first."""
    advice: tuple[str, ...]

    @property
    def words(self) -> str:
        """When it runs, in words and with the zone; the expression where it has no short words."""
        spec = self.schedule.spec
        words = in_words(spec.schedule)
        told = words or spec.schedule
        if spec.schedule.startswith("@every") and words:
            return f"{told}, counted from the last start"
        return f"{told}, {spec.time_zone}"

    def condition(self, kind: str) -> Condition | None:
        """Return a condition of the status."""
        return find_condition(self.schedule, kind)

    def to_json_object(self) -> dict[str, Any]:
        """Return it as an object for programs."""
        spec, status = self.schedule.spec, self.schedule.status
        return {
            "namespace": self.schedule.namespace,
            "name": self.schedule.name,
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "words": self.words,
            "suspended": spec.suspend,
            "nextRuns": [format_instant(moment) for moment in self.next_runs],
            "fresh": self.verdict.fresh,
            "reason": self.verdict.reason,
            "message": self.verdict.message,
            "targets": [target.to_json_object() for target in self.targets],
            "runs": [run.to_json_object() for run in self.runs],
            "conditions": [condition.to_json_object() for condition in status.conditions],
            "advice": list(self.advice),
        }


def see(
    schedule: Schedule,
    jobs: Sequence[Mapping[str, Any]],
    pods: Sequence[dict[str, Any]],
    now: datetime,
    *,
    flags: str = "",
) -> Seen:
    """Look at a schedule. `flags` are what a command in the advice needs to find it, such as ` -n discovery`."""
    status = schedule.status
    known = {target.name: target for target in status.targets}
    targets = [known.get(target.name, TargetStatus(name=target.name)) for target in schedule.spec.rewrite]
    verdict = judge(targets, ever_succeeded=status.last_successful_time is not None, now=now)
    runs = tuple(past_runs(schedule, jobs, pods))
    return Seen(
        schedule=schedule,
        now=now,
        verdict=verdict,
        targets=tuple(sorted(targets, key=lambda target: _stale_time(target, now))),
        next_runs=next_runs(schedule, now),
        runs=runs,
        advice=advise(schedule, verdict, runs, now, flags=flags),
    )


def _stale_time(target: TargetStatus, now: datetime) -> tuple[bool, datetime]:
    """Order targets: those without data first, then those that are stale the longest."""
    return (target.data_timestamp is not None, target.stale_time or now)


def next_runs(schedule: Schedule, now: datetime) -> tuple[datetime, ...]:
    """Return when the next slots may start: the first as the status has it, which knows what holds it back."""
    spec, status = schedule.spec, schedule.status
    accepted = find_condition(schedule, "Accepted")
    if spec.suspend or (accepted and accepted.status == "False"):
        return ()
    try:
        slots = slots_of(spec.schedule, spec.time_zone, base=status.last_schedule_time or schedule.created)
    except (InvalidScheduleError, UnknownTimeZoneError):
        return ()
    offset = offset_of(schedule.namespace, schedule.name, spec.spread)
    first = status.next_schedule_time
    after = max(first, now) if first else now
    following = [slot + offset for slot in islice(upcoming(slots, after - offset), _NEXT)]
    return tuple(([first] if first else []) + following)[:_NEXT]


def find_condition(schedule: Schedule, kind: str) -> Condition | None:
    """Return a condition of a schedule's status; None where it has none of that type."""
    return next((each for each in schedule.status.conditions if each.type == kind), None)
