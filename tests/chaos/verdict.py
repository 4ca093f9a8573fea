"""Whether two controllers kept what one promises, from the API server's own log and from what is left in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.chaos.audit import Write
from trending.controller.leadership import Periods
from trending.schedule.spread import offset_of

Name = tuple[str, str]

SPREAD_SECONDS: Final = 40
"""By how much schedules are drawn apart, so that something is due nearly always."""
_MINUTE: Final = timedelta(minutes=1)
_SPREAD: Final = timedelta(seconds=SPREAD_SECONDS)
_LAST_MOMENTS: Final = timedelta(seconds=30)
_ENOUGH: Final = 10.0
"""Seconds for one who has just begun to lead to list everything and start what is due, on a machine that is busy."""


@dataclass(frozen=True, kw_only=True)
class Reign:
    """A time in which one held the Lease and renewed it."""

    who: str
    began: datetime
    ended: datetime

    def within(self, since: datetime, until: datetime) -> float:
        """Return for how many seconds of that time it was."""
        return (min(self.ended, until) - max(self.began, since)).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A slot of a schedule, and when its Job was created; None where it never was."""

    schedule: Name
    at: datetime
    created: datetime | None
    by: str | None = None
    """Who started it."""

    @property
    def due(self) -> datetime:
        """When it may start, by the schedule's own spread."""
        return self.at + offset_of(*self.schedule, _SPREAD)

    @property
    def late(self) -> float | None:
        """How many seconds after that it started."""
        return (self.created - self.due).total_seconds() if self.created else None

    def is_excused(self, reigns: Sequence[Reign], *, ahead: float) -> bool:
        """Tell whether, from when it was due until the next one was, nobody led for long enough to start it.

        To a controller whose clock is ahead by so many seconds, the next one was due so much sooner.
        """
        next_due = self.due + _MINUTE - timedelta(seconds=ahead)
        return max((reign.within(self.due, next_due) for reign in reigns), default=0.0) < _ENOUGH


def all_counted(*, since: datetime) -> datetime:
    """Return from when on `slots_of` has a slot of every schedule."""
    return _first(since) + _SPREAD + _LAST_MOMENTS


def slots_of(names: Sequence[Name], writes: Sequence[Write], *, since: datetime, until: datetime) -> list[Slot]:
    """Return every slot of those schedules that fell due, less those of the last moments, which may come yet."""
    created = {
        (write.namespace, write.name): write
        for write in writes
        if (write.verb, write.resource) == ("create", "jobs") and write.succeeded
    }
    slots = []
    first = _first(since)
    for namespace, name in names:
        for minutes in range(int((until - first) / _MINUTE) + 1):
            at = first + minutes * _MINUTE
            job = f"{name}-{int(at.timestamp()) // 60}"
            slot = Slot(schedule=(namespace, name), at=at, created=None)
            if start := created.get((namespace, job)):
                slot = replace(slot, created=start.received, by=start.who)
            if slot.due + _LAST_MOMENTS < until:
                slots.append(slot)
    return slots


def _first(since: datetime) -> datetime:
    """Return the first slot that is looked at: the one before may have passed before the schedules were there."""
    return since.replace(second=0, microsecond=0) + _MINUTE


def reigns_of(writes: Iterable[Write]) -> list[Reign]:
    """Return who led from when to when, by the renewals that the API server saw."""
    found: list[Reign] = []
    for write in writes:
        if write.resource == "leases" and write.succeeded and write.holder:
            last = found[-1] if found else None
            goes_on = last and last.who == write.who and (write.done - last.ended).total_seconds() < Periods().renew
            if last and goes_on:
                found[-1] = replace(last, ended=write.done)
            else:
                found.append(Reign(who=write.who, began=write.done, ended=write.done))
    return found


def wrong_in(schedule: dict[str, Any], jobs: Sequence[dict[str, Any]]) -> str | None:
    """Return what a schedule that is suspended and at rest says that is not so; None where all is so."""
    status = schedule.get("status", {})
    newest = max((int(job["metadata"]["name"].rpartition("-")[2]) for job in jobs), default=0)
    unfinished = [job["metadata"]["name"] for job in jobs if not job["status"].get("completionTime")]
    if unfinished or status.get("active") or status.get("activeCount"):
        return f"active: {status.get('active')}, Jobs: {unfinished}"
    last = datetime.fromtimestamp(newest * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if status.get("lastScheduleTime") != last:
        return f"lastScheduleTime {status.get('lastScheduleTime')}, newest Job of {last}"
    if (status.get("lastRun") or {}).get("scheduledTime") != last:
        return f"lastRun {status.get('lastRun')}, newest Job of {last}"
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    if (conditions["Fresh"], conditions["Progressing"], conditions["Succeeded"]) != ("True", "False", "True"):
        return f"conditions: {conditions}"
    return None if len(jobs) == 1 else f"{len(jobs)} Jobs are kept, and one is asked for"
