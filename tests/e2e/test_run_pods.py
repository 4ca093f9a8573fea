"""What a run's pod is made of: the template's part, the least rights, and what it is given as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import gated_target, schedule
from tests.e2e.waiting import Object
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, RUN_ANNOTATION, SCHEDULE_LABEL

TEMPLATE: dict[str, Any] = {
    "metadata": {
        "labels": {"team": "discovery", MANAGED_BY_LABEL: "somebody-else"},
        "annotations": {"example.com/note": "a note"},
    },
    "spec": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
        "resources": {"requests": {"cpu": "60m", "memory": "100Mi"}, "limits": {"memory": "200Mi"}},
        "env": [{"name": "PGOPTIONS", "value": "-c search_path=public"}, {"name": "DOLLAR", "value": "$$(HOME)"}],
    },
}
# What the pod can do, as it finds out itself.
PROGRAM = """
import json, os, pathlib
def attempt(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"
def files(folder):
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith(".."):
            yield from files(path)
        elif path.is_file():
            yield str(path.relative_to(given))
given = pathlib.Path("/etc/trending")
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(),
    "capabilities": [line.split()[1] for line in open("/proc/1/status") if line.startswith("CapEff")],
    "written": {place: attempt(place) for place in ("/x", "/tmp/x", "/opt/trending/x", "/etc/trending/x")},
    "token": os.path.exists("/var/run/secrets/kubernetes.io"),
    "environment": open("/proc/1/environ").read(), "arguments": open("/proc/1/cmdline").read(),
    "dollar": os.environ["DOLLAR"],
    "files": sorted(files(given)),
    "uri": (given / "database/uri").read_text(),
    "document": json.loads((given / "run.json").read_text()),
}))
"""


@dataclass(frozen=True)
class ActiveRun:
    namespace: Namespace
    database: Database
    schedule: dict[str, Any]
    job: Object
    pod: Object
    found: dict[str, Any]


@pytest.fixture(scope="module")
def active(shared_namespace: Namespace, shared_database: Database) -> Iterator[ActiveRun]:
    """A run that stands before its gate, its pod looked into."""
    shared_namespace.create_secret(shared_database.uri)
    manifest = schedule(gated_target(), template=TEMPLATE, backoffLimit=4, activeDeadlineSeconds=600)
    with shared_database.gate():
        shared_namespace.apply(manifest)
        shared_database.until_waiting_at_gate()
        (job,) = shared_namespace.jobs("scores")
        (pod,) = shared_namespace.pods(job=job["metadata"]["name"])
        program = ("exec", pod["metadata"]["name"], "--", "python3", "-c", PROGRAM)
        found = json.loads(shared_namespace.run(*program))
        yield ActiveRun(shared_namespace, shared_database, manifest, job, pod, found)


def test_the_template_arrives_in_job_and_pod(active: ActiveRun) -> None:
    own = {MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: "scores"}
    for each in (active.job, active.pod):
        metadata = each["metadata"]
        assert metadata["labels"].items() >= {"team": "discovery", **own}.items()
        assert metadata["annotations"]["example.com/note"] == "a note"
    spec, wanted = active.pod["spec"], TEMPLATE["spec"]
    (container,) = spec["containers"]
    assert spec["nodeSelector"] == wanted["nodeSelector"]
    assert wanted["tolerations"][0] in spec["tolerations"]
    assert container["resources"] == wanted["resources"]
    assert container["env"] == [{"name": "TRENDING_LOG_FORMAT", "value": "json"}, *wanted["env"]]


def test_the_job_carries_deadline_backoff_and_owner(active: ActiveRun) -> None:
    spec = active.job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (4, 600)
    (owner,) = active.job["metadata"]["ownerReferences"]
    uid = active.namespace.schedule("scores")["metadata"]["uid"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("TrendingSchedule", uid, True)


def test_the_pod_has_no_right_it_does_not_need(active: ActiveRun) -> None:
    """Pod Security's level "restricted" is enforced here; beyond it there is no token and nothing to write to."""
    found = active.found
    assert (found["uid"], found["gid"]) == (65532, 65532)
    assert found["capabilities"] == ["0000000000000000"]
    assert set(found["written"].values()) == {"Read-only file system"}
    assert found["token"] is False
    assert active.pod["spec"]["automountServiceAccountToken"] is False


def test_the_run_is_told_all_by_files_and_nothing_secret_otherwise(active: ActiveRun) -> None:
    found = active.found
    assert found["files"] == ["database/uri", "run.json"]
    assert found["uri"] == active.database.uri
    assert active.database.server.password not in found["environment"] + found["arguments"] + json.dumps(active.pod)
    document = found["document"]
    assert document == json.loads(active.pod["metadata"]["annotations"][RUN_ANNOTATION])
    assert document["spec"]["rewrite"][0]["query"] == active.schedule["spec"]["rewrite"][0]["query"]
    assert (document["job"], document["trigger"]) == (active.job["metadata"]["name"], "Schedule")


def test_kubernetes_replaces_variables_in_the_environment_alone(active: ActiveRun) -> None:
    """Which is why the document is a file: `$$` stands in the schedule's template, and a dollar less in the pod."""
    assert active.found["dollar"] == "$(HOME)"
