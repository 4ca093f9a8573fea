"""The controller's pod: its probe answers, a restart changes nothing, and it sends each event once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.controllers import Controller
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import query_target, schedule

pytestmark = pytest.mark.alone


def test_the_probes_ask_whether_the_controller_lives_and_is_ready(controller: Controller) -> None:
    pod = controller.pod()
    (container,) = pod["spec"]["containers"]
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/healthz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "http", "scheme": "HTTP"}
        proxy = f"/api/v1/namespaces/{controller.namespace}/pods/{pod['metadata']['name']}:8080/proxy{path}"
        assert controller.kubectl.run("get", f"--raw={proxy}") == "ok\n"
    assert pod["status"]["containerStatuses"][0]["ready"] is True


def test_a_restart_changes_no_schedule_and_repeats_no_event(
    namespace: Namespace, shared_database: Database, controller: Controller
) -> None:
    namespace.create_secret(shared_database.uri)
    for name in ("resting", "scores"):
        namespace.apply(schedule(query_target(board=name), name=name))
        namespace.until_run_ended(name)
    before, told = namespace.schedule("resting"), namespace.events("resting")
    controller.kill()
    # A run of another schedule takes far longer than the first look at all of them.
    namespace.run_by_hand("scores")
    assert namespace.schedule("resting")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert namespace.events("resting") == told


def test_each_event_is_sent_once(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="events"), successfulJobsHistoryLimit=0))
    namespace.until_run_ended("scores")
    namespace.run_by_hand("scores")
    counted = Counter((event["reason"], event["message"]) for event in namespace.events("scores"))
    assert set(counted.values()) == {1}
    assert Counter(reason for reason, _ in counted) == {"SuccessfulCreate": 2, "RunSucceeded": 2, "DataFresh": 1}
