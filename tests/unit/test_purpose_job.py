"""Jobs of `kubectl trending plan` and `migrate`: as locked down as a run's, and never taken for one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from kubernetes.aio.client import V1Job

from tests.unit.kube import SETTINGS, at, schedule_body
from trending.api.document import RunDocument
from trending.api.names import SCHEDULE_LABEL
from trending.controller.manifests import build_job
from trending.controller.pod_spec import RunImage
from trending.controller.purpose_job import Purpose, build_purpose_job
from trending.controller.store import Key, Store
from trending.schedule.decision import decide
from trending.schedule.job_names import is_manual_name
from trending.schedule.observed import Schedule

IMAGE = RunImage(name=SETTINGS.run_image, pull_policy=SETTINGS.run_image_pull_policy)
PURPOSES: tuple[Purpose, ...] = ("plan", "migrate")
MISLEADING = {"metadata": {"labels": {"team": "x", SCHEDULE_LABEL: "hourly"}}}


def schedule(**spec: Any) -> Schedule:
    return Schedule.from_object(schedule_body(**spec))


def job(purpose: Purpose = "plan", *, arguments: tuple[str, ...] = (), **spec: Any) -> dict[str, Any]:
    return build_purpose_job(schedule(**spec), purpose, IMAGE, at("09:10"), arguments=arguments)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_kubernetes_own_model_knows_every_field(purpose: Purpose) -> None:
    V1Job.model_validate(job(purpose))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_its_pod_is_a_runs_but_for_what_it_does(purpose: Purpose) -> None:
    run = build_job(schedule(), decide(schedule(), [], at("09:00")), at("09:00"), SETTINGS)
    ours, runs = (each["spec"]["template"]["spec"] for each in (job(purpose, arguments=("--preset", "audius")), run))
    assert ours["containers"][0].pop("args") == [purpose, "--document", "/etc/trending/run.json", "--preset", "audius"]
    assert runs["containers"][0].pop("args") == ["run", "--document", "/etc/trending/run.json"]
    assert ours == runs


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_controller_knows_nothing_of_it(purpose: Purpose) -> None:
    """Its list and its watch bring it all Jobs that it manages; what counts is the schedule's label."""
    told: list[Key] = []
    store = Store(changed=told.append)
    made = job(purpose, template=MISLEADING)
    made["metadata"] |= {"uid": "j9", "resourceVersion": "9", "creationTimestamp": "2026-11-23T09:10:00Z"}
    store.put_job(made)
    store.remove_job(made)
    assert (store.jobs(Key("default", "hourly")), told) == ([], [])
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels == {
            "team": "x",
            "app.kubernetes.io/managed-by": "trending-operator",
            "trending.dev/purpose": purpose,
        }
    assert "ownerReferences" not in made["metadata"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_its_name_is_a_label_and_none_that_a_run_could_have(purpose: Purpose) -> None:
    longest = build_purpose_job(
        Schedule.from_object({**schedule_body(), "metadata": {**schedule_body()["metadata"], "name": "h" * 52}}),
        purpose,
        IMAGE,
        at("09:10"),
    )
    for made in (longest, job(purpose)):
        name = made["metadata"]["name"]
        assert len(name) <= 63
        assert re.fullmatch(rf"h\w*-{purpose}-p[0-9a-f]{{7}}", name)
        assert not is_manual_name(name)


def test_it_is_tried_once_and_goes_by_itself() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"], spec["activeDeadlineSeconds"]) == (0, 600, 3600)


def test_it_is_given_the_document_that_a_run_would_have() -> None:
    made = job()
    document = RunDocument.parse(made["spec"]["template"]["metadata"]["annotations"]["trending.dev/run"])
    assert (document.name, document.job) == ("hourly", made["metadata"]["name"])
    assert document.spec == schedule().spec
