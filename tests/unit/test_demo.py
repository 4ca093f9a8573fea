"""The demo's decisions that need no cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import ledger, postgres, runs
from demo.__main__ import HOW_TO_GO_ON
from demo.errors import DemoError
from demo.examples import EXAMPLES, example_names

DEMO = Path(postgres.__file__).parent


def schedule(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "hourly", "namespace": "discovery"}, "status": status}


def last_run(job: str, result: str, message: str = "") -> dict[str, str]:
    return {"job": job, "result": result, "message": message}


def test_a_schedule_without_a_finished_run_is_waited_for() -> None:
    assert not runs.has_succeeded({"metadata": {"name": "hourly"}})
    assert not runs.has_succeeded(schedule(activeCount=1))


def test_a_run_that_succeeded_counts_unless_it_is_the_one_before() -> None:
    status = schedule(lastRun=last_run("hourly-1", "Succeeded"))
    assert runs.has_succeeded(status)
    assert not runs.has_succeeded(status, after="hourly-1")


def test_a_failed_run_is_told_with_its_own_sentence_and_the_command_that_shows_more() -> None:
    status = schedule(activeCount=0, lastRun=last_run("hourly-1", "Failed", "the role may not refresh the view"))
    with pytest.raises(DemoError, match="the role may not refresh the view") as error:
        runs.has_succeeded(status)
    assert error.value.look == "kubectl -n discovery logs job/hourly-1"


def test_a_failed_run_is_waited_on_while_another_one_is_active() -> None:
    assert not runs.has_succeeded(schedule(activeCount=1, lastRun=last_run("hourly-1", "Failed")))


def test_a_refused_schedule_is_told_at_once() -> None:
    conditions = [{"type": "Accepted", "status": "False", "message": "there is no zone Mars/Base"}]
    with pytest.raises(DemoError, match="there is no zone Mars/Base"):
        runs.has_succeeded(schedule(conditions=conditions))


def test_a_secret_has_the_keys_of_a_cloudnativepg_app_secret_and_a_uri_that_parses() -> None:
    data = postgres.build_secret("a/b@c%", host="postgres.discovery.svc")["stringData"]
    assert set(data) == {"username", "password", "host", "port", "dbname", "uri"}
    assert data["uri"] == "postgresql://discovery:a%2Fb%40c%25@postgres.discovery.svc:5432/discovery"


def test_the_two_migrations_differ_in_their_arguments_alone() -> None:
    plain, audius = ledger.build_job(), ledger.build_job(preset="audius")
    assert audius["spec"]["template"]["spec"]["containers"][0].pop("args") == ["migrate", "--preset", "audius"]
    assert plain["spec"]["template"]["spec"]["containers"][0].pop("args") == ["migrate"]
    assert plain == audius


def test_no_uri_stands_in_an_argument_of_a_migration() -> None:
    container = ledger.build_job(secret="other")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [
        {"name": "TRENDING_DATABASE_URI", "valueFrom": {"secretKeyRef": {"name": "other", "key": "uri"}}}
    ]
    assert "$(" not in str(container["args"])


def test_postgres_and_migrations_are_within_pod_security_restricted() -> None:
    server = list(yaml.safe_load_all((DEMO / "postgres.yaml").read_text(encoding="utf-8")))
    pods = [document["spec"]["template"]["spec"] for document in server if document["kind"] == "StatefulSet"]
    pods += [ledger.build_job(preset=preset)["spec"]["template"]["spec"] for preset in ledger.MANIFESTS]
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_demo_waits_for_every_example() -> None:
    assert example_names(EXAMPLES) == ["hourly", "more", "genres"]


def test_how_to_go_on_names_files_that_there_are() -> None:
    words = HOW_TO_GO_ON.read_text(encoding="utf-8").split()
    for word in words:
        if word.startswith("demo/"):
            assert (DEMO.parent / word).is_file()
