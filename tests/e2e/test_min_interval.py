"""minInterval: no slot starts too soon after a success."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import query_target, schedule
from trending.api.instant import format_instant, parse_instant

LONG = 300.0
"""Seconds for what takes two or three slots of a minute."""


def test_no_slot_starts_too_soon_after_a_success_and_a_run_by_hand_does(
    namespace: Namespace, shared_database: Database
) -> None:
    namespace.create_secret(shared_database.uri)
    rarely: dict[str, Any] = {"schedule": "* * * * *", "minInterval": "10h"}
    namespace.apply(schedule(query_target(board="interval"), **rarely))
    first = namespace.until_run_ended("scores")
    assert first["lastRun"]["result"] == "Succeeded"
    assert first["nextScheduleTime"] == hours_after(first["lastSuccessfulTime"], 10)
    held = namespace.until_status(
        "scores",
        lambda status: status if "lastMissedTime" in status else None,
        what="a slot is passed over",
        seconds=LONG,
    )
    assert (held["lastRun"]["job"], held["nextScheduleTime"]) == (first["lastRun"]["job"], first["nextScheduleTime"])
    assert held["lastScheduleTime"] == first["lastScheduleTime"]
    assert len(namespace.jobs("scores")) == 1
    by_hand = namespace.run_by_hand("scores")
    assert by_hand["lastRun"]["result"] == "Succeeded"
    assert by_hand["nextScheduleTime"] == hours_after(by_hand["lastSuccessfulTime"], 10)
    assert len(namespace.jobs("scores")) == 2


def hours_after(instant: str, hours: int) -> str:
    return format_instant(parse_instant(instant) + timedelta(hours=hours))
