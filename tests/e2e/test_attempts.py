"""A run that is cut off: nothing half written stays, another attempt goes on where it stopped, the report says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, query_target, schedule
from trending.api.instant import parse_instant

# Each row with the transaction that wrote it.
ROWS = "SELECT item, xmin::text, computed_at FROM ranking WHERE board = %s"


def test_a_run_whose_pod_is_deleted_goes_on_in_another(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(query_target(board="first"), gated_target(board="second")))
        shared_database.until_waiting_at_gate()
        ((item, written_by, now),) = shared_database.rows(ROWS, "first")
        (job,) = namespace.jobs("scores")
        (pod,) = namespace.pods(job=job["metadata"]["name"])
        namespace.run("delete", "pod", pod["metadata"]["name"], "--timeout=180s")
        assert shared_database.rows(ROWS, "second") == []
        shared_database.until_waiting_at_gate()
        open_gate()
    last = namespace.until_run_ended("scores")["lastRun"]
    assert (last["result"], last["attempts"]) == ("Succeeded", 2)
    assert shared_database.rows(ROWS, "first") == [(item, written_by, now)]
    ((_, _, stamp),) = shared_database.rows(ROWS, "second")
    assert stamp == now
    steps = {step["name"]: step["rowsInserted"] for step in last["steps"]}
    assert steps == {"first": 1, "second": 1}
    query = "SELECT job, attempts FROM trending.run WHERE namespace = %s"
    assert shared_database.rows(query, namespace.name) == [(last["job"], 2)]


def test_a_run_that_exceeds_its_deadline_ends_in_time_to_report(
    namespace: Namespace, shared_database: Database, say: Callable[[str], None]
) -> None:
    """The slow one: the shortest deadline is two minutes; the runner stops 45 s before. What it had written stays."""
    namespace.create_secret(shared_database.uri)
    deadline: dict[str, Any] = {"activeDeadlineSeconds": 120, "backoffLimit": 0}
    with shared_database.gate():
        namespace.apply(schedule(query_target(board="in-time"), gated_target(board="late"), **deadline))
        status = namespace.until_run_ended("scores", seconds=240)
    last = status["lastRun"]
    assert (last["result"], last["reason"]) == ("DeadlineExceeded", "DeadlineExceeded")
    assert "the run's time was over at " in last["message"]
    assert "spec.activeDeadlineSeconds" in last["message"]
    took = parse_instant(last["completionTime"]) - parse_instant(last["startTime"])
    say(f"a run of two minutes at most reported that its time was over after {took.total_seconds():.0f} s")
    assert timedelta(seconds=70) <= took < timedelta(seconds=120)
    steps = {step["name"]: step.get("rowsInserted") for step in last["steps"]}
    assert steps == {"in-time": 1, "late": None}
    assert len(shared_database.rows(ROWS, "in-time")) == 1
    assert shared_database.rows(ROWS, "late") == []
    assert condition_of(status, "Succeeded")["reason"] == "DeadlineExceeded"
    assert {target["name"] for target in status["targets"] if "dataTimestamp" in target} == {"in-time"}
    assert condition_of(status, "Fresh")["status"] == "False"
