"""spread: slots start a while after their instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import query_target, schedule
from trending.api.duration import format_duration
from trending.api.instant import parse_instant
from trending.schedule.spread import offset_of

LONG = 300.0
"""Seconds for what takes two or three slots of a minute."""


def test_a_slot_starts_a_while_after_its_instant_where_ticks_are_spread(
    namespace: Namespace, shared_database: Database, say: Callable[[str], None]
) -> None:
    spread = timedelta(seconds=59)
    offset = offset_of(namespace.name, "scores", spread)
    namespace.create_secret(shared_database.uri)
    every_minute: dict[str, Any] = {"schedule": "* * * * *", "immediate": False, "spread": format_duration(spread)}
    namespace.apply(schedule(query_target(board="spread"), **every_minute))
    status = namespace.until_run_ended("scores", seconds=LONG)
    last = status["lastRun"]
    slot = parse_instant(last["scheduledTime"])
    assert (slot.second, last["job"]) == (0, f"scores-{int(slot.timestamp()) // 60}")
    job = next(each for each in namespace.jobs("scores") if each["metadata"]["name"] == last["job"])
    late = parse_instant(job["metadata"]["creationTimestamp"]) - slot
    say(f"a slot with {offset.seconds} s of spread: its Job was created {late.total_seconds():.0f} s after it")
    assert offset <= late <= offset + timedelta(seconds=20)
    assert (parse_instant(status["nextScheduleTime"]) - offset).second == 0


def test_a_spread_as_long_as_the_time_between_slots_is_not_accepted(namespace: Namespace) -> None:
    namespace.apply(schedule(query_target(), schedule="@hourly", spread="1h"))
    accepted = namespace.until_status("scores", lambda status: condition_of(status, "Accepted"), what="it is judged")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSchedule")
    assert "spec.spread: " in accepted["message"]
    assert "write less than 1h" in accepted["message"]
    assert namespace.jobs("scores") == []
