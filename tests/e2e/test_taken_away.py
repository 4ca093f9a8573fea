"""Pods that others take away while their run is under way: by whom is told within a minute, and the run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from demo.kubectl import Kubectl
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import gated_target, schedule
from tests.e2e.test_why_not_running import SECONDS
from tests.e2e.waiting import Object

SEAT: Final = "trending.example/seat"
"""A resource of which the node has one, so that one pod has to make way for another."""
SEATED: Final = {"requests": {SEAT: "1"}, "limits": {SEAT: "1"}}
FULL: Final = {"requests": {"ephemeral-storage": "1Ki"}, "limits": {"ephemeral-storage": "1Ki"}}
"""Less than a run's log takes: the kubelet evicts it, as one that fills its node's disk."""
PAUSED: Final = {
    "priorityClassName": "system-node-critical",
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "main",
            "image": "registry.invalid/none:1",
            "resources": SEATED,
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
"""A pod that asks for the seat, and for no more than to be placed."""


def until_said(namespace: Namespace, name: str, words: str) -> None:
    """Wait until condition Progressing says so."""

    def said(status: Object) -> bool:
        return words in condition_of(status, "Progressing").get("message", "")

    namespace.until_status(name, said, what=f"its condition Progressing says: {words}")


def pod_of(namespace: Namespace, name: str) -> str:
    (job,) = namespace.jobs(name)
    (pod,) = namespace.pods(job=job["metadata"]["name"])
    return str(pod["metadata"]["name"])


@pytest.fixture
def seat(cluster: Kubectl) -> Iterator[str]:
    """The node, while it has a seat."""
    (node,) = (each["metadata"]["name"] for each in cluster.list("nodes"))
    path = f"/status/capacity/{SEAT.replace('/', '~1')}"

    def patch(*operations: dict[str, Any]) -> None:
        cluster.run("patch", "node", node, "--subresource=status", "--type=json", f"--patch={json.dumps(operations)}")

    patch({"op": "add", "path": path, "value": "1"})
    yield node
    patch({"op": "remove", "path": path})


def test_who_takes_a_running_pod_away_is_told_within_a_minute(
    namespace: Namespace, shared_database: Database, seat: str, say: Callable[[str], None]
) -> None:
    namespace.create_secret(shared_database.uri)
    told = {
        "evicted": "it was evicted, as when a node is drained",
        "full": f"node {seat} evicted it: Pod ephemeral local storage usage exceeds the total limit of containers 1Ki",
        "preempted": "it made way for one of higher priority (spec.template.spec.priorityClassName)",
    }
    asks = {"full": {"resources": FULL}, "preempted": {"resources": SEATED}}
    attempts = {"full": {"backoffLimit": 6}}  # each of which ends as the first one does
    with shared_database.gate() as open_gate:
        namespace.apply(
            *(
                schedule(
                    gated_target(board=name), name=name, template={"spec": asks.get(name, {})}, **attempts.get(name, {})
                )
                for name in (*told, "deleted")
            )
        )
        for name in ("evicted", "preempted", "deleted"):
            until_said(namespace, name, " is running.")
        begun = time.monotonic()
        pods = {name: pod_of(namespace, name) for name in ("evicted", "deleted")}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pods["evicted"]}}
        path = f"/api/v1/namespaces/{namespace.name}/pods/{pods['evicted']}/eviction"
        namespace.run("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))
        namespace.run("delete", "pod", pods["deleted"], "--wait=false")
        namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "critical"}, "spec": PAUSED})

        until_said(namespace, "preempted", f"no node can take its pod: 0/1 nodes are available: 1 Insufficient {SEAT}")
        until_said(namespace, "evicted", f"is running again: its pod was taken away: {told['evicted']}.")
        until_said(namespace, "deleted", "is running again: somebody deleted its pod.")
        until_said(namespace, "full", f"its pod was taken away: {told['full']}")
        took = time.monotonic() - begun
        namespace.run("delete", "pod", "critical", "--grace-period=0", "--force")
        until_said(namespace, "preempted", f"is running again: its pod was taken away: {told['preempted']}.")
        say(f"who took pods away was told {took:.0f} s after it of at most {SECONDS:.0f} s")
        assert took <= SECONDS
        open_gate()
    for name in ("evicted", "preempted", "deleted"):
        last = namespace.until_run_ended(name)["lastRun"]
        assert (last["result"], last["attempts"]) == ("Succeeded", 2)


def test_a_quota_that_lets_no_pod_be_made_is_told_until_it_does(
    namespace: Namespace, shared_database: Database
) -> None:
    namespace.create_secret(shared_database.uri)
    quota = {"hard": {"pods": "0"}}
    namespace.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": quota})
    namespace.run("wait", "resourcequota/small", "--for=jsonpath={.status.hard.pods}=0", "--timeout=60s")
    namespace.apply(schedule(gated_target(board="held"), name="held"))
    begun = time.monotonic()
    until_said(
        namespace,
        "held",
        "no pod may be made for it: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0.",
    )
    assert time.monotonic() - begun <= SECONDS
    namespace.run("delete", "resourcequota", "small")
    assert namespace.until_run_ended("held")["lastRun"]["result"] == "Succeeded"
