"""A node that goes silent while a run's pod is on it: told, and the run is not counted as ended."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from demo.kubectl import Kubectl
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import query_target, schedule
from tests.e2e.test_taken_away import until_said
from tests.e2e.waiting import until_objects
from trending.api.instant import format_instant
from trending.api.names import RUN_CONTAINER

# It is in the cluster with a second node, which every scheduler and DaemonSet sees.
pytestmark = pytest.mark.alone

LABEL: Final = "trending.example/silent"
ROOM: Final = {"cpu": "8", "memory": "8Gi", "ephemeral-storage": "8Gi", "pods": "10"}


def condition(kind: str, **more: str) -> dict[str, str]:
    now = format_instant(datetime.now(UTC))
    return {"type": kind, "status": "True", "lastTransitionTime": now, **more}


@pytest.fixture
def silent(cluster: Kubectl) -> Iterator[str]:
    """A node that is ready once and whose kubelet never says a word again; only pods that ask for it come to it."""
    name = f"silent-{secrets.token_hex(2)}"
    metadata = {"name": name, "labels": {LABEL: name}}
    spec = {"taints": [{"key": LABEL, "effect": "NoSchedule"}]}
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})
    try:
        now = format_instant(datetime.now(UTC))
        ready = condition("Ready", reason="KubeletReady", message="", lastHeartbeatTime=now)
        show(cluster, "node", name, {"capacity": ROOM, "allocatable": ROOM, "conditions": [ready]})
        yield name
    finally:
        cluster.run("delete", "node", name)


def show(cluster: Kubectl, kind: str, name: str, status: dict[str, Any], *scope: str) -> None:
    """Write a status as a kubelet does."""
    patch = f"--patch={json.dumps({'status': status})}"
    cluster.run(*scope, "patch", kind, name, "--subresource=status", "--type=merge", patch)


def test_a_node_that_does_not_answer_is_told(
    namespace: Namespace, shared_database: Database, silent: str, say: Callable[[str], None]
) -> None:
    namespace.create_secret(shared_database.uri)
    place = {
        "nodeSelector": {LABEL: silent},
        "tolerations": [
            {"key": LABEL, "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
        ],
    }
    namespace.apply(schedule(query_target(), template={"spec": place}))

    def placed(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
        return next((pod for pod in pods if pod["spec"].get("nodeName") == silent), None)

    pod = until_objects(namespace.kubectl, "pods", placed, what="a pod on the node", namespace=namespace.name)
    now = format_instant(datetime.now(UTC))
    image = pod["spec"]["containers"][0]["image"]
    container = {
        "name": RUN_CONTAINER,
        "image": image,
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": now}},
    }
    running = {
        "phase": "Running",
        "startTime": now,
        "conditions": [condition(kind) for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
        "containerStatuses": [container],
    }
    scope = f"--namespace={namespace.name}"
    show(namespace.kubectl, "pod", pod["metadata"]["name"], running, scope)
    until_said(namespace, "scores", " is running.")
    until_said(namespace, "scores", f"its pod runs on node {silent}, which does not answer.")
    took = datetime.now(UTC) - datetime.fromisoformat(now)
    say(f"that a node does not answer was told {took.total_seconds():.0f} s after its last word")
    assert namespace.status("scores").get("lastRun") is None
