"""What keeps a pod from running and how one ended, in clauses that a person understands."""

from typing import Any

import pytest

from tests.unit.kube import pod_body, report
from trending.controller.pods import has_ended, how_it_ended, how_it_went, why_not_running, why_refused
from trending.report import write_termination_message

Body = dict[str, Any]
PULL = 'failed to pull and unpack image "registry.example/trending:2": registry.example/trending:2: not found'


def pod(*conditions: Body, state: Body | None = None, **status: Any) -> Body:
    container = {"name": "run", "image": "registry.example/trending:2", "state": state or {}}
    resources = {"limits": {"memory": "256Mi"}}
    return {
        "metadata": {"name": "hourly-1-x", "uid": "p1"},
        "spec": {"nodeName": "n1", "containers": [{"name": "run", "resources": resources}]},
        "status": {"conditions": conditions, **({"containerStatuses": [container]} if state else {}), **status},
    }


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def waiting(reason: str, message: str = "") -> Body:
    return pod(phase="Pending", state={"waiting": {"reason": reason, "message": message}})


def died(reason: str, code: int, *conditions: Body, message: str | None = None, **status: Any) -> Body:
    end = {"reason": reason, "exitCode": code, "message": message}
    return pod(*conditions, phase="Failed", state={"terminated": end}, **status)


def disrupted(reason: str, message: str = "") -> Body:
    return condition("DisruptionTarget", "True", reason, message)


UNSCHEDULABLE = condition(
    "PodScheduled",
    "False",
    "Unschedulable",
    "0/3 nodes are available: 1 Insufficient memory, 2 node(s) didn't match Pod's node affinity/selector. "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
)
UP = {"running": {"startedAt": "2026-11-23T09:00:03Z"}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(
            pod(UNSCHEDULABLE, phase="Pending"),
            "no node can take its pod: 0/3 nodes are available: 1 Insufficient memory, "
            "2 node(s) didn't match Pod's node affinity/selector",
            id="no room",
        ),
        pytest.param(
            pod(
                condition(
                    "PodScheduled",
                    "False",
                    "Unschedulable",
                    "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: "
                    "0/1 nodes are available: 1 No preemption victims found for incoming pod.",
                ),
                phase="Pending",
            ),
            "no node can take its pod: 0/1 nodes are available: 1 Insufficient memory",
            id="no room, and no claims to deallocate, as 1.35 says it",
        ),
        pytest.param(
            pod(condition("PodScheduled", "False", "SchedulingGated"), phase="Pending"),
            "its pod is held by a scheduling gate, which is not the operator's",
            id="gated",
        ),
        pytest.param(
            waiting("ErrImagePull", PULL),
            f"its image registry.example/trending:2 cannot be pulled: {PULL}",
            id="no image",
        ),
        pytest.param(
            waiting("ImagePullBackOff", f'Back-off pulling image "registry.example/trending:2": ErrImagePull: {PULL}'),
            f"its image registry.example/trending:2 cannot be pulled: {PULL}",
            id="still no image, in the same words",
        ),
        pytest.param(
            waiting("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never'),
            "its image registry.example/trending:2 cannot be pulled: "
            'Container image "x" is not present with pull policy of Never',
            id="an image that may not be pulled",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            "its container cannot be made (CreateContainerConfigError): "
            "container has runAsNonRoot and image will run as root",
            id="no container",
        ),
        pytest.param(
            pod(condition("Ready", "False"), phase="Running", state=UP),
            "its pod runs on node n1, which does not answer",
            id="node lost",
        ),
        pytest.param(
            pod(disrupted("DeletionByTaintManager"), condition("Ready", "False"), phase="Running", state=UP),
            "its pod is being taken away: its node does not answer, or may no longer run it (a NoExecute taint); "
            "another one follows once it has ended",
            id="node lost for long",
        ),
        pytest.param(
            pod(disrupted("PreemptionByScheduler"), condition("Ready", "True"), phase="Running", state=UP),
            "its pod is being taken away: it made way for one of higher priority "
            "(spec.template.spec.priorityClassName); another one follows once it has ended",
            id="preempted",
        ),
        pytest.param(
            pod(disrupted("SomethingNew", "Because. "), phase="Running", state=UP),
            "its pod is being taken away: Because; another one follows once it has ended",
            id="a disruption of a newer Kubernetes",
        ),
        pytest.param(
            {**waiting("ContainerCreating"), "metadata": {"deletionTimestamp": "2026-11-23T09:00:30Z"}},
            "its pod is being deleted by somebody",
            id="deleted by hand",
        ),
        pytest.param(
            pod(condition("Ready", "False", "ContainersNotReady"), phase="Running", state=UP), None, id="just begun"
        ),
        pytest.param(waiting("ContainerCreating"), None, id="on its way"),
        pytest.param(pod(phase="Pending"), None, id="not yet looked at by the scheduler"),
        pytest.param(pod(condition("Ready", "True"), phase="Running", state=UP), None, id="running"),
        pytest.param({"metadata": {}}, None, id="nothing known"),
    ],
)
def test_what_keeps_a_pod_from_running_is_told_in_a_clause(body: Body, told: str | None) -> None:
    assert why_not_running(body) == told
    assert not has_ended(body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(
            died("OOMKilled", 137),
            "its container was killed for using up its 256Mi of memory (OOMKilled, exit code 137): "
            "raise spec.template.spec.resources.limits.memory",
            id="out of memory",
        ),
        pytest.param(
            died("StartError", 128, message='exec: "trending": executable file not found in $PATH'),
            "its container could not be started (StartError, exit code 128): "
            'exec: "trending": executable file not found in $PATH',
            id="not started",
        ),
        pytest.param(
            died(
                "Error",
                137,
                disrupted("TerminationByKubelet", "The node was low on resource: memory. Threshold 100Mi."),
            ),
            "its pod was taken away: node n1 evicted it: The node was low on resource: memory. Threshold 100Mi "
            "(Error, exit code 137)",
            id="evicted by its node",
        ),
        pytest.param(
            died("Error", 143, disrupted("EvictionByEvictionAPI", "Eviction API: evicting")),
            "its pod was taken away: it was evicted, as when a node is drained (Error, exit code 143)",
            id="drained",
        ),
        pytest.param(
            died("ContainerStatusUnknown", 137, disrupted("DeletionByPodGC")),
            "its pod was taken away: its node is gone (ContainerStatusUnknown, exit code 137)",
            id="its node is gone",
        ),
        pytest.param(
            pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
            "its pod never ran on node n1: OutOfcpu: Node didn't have enough resource: cpu",
            id="refused by its node",
        ),
        pytest.param(pod(phase="Failed"), "its pod never ran on node n1: nothing says why", id="nothing known"),
        pytest.param(
            died("Error", 1), "its container ended without a report (Error, exit code 1)", id="without a report"
        ),
        pytest.param(
            died("Error", 1, message=write_termination_message(report())), "All is written", id="with a report"
        ),
    ],
)
def test_how_a_pod_ended_is_told_in_a_clause(body: Body, told: str) -> None:
    assert has_ended(body)
    assert how_it_ended(body) == told


