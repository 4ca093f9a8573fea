"""When runs start: at their slots, by hand, one at a time; and how many are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, query_target, schedule
from tests.e2e.waiting import Object
from trending.api.instant import parse_instant

FAILING = "SELECT 'a' AS item, 1 / 0 AS score"


@pytest.fixture(scope="module", autouse=True)
def ticking(shared_namespace: Namespace, shared_database: Database) -> Namespace:
    """A schedule of every minute, begun before the other tests of this module, so that they pass the time."""
    shared_namespace.create_secret(shared_database.uri)
    every_minute = schedule(query_target(board="ticking"), name="ticking", schedule="* * * * *", immediate=False)
    shared_namespace.apply(every_minute)
    return shared_namespace


def test_a_slot_is_run_when_it_comes(ticking: Namespace, say: Callable[[str], None]) -> None:
    status = ticking.until_run_ended("ticking")
    last = status["lastRun"]
    slot = parse_instant(last["scheduledTime"])
    job = next(each for each in ticking.jobs("ticking") if each["metadata"]["name"] == last["job"])
    created = parse_instant(job["metadata"]["creationTimestamp"])
    assert (slot.second, last["result"]) == (0, "Succeeded")
    assert last["job"] == f"ticking-{int(slot.timestamp()) // 60}"
    say(f"a slot's Job was created in the second {(created - slot).total_seconds():.0f} after it")
    assert timedelta(0) <= created - slot <= timedelta(seconds=20)
    assert parse_instant(status["nextScheduleTime"]) - parse_instant(status["lastScheduleTime"]) == timedelta(minutes=1)


def test_finished_jobs_beyond_the_limits_are_deleted(namespace: Namespace, shared_database: Database) -> None:
    """Succeeded and failed ones apart, the newest stay; the status keeps what it knows of the last run."""
    namespace.create_secret(shared_database.uri)
    target = query_target(board="history")
    limits: dict[str, Any] = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1}
    namespace.apply(schedule(target, **limits))
    namespace.until_run_ended("scores")
    succeeded = namespace.run_by_hand("scores")["lastRun"]["job"]
    assert until_jobs_are(namespace, succeeded)
    namespace.apply(schedule(target | {"query": FAILING}, **limits))
    namespace.run_by_hand("scores")
    failed = namespace.run_by_hand("scores")["lastRun"]["job"]
    assert until_jobs_are(namespace, succeeded, failed)
    namespace.patch("scores", '{"spec": {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0}}')
    assert until_jobs_are(namespace)
    status = namespace.status("scores")
    assert (status["lastRun"]["job"], status["consecutiveFailures"]) == (failed, 2)


def test_a_suspended_schedule_runs_by_hand_alone(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="suspended"), suspend=True))
    judged = namespace.until_status(
        "scores", lambda status: status if condition_of(status, "Accepted") else None, what="the controller has seen it"
    )
    assert condition_of(judged, "Accepted")["status"] == "True"
    assert "nextScheduleTime" not in judged
    by_hand = namespace.run_by_hand("scores")
    assert (by_hand["lastRun"]["result"], by_hand["lastRun"]["job"][:8]) == ("Succeeded", "scores-m")
    assert "lastScheduleTime" not in by_hand
    assert len(namespace.jobs("scores")) == 1
    namespace.patch("scores", '{"spec": {"suspend": false}}')
    resumed = namespace.until_run_ended("scores", after=by_hand["lastRun"]["job"])
    created = namespace.schedule("scores")["metadata"]["creationTimestamp"]
    assert resumed["lastScheduleTime"] == resumed["lastRun"]["scheduledTime"] == created
    assert len(namespace.jobs("scores")) == 2


def test_a_request_during_a_run_waits_for_it_and_then_goes_first(
    namespace: Namespace, shared_database: Database
) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(gated_target(board="waits")))
        shared_database.until_waiting_at_gate()
        namespace.request_run("scores")
        newest = namespace.request_run("scores")
        event = namespace.until_event("scores", "JobAlreadyActive")
        status = namespace.until_status(
            "scores",
            lambda status: status if condition_of(status, "Progressing").get("reason") == "RunActive" else None,
            what="the run is active",
        )
        (active,) = namespace.jobs("scores")
        assert active["metadata"]["name"] in event["message"]
        assert (status["activeCount"], status["active"][0]["uid"]) == (1, active["metadata"]["uid"])
        open_gate()
    ended = namespace.until_status(
        "scores",
        lambda status: status if status.get("lastHandledRequest") == newest and not status["activeCount"] else None,
        what="the newest request has been run",
    )
    first, second = sorted(namespace.jobs("scores"), key=lambda job: str(job["status"]["startTime"]))
    assert first["metadata"]["uid"] == active["metadata"]["uid"]
    assert second["status"]["startTime"] >= first["status"]["completionTime"]
    assert ended["lastRun"]["job"] == second["metadata"]["name"]
    assert ended["lastRun"]["result"] == "Succeeded"


def test_an_edit_during_a_run_is_for_the_next_one(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(gated_target(board="edited", score=1)))
        shared_database.until_waiting_at_gate()
        edited = [gated_target(board="edited", score=2)]
        namespace.patch("scores", json.dumps({"spec": {"rewrite": edited}}))
        observed = namespace.until_status(
            "scores", lambda status: status if status.get("observedGeneration") == 2 else None, what="the edit is seen"
        )
        assert observed["activeCount"] == 1
        open_gate()
    assert namespace.until_run_ended("scores")["lastRun"]["result"] == "Succeeded"
    assert score(shared_database) == 1
    assert namespace.run_by_hand("scores")["lastRun"]["rowsChanged"] == 1
    assert score(shared_database) == 2
    assert len(namespace.jobs("scores")) == 2


def score(database: Database) -> Any:
    return database.value("SELECT score FROM ranking WHERE board = 'edited'")


def until_jobs_are(namespace: Namespace, *names: str) -> bool:
    """Wait until the schedule's Jobs are these and no others."""

    def are(jobs: list[Object]) -> bool:
        return sorted(str(job["metadata"]["name"]) for job in jobs) == sorted(names)

    return namespace.until_jobs("scores", are, what=f"the Jobs are {', '.join(names) or 'none'}")
