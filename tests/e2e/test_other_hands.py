"""Others take a Job's name, delete a Job, allow no Jobs, delete a schedule their way: it is told, and work goes on."""

from __future__ import annotations

import pytest

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, query_target, schedule
from trending.api.instant import parse_instant
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, PLURAL, SCHEDULE_LABEL


def test_a_slot_whose_name_is_taken_is_left_out(namespace: Namespace, shared_database: Database) -> None:
    """Whatever labels the other Job carries; it is left alone."""
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="taken"), suspend=True))
    created = parse_instant(namespace.schedule("scores")["metadata"]["creationTimestamp"])
    name = f"scores-{int(created.timestamp()) // 60}"
    namespace.create(somebodys_job(name))
    namespace.patch("scores", '{"spec": {"suspend": false}}')
    event = namespace.until_event("scores", "UnexpectedJob")
    assert name in event["message"]
    status = namespace.until_status(
        "scores", lambda status: status if status.get("lastScheduleTime") else None, what="the slot is left behind"
    )
    assert (parse_instant(status["lastScheduleTime"]), status["activeCount"]) == (created, 0)
    (job,) = namespace.jobs("scores")
    assert "ownerReferences" not in job["metadata"]
    assert namespace.run_by_hand("scores")["lastRun"]["result"] == "Succeeded"
    assert len(namespace.events("scores", "UnexpectedJob")) == 1
    namespace.run("delete", "job", name)


def test_an_active_job_that_somebody_deletes_is_missed(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate():
        namespace.apply(schedule(gated_target(board="deleted")))
        shared_database.until_waiting_at_gate()
        (job,) = namespace.jobs("scores")
        namespace.run("delete", "job", job["metadata"]["name"])
    event = namespace.until_event("scores", "MissingJob")
    assert job["metadata"]["name"] in event["message"]
    status = namespace.status("scores")
    assert (status["active"], condition_of(status, "Progressing")["reason"]) == ([], "Idle")
    assert namespace.run_by_hand("scores")["lastRun"]["result"] == "Succeeded"


def test_a_job_that_may_not_be_created_is_told_and_tried_again(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    namespace.create({**quota, "spec": {"hard": {"count/jobs.batch": "0"}}})
    namespace.run("wait", "resourcequota/none", "--for=jsonpath={.status.hard}", "--timeout=180s")
    namespace.apply(schedule(query_target(board="quota")))
    event = namespace.until_event("scores", "FailedCreate")
    assert event["type"] == "Warning"
    assert "exceeded quota: none" in event["message"]
    assert "lastScheduleTime" not in namespace.status("scores")
    namespace.run("delete", "resourcequota", "none")
    status = namespace.until_run_ended("scores")
    created = namespace.schedule("scores")["metadata"]["creationTimestamp"]
    assert (status["lastRun"]["result"], status["lastScheduleTime"]) == ("Succeeded", created)
    assert len(namespace.events("scores", "FailedCreate")) == 1


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
def test_a_schedule_deleted_with_another_policy_goes_too(
    namespace: Namespace, shared_database: Database, policy: str
) -> None:
    """Foreground waits for the Jobs; orphans are somebody else's from then on."""
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="policy")))
    job = namespace.until_run_ended("scores")["lastRun"]["job"]
    namespace.run("delete", PLURAL, "scores", f"--cascade={policy.lower()}", "--timeout=180s")
    left = [each["metadata"]["name"] for each in namespace.jobs("scores")]
    assert left == ([job] if policy == "Orphan" else [])
    namespace.run("delete", "jobs", "--all", "--timeout=180s")


def somebodys_job(name: str) -> dict[str, object]:
    """Return a Job that carries the operator's labels, belongs to nobody and does nothing."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: "scores"}
    container = {"name": "run", "image": "trending-operator:dev", "resources": {}}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
