"""`kubectl trending plan` and `migrate`: a Job in the cluster that is no run, what it says, and nothing left of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api_server import ApiServer
from tests.unit.kube import job_body
from tests.unit.plugin import call
from tests.unit.test_kubectl_logs import add_pod
from trending.cli.kubectl.plan_log import PlanLog
from trending.runner.planned import PlannedRewrite, RunPlan
from trending.runner.preflight import Finding

PLAN = RunPlan(
    preflight=[Finding(level="error", where="ledger", sentence="there is no schema trending")],
    rewrite=[PlannedRewrite(name="week", due=True, strategy="Merge", rows=3, slice={"time_range": ["week"]})],
)


@pytest.fixture
def made(server: ApiServer) -> list[dict[str, Any]]:
    """The Jobs that a command makes; each ends at once, with what `server.logs` has for its purpose."""
    made: list[dict[str, Any]] = []

    def created(job: dict[str, Any]) -> None:
        made.append(job)
        purpose = job["metadata"]["labels"]["trending.dev/purpose"]
        add_pod(server, job, server.logs[purpose], exitCode=int(server.logs[f"{purpose} exits with"]))
        job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}

    server.created = created
    server.logs |= {
        "plan": f"a warning\n{json.dumps(PLAN.to_json_object())}\n",
        "plan exits with": "2",
        "migrate": "0001_ledger: nothing to do, the ledger is there.\n",
        "migrate exits with": "0",
    }
    run = job_body("hourly-1")
    run["spec"] = {
        "template": {"spec": {"containers": [{"name": "run", "image": "ours:1", "imagePullPolicy": "Never"}]}}
    }
    server.jobs.append(run)
    return made


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def test_a_plan_is_shown_as_by_hand_and_its_exit_code_is_the_pods(
    server: ApiServer, made: list[dict[str, Any]]
) -> None:
    shown = call("plan", "hourly")
    assert shown.exit_code == 2
    assert "✗ ledger: there is no schema trending" in shown.stdout
    assert "rewrite" in shown.stdout
    (job,) = made
    assert server.deleted == [job["metadata"]["name"]]
    assert container_of(job)["args"] == ["plan", "--document", "/etc/trending/run.json", "-o", "json"]
    assert (container_of(job)["image"], container_of(job)["imagePullPolicy"]) == ("ours:1", "Never")


def test_what_may_pass_is_not_told_as_what_has_to_be_corrected(server: ApiServer, made: list[dict[str, Any]]) -> None:
    server.logs["plan exits with"] = "1"
    shown = call("plan", "hourly")
    assert made
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (1, "Try again.")


def test_what_is_waited_for_may_have_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    view = PlanLog()
    with view.shown():
        view.remark("Job x: cannot pull registry/[/image]")


@pytest.mark.usefixtures("made")
def test_programs_get_the_plan_alone() -> None:
    assert json.loads(call("plan", "hourly", "-o", "json").stdout) == PLAN.to_json_object()


@pytest.mark.usefixtures("made")
def test_a_pod_that_says_no_plan_is_quoted(server: ApiServer) -> None:
    server.logs["plan"] = "Traceback\n"
    shown = call("plan", "hourly")
    assert shown.exit_code == 1
    assert shown.stderr.endswith("Error: the pod said no plan: Traceback\n")
    assert len(server.deleted) == 1


def test_a_migration_says_what_it_does_and_may_be_another_roles(server: ApiServer, made: list[dict[str, Any]]) -> None:
    shown = call("migrate", "hourly", "--preset", "audius", "--dry-run", "--secret", "owner")
    assert (shown.exit_code, shown.stdout) == (0, "0001_ledger: nothing to do, the ledger is there.\n")
    (job,) = made
    assert container_of(job)["args"][3:] == ["--preset", "audius", "--dry-run"]
    (volume,) = job["spec"]["template"]["spec"]["volumes"]
    secrets = [source["secret"]["name"] for source in volume["projected"]["sources"] if "secret" in source]
    assert secrets == ["owner"]
    document = json.loads(job["spec"]["template"]["metadata"]["annotations"]["trending.dev/run"])
    assert document["spec"]["database"]["secretKeyRef"] == {"name": "owner", "key": "uri"}
    assert len(server.deleted) == 1


def test_the_image_is_the_controllers_word_where_there_was_no_run(
    server: ApiServer, made: list[dict[str, Any]]
) -> None:
    server.jobs.clear()
    none = call("plan", "hourly")
    assert none.exit_code == 1
    assert "name it with --image" in none.stderr
    env = [{"name": "TRENDING_RUN_IMAGE", "value": "ours:2"}]
    server.deployments.append(
        {
            "metadata": {"namespace": "system", "labels": {"app.kubernetes.io/name": "trending-operator"}},
            "spec": {"template": {"spec": {"containers": [{"name": "controller", "env": env}]}}},
        }
    )
    call("plan", "hourly")
    call("plan", "hourly", "--image", "ours:3")
    assert [container_of(job)["image"] for job in made] == ["ours:2", "ours:3"]
