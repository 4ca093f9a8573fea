"""concurrencyPolicy: Replace: an active run makes way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, schedule
from tests.e2e.waiting import Object, until_objects
from trending.api.instant import parse_instant
from trending.schedule.job_names import manual_job_name

LONG = 300.0
"""Seconds for what takes two or three slots of a minute."""


def test_a_run_by_hand_replaces_the_active_one(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(gated_target(board="by-hand"), concurrencyPolicy="Replace"))
        shared_database.until_waiting_at_gate()
        (first,) = namespace.jobs("scores")
        by_hand = manual_job_name("scores", namespace.request_run("scores"))
        status = until_active(namespace, lambda job: job == by_hand)
        last = status["lastRun"]
        assert (last["job"], last["result"], last["reason"]) == (first["metadata"]["name"], "Replaced", "Replaced")
        assert last["message"] == f"The run was ended to make way for Job {by_hand}; nothing half written remains."
        assert last["startTime"] <= last["completionTime"]
        assert [job["metadata"]["name"] for job in namespace.jobs("scores")] == [by_hand]
        assert until_pods_are_gone(namespace, job=first["metadata"]["name"])
        open_gate()
    ended = namespace.until_run_ended("scores", after=last["job"])
    assert (ended["lastRun"]["job"], ended["lastRun"]["result"]) == (by_hand, "Succeeded")
    assert (ended["consecutiveFailures"], condition_of(ended, "Fresh")["status"]) == (0, "True")
    assert namespace.events("scores", "MissingJob", "RunFailed") == []
    assert shared_database.value("SELECT count(*) FROM ranking WHERE board = 'by-hand'") == 1


def test_a_slot_replaces_the_active_run_each_time_it_comes(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    every_minute: dict[str, Any] = {"schedule": "* * * * *", "concurrencyPolicy": "Replace"}
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(gated_target(board="by-slot"), **every_minute))
        shared_database.until_waiting_at_gate()
        (first,) = namespace.jobs("scores")
        status = until_active(namespace, lambda job: job != first["metadata"]["name"])
        assert status["lastRun"]["result"] == "Replaced"
        slot = parse_instant(status["active"][0]["scheduledTime"])
        assert status["active"][0]["name"] == f"scores-{int(slot.timestamp()) // 60}"
        namespace.patch("scores", '{"spec": {"suspend": true}}')
        suspended = namespace.until_status(
            "scores",
            lambda status: status if "nextScheduleTime" not in status and status["activeCount"] else None,
            what="it is suspended and its run goes on",
        )
        (active,) = suspended["active"]
        open_gate()
    ended = namespace.until_run_ended("scores", after=suspended["lastRun"]["job"])
    assert (ended["lastRun"]["job"], ended["lastRun"]["result"]) == (active["name"], "Succeeded")
    assert namespace.events("scores", "MissingJob", "RunFailed") == []
    assert shared_database.value("SELECT count(*) FROM ranking WHERE board = 'by-slot'") == 1


def until_active(namespace: Namespace, is_awaited: Callable[[str], bool]) -> Object:
    """Wait until the one active run is the one that is awaited; return the status."""

    def judged(status: Object) -> Object | None:
        active = [run["name"] for run in status.get("active", [])]
        assert len(active) <= 1, f"these runs are active at once: {', '.join(active)}"
        return status if active and is_awaited(active[0]) else None

    return namespace.until_status("scores", judged, what="the other run has made way", seconds=LONG)


def until_pods_are_gone(namespace: Namespace, *, job: str) -> bool:
    """Wait until a Job that was deleted has no pods any more."""
    return until_objects(
        namespace.kubectl,
        "pods",
        lambda pods: not pods,
        what=f"the pods of Job {job} are gone",
        namespace=namespace.name,
        selector=f"batch.kubernetes.io/job-name={job}",
    )
