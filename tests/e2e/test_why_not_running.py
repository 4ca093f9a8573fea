"""Runs whose pods do not run, or die: told within a minute in a sentence that a person understands, and in metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from tests.e2e.controllers import Controller
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import query_target, schedule
from tests.e2e.waiting import Object
from tests.unit.scrapes import Scrape
from trending.api.names import RUN_CONTAINER

SECONDS: Final = 60.0
"""Within this it is told, the ten seconds that a pod is given to start included."""
LABEL: Final = "trending.example/disk"
IMAGE: Final = "registry.invalid/none:1"
WAITING: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "nowhere": ({"nodeSelector": {LABEL: "none"}}, "no node can take its pod: 0/1 nodes are available: "),
    "too-large": ({"resources": {"requests": {"memory": "900Gi"}}}, "Insufficient memory"),
    "refused": ({"priorityClassName": "absent"}, "no pod may be made for it: no PriorityClass with name absent "),
}
"""What the pods ask for, and words of the sentence that says why they do not run."""
SMALL: Final = {"resources": {"requests": {"memory": "10Mi"}, "limits": {"memory": "20Mi"}}}


def until_told(namespace: Namespace, name: str, words: str) -> None:
    """Wait until condition Progressing says so."""

    def told(status: Object) -> Object | None:
        progressing = condition_of(status, "Progressing")
        return progressing if words in progressing.get("message", "") else None

    progressing = namespace.until_status(name, told, what=f"its condition Progressing says: {words}")
    assert (progressing["status"], progressing["reason"]) == ("True", "WaitingForPod")


def test_what_keeps_a_run_from_running_is_told_within_a_minute(
    namespace: Namespace, controller: Controller, shared_database: Database, say: Callable[[str], None]
) -> None:
    namespace.create_secret(shared_database.uri)
    begun = time.monotonic()
    namespace.apply(
        *(schedule(query_target(), name=name, template={"spec": spec}) for name, (spec, _) in WAITING.items()),
        schedule(query_target(), name="small", template={"spec": SMALL}, backoffLimit=0),
    )
    for name, (_, words) in WAITING.items():
        until_told(namespace, name, words)
    took = time.monotonic() - begun
    say(f"why pods do not run was told {took:.0f} s after `kubectl apply` of at most {SECONDS:.0f} s")
    assert took <= SECONDS

    # The pod that no node can take gets an image that is nowhere, and then a node.
    (job,) = namespace.jobs("nowhere")
    (waiting,) = namespace.pods(job=job["metadata"]["name"])
    image = {"spec": {"containers": [{"name": RUN_CONTAINER, "image": IMAGE}]}}
    namespace.run("patch", "pod", waiting["metadata"]["name"], f"--patch={json.dumps(image)}")
    namespace.kubectl.run("label", "nodes", "--all", f"{LABEL}=none")
    try:
        until_told(namespace, "nowhere", f"its image {IMAGE} cannot be pulled: ")
    finally:
        namespace.kubectl.run("label", "nodes", "--all", f"{LABEL}-")

    last = namespace.until_run_ended("small")["lastRun"]
    assert last["result"] == "Failed"
    assert "its container was killed for using up its 20Mi of memory (OOMKilled, exit code 137)" in last["message"]
    assert "raise spec.template.spec.resources.limits.memory" in last["message"]

    pod = controller.pod()["metadata"]["name"]
    path = f"/api/v1/namespaces/{controller.namespace}/pods/{pod}:8081/proxy/metrics"
    told = Scrape(controller.run("get", "--raw", path))
    for name in WAITING:
        labels = {"namespace": namespace.name, "schedule": name}
        assert told.value("trending_stale_time_seconds", **labels, target="main") == 0
        assert told.value("trending_active_runs", **labels) == 1
        assert told.value("trending_start_delay_seconds_count", **labels) == 1
    small = {"namespace": namespace.name, "schedule": "small"}
    assert told.value("trending_runs_total", **small, result="Failed") == 1
    assert told.value("trending_condition", **small, condition="Succeeded") == 0