def test_a_pod_that_ended_well_has_ended() -> None:
    assert has_ended(pod_body(write_termination_message(report())))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            'Error creating: pods "hourly-1-x7zd" is forbidden: exceeded quota: small, requested: pods=1, used: pods=9',
            "no pod may be made for it: exceeded quota: small, requested: pods=1, used: pods=9",
        ),
        (
            'Error creating: admission webhook "policy" denied the request: no label team',
            'no pod may be made for it: admission webhook "policy" denied the request: no label team',
        ),
    ],
)
def test_why_no_pod_may_be_made_is_told_without_the_name_it_would_have_had(message: str, told: str) -> None:
    assert why_refused(message) == told


def test_what_others_say_at_length_is_shortened() -> None:
    told = why_refused("many\n words " * 200)
    assert len(told) < 450
    assert told.endswith("…")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(
            died("Error", 1, disrupted("EvictionByEvictionAPI")),
            "its pod was taken away: it was evicted, as when a node is drained",
            id="evicted, whatever its container made of that",
        ),
        pytest.param(
            {**died("Error", 1), "metadata": {"deletionTimestamp": "2026-11-23T09:00:30Z"}},
            "somebody deleted its pod",
            id="deleted by hand",
        ),
        pytest.param(died("Error", 137), "its container ended without a report (Error, exit code 137)", id="died"),
    ],
)
def test_how_the_pod_before_came_to_its_end_is_told_in_a_clause(body: Body, told: str) -> None:
    assert how_it_went(body) == told
