"""Fresh is judged by the clock: data grow stale whatever the runs did, and that is told once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import query_target, schedule
from trending.api.instant import parse_instant


def test_data_grow_stale_by_the_clock_and_fresh_by_the_next_run(
    namespace: Namespace, shared_database: Database, say: Callable[[str], None]
) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(), staleAfter="15s"))
    first = namespace.until_run_ended("scores")
    stale = namespace.until_status(
        "scores",
        lambda status: status if condition_of(status, "Fresh").get("reason") == "TooOld" else None,
        what="the data are stale",
    )
    fresh = condition_of(stale, "Fresh")
    assert fresh["status"] == "False"
    assert "main" in fresh["message"]
    late = parse_instant(fresh["lastTransitionTime"]) - parse_instant(stale["staleTime"])
    say(f"data were told to be stale {late.total_seconds():.0f} s after they became so")
    assert 0 <= late.total_seconds() <= 20
    assert datetime.now(UTC) >= parse_instant(stale["staleTime"])
    assert (stale["dataTimestamp"], stale["lastRun"]) == (first["dataTimestamp"], first["lastRun"])
    assert condition_of(stale, "Succeeded")["status"] == "True"
    event = namespace.until_event("scores", "DataStale")
    assert (event["type"], event["message"]) == ("Warning", fresh["message"])

    namespace.patch("scores", '{"spec": {"staleAfter": "1h"}}')
    namespace.run_by_hand("scores")
    events = [each["reason"] for each in namespace.events("scores", "DataStale", "DataFresh")]
    assert events == ["DataFresh", "DataStale", "DataFresh"]


def test_a_failed_run_leaves_data_as_fresh_as_they_are(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="kept"), staleAfter="1h"))
    first = namespace.until_run_ended("scores")
    namespace.apply(schedule(query_target("SELECT 'a' AS item, 1 / 0 AS score", board="kept"), staleAfter="1h"))
    second = namespace.run_by_hand("scores")
    assert second["lastRun"]["result"] == "Failed"
    assert condition_of(second, "Fresh")["status"] == "True"
    assert second["dataTimestamp"] == first["dataTimestamp"]
    assert second["lastSuccessfulTime"] == first["lastSuccessfulTime"]
