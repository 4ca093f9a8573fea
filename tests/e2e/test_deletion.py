"""A schedule that is deleted takes its Jobs and pods with it, whatever is going on, and nothing hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import delete_schedules
from tests.e2e.controllers import Controller
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import gated_target, query_target, schedule
from tests.waiting import SECONDS

pytestmark = pytest.mark.alone


def test_a_deleted_schedule_takes_finished_runs_with_it(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="finished")))
    job = namespace.until_run_ended("scores")["lastRun"]["job"]
    assert len(namespace.pods(job=job)) == 1
    assert "finalizers" not in namespace.schedule("scores")["metadata"]
    delete_schedules(namespace.kubectl, namespace.name)


def test_a_deleted_schedule_stops_its_active_run(
    namespace: Namespace, shared_database: Database, controller: Controller, say: Callable[[str], None]
) -> None:
    """The run's statement is cancelled and rolled back, and nobody starts it again."""
    namespace.create_secret(shared_database.uri)
    with shared_database.gate():
        namespace.apply(schedule(gated_target(board="active")))
        shared_database.until_waiting_at_gate()
        begun = time.monotonic()
        delete_schedules(namespace.kubectl, namespace.name)
        say(f"a schedule with an active run was gone, pod and all, after {time.monotonic() - begun:.1f} s")
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        assert shared_database.value(query, "trending/scores") == 0
    assert shared_database.value("SELECT count(*) FROM ranking WHERE board = 'active'") == 0
    assert f"{namespace.name}/scores: " not in controller.logs()


def test_a_schedule_can_be_deleted_while_the_operator_is_gone(
    namespace: Namespace, shared_database: Database, controller: Controller
) -> None:
    """With an active run, too."""
    namespace.create_secret(shared_database.uri)
    with shared_database.gate():
        namespace.apply(schedule(gated_target(board="gone")))
        shared_database.until_waiting_at_gate()
        with controller.down():
            delete_schedules(namespace.kubectl, namespace.name)


def test_a_namespace_with_an_active_run_can_be_deleted(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    with shared_database.gate():
        namespace.apply(schedule(gated_target(board="namespace")))
        shared_database.until_waiting_at_gate()
        namespace.kubectl.run("delete", "namespace", namespace.name, f"--timeout={SECONDS:.0f}s", timeout=SECONDS + 10)
    namespace.kubectl.ensure_namespace(namespace.name)
