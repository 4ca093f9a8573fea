"""The controller killed or away at a bad moment: nothing runs twice, and the status is right afterwards."""

from __future__ import annotations

import pytest

from tests.e2e.controllers import Controller
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, query_target, schedule
from tests.e2e.waiting import Object
from trending.api.names import SCHEDULED_TIMESTAMP_ANNOTATION

pytestmark = pytest.mark.alone


@pytest.fixture
def idle(namespace: Namespace, shared_database: Database) -> Namespace:
    """A namespace with a schedule that is suspended, and known to the controller: its first slot is due."""
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board=namespace.name), suspend=True))
    namespace.until_status("scores", lambda status: status.get("scheduleSince"), what="the controller knows it")
    return namespace


def test_killed_between_job_and_status_a_slot_is_run_once(idle: Namespace, controller: Controller) -> None:
    """The Job is created, the write of the status is refused, the process dies, the Job ends."""
    with controller.without_status_writes():
        idle.patch("scores", '{"spec": {"suspend": false}}')
        job = idle.until_jobs("scores", finished, what="the slot's Job has ended")
        assert "lastScheduleTime" not in idle.status("scores")
        controller.kill()
    status = idle.until_run_ended("scores")
    slot = idle.schedule("scores")["metadata"]["creationTimestamp"]
    assert status["lastScheduleTime"] == status["lastRun"]["scheduledTime"] == slot
    assert job["metadata"]["annotations"][SCHEDULED_TIMESTAMP_ANNOTATION] == slot
    assert_ran_once(idle, job, status)


def test_killed_between_job_and_status_a_request_is_run_once(idle: Namespace, controller: Controller) -> None:
    with controller.without_status_writes():
        request = idle.request_run("scores")
        job = idle.until_jobs("scores", finished, what="the requested Job has ended")
        assert "lastHandledRequest" not in idle.status("scores")
        controller.kill()
    status = idle.until_run_ended("scores")
    assert status["lastHandledRequest"] == request
    assert "lastScheduleTime" not in status
    assert_ran_once(idle, job, status)


def test_away_for_a_whole_run_it_tells_of_it_afterwards(
    namespace: Namespace, shared_database: Database, controller: Controller
) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate() as open_gate:
        namespace.apply(schedule(gated_target(board=namespace.name)))
        shared_database.until_waiting_at_gate()
        with controller.down():
            open_gate()
            job = namespace.until_jobs("scores", finished, what="the run has ended")
            assert "lastRun" not in namespace.status("scores")
    status = namespace.until_run_ended("scores")
    assert status["lastScheduleTime"] == namespace.schedule("scores")["metadata"]["creationTimestamp"]
    assert_ran_once(namespace, job, status)


def test_killed_over_and_over_it_runs_each_request_once(
    namespace: Namespace, shared_database: Database, controller: Controller
) -> None:
    """At whatever moment it dies."""
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board=namespace.name), immediate=False, successfulJobsHistoryLimit=10))
    for _ in range(3):
        namespace.request_run("scores")
        controller.kill()
    request = namespace.request_run("scores")
    status = namespace.until_status(
        "scores",
        lambda status: status if status.get("lastHandledRequest") == request and not status["activeCount"] else None,
        what="the last request has been run",
    )
    assert status["lastRun"]["result"] == "Succeeded"
    jobs = namespace.jobs("scores")
    assert len(jobs) <= 4
    assert all(finished([job]) for job in jobs)
    runs = shared_database.rows("SELECT job, attempts FROM trending.run WHERE namespace = %s", namespace.name)
    assert sorted(runs) == sorted((job["metadata"]["name"], 1) for job in jobs)
    for reason in ("SuccessfulCreate", "RunSucceeded"):
        assert len(namespace.events("scores", reason)) == len(jobs)


def assert_ran_once(namespace: Namespace, job: Object, status: Object) -> None:
    """One Job, one pod, one run in the status, each event once; and the schedule is at rest."""
    name = job["metadata"]["name"]
    assert [each["metadata"]["uid"] for each in namespace.jobs("scores")] == [job["metadata"]["uid"]]
    assert len(namespace.pods(job=name)) == 1
    assert (status["lastRun"]["job"], status["lastRun"]["result"]) == (name, "Succeeded")
    assert (status["active"], status["activeCount"]) == ([], 0)
    assert condition_of(status, "Fresh")["status"] == "True"
    events = namespace.events("scores", "SuccessfulCreate", "RunSucceeded", "RunFailed", "UnexpectedJob", "MissingJob")
    assert sorted((event["reason"], event["count"]) for event in events if event["reason"] != "SuccessfulCreate") == [
        ("RunSucceeded", 1)
    ]
    assert len([event for event in events if event["reason"] == "SuccessfulCreate"]) <= 1


def finished(jobs: list[Object]) -> Object | None:
    """Return the one Job, once it has ended."""
    ends = [
        job
        for job in jobs
        for condition in job["status"].get("conditions", [])
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
    ]
    return ends[0] if ends else None
