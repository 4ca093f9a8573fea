"""What is accepted at `kubectl apply`, up to the largest schedule there may be, and what `kubectl explain` says."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.e2e.controllers import Controller
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import preset_target, query_target, schedule
from trending.api.document import MAX_DOCUMENT_BYTES
from trending.api.spec import MAX_QUERY_LENGTH, MAX_REFRESHES, MAX_SLICE_COLUMNS, MAX_SLICE_VALUES, MAX_TARGETS
from trending.controller.manifests import run_document
from trending.schedule.observed import Schedule

EVERY_FIELD: Final = schedule(
    preset_target("weekly", "week", "month") | {"strategy": "Merge"},
    query_target(board="own") | {"key": ["item"], "strategy": "DeleteInsert"},
    query_target(board="all") | {"slice": {}, "strategy": "Auto"},
    schedule="*/15 8-18/2 ? JAN-jun Mon-5,,+0",
    timeZone="Europe/Berlin",
    suspend=True,
    immediate=False,
    concurrencyPolicy="Replace",
    startingDeadlineSeconds=900,
    spread="14m59s",
    minInterval="0s",
    staleAfter="1h30m",
    successfulJobsHistoryLimit=0,
    failedJobsHistoryLimit=0,
    database={
        "secretKeyRef": {"name": "db", "key": "uri"},
        "caSecretKeyRef": {"name": "ca", "key": "ca.crt"},
        "clientCertSecretName": "client",
        "settings": {"work_mem": "64MB", "jit": "off"},
    },
    refresh=[
        {"materializedView": "trending_params", "mode": "Concurrently"},
        {"materializedView": 'analytics."Hot Posts"', "mode": "Blocking"},
        {"materializedView": "aggregate_interval_plays", "mode": "Auto"},
    ],
    template={
        "metadata": {"labels": {"team": "discovery"}, "annotations": {"note": "ours"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
                    ]
                }
            },
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "priorityClassName": "low",
            "imagePullSecrets": [{"name": "registry"}],
            "resources": {"requests": {"cpu": 1, "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
            "env": [{"name": "PGAPPNAME", "value": "x"}],
        },
    },
    backoffLimit=0,
    activeDeadlineSeconds=120,
)

EXPLAINED: Final = (
    *("spec", "spec.database", "spec.database.secretKeyRef", "spec.refresh", "spec.rewrite", "spec.rewrite.preset"),
    *("spec.template", "spec.template.metadata", "spec.template.spec", "spec.template.spec.resources"),
    *("status", "status.active", "status.conditions", "status.lastRun", "status.lastRun.steps", "status.targets"),
)


def test_a_schedule_with_every_field_is_accepted(controller: Controller) -> None:
    printed = controller.kubectl.run("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(EVERY_FIELD))
    assert "created (server dry run)" in printed


@pytest.mark.parametrize(
    "expression",
    [
        *("@hourly", "@midnight", "@every 1m", "@every 90m", "@every 1.5h", "@every 36h30m"),
        *("  0  0 1,15 * SUN ", "+5,,10-20/3 */100 ? jan-MAR,12 Mon-5/2", "59 23 31 12 6", "007 * * * *"),
    ],
)
def test_a_schedule_that_robfig_reads_is_accepted(controller: Controller, expression: str) -> None:
    manifest = schedule(preset_target("t", "week"), schedule=expression)
    controller.kubectl.run("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(manifest))


@pytest.mark.parametrize("path", EXPLAINED)
def test_kubectl_explain_tells_each_field(controller: Controller, path: str) -> None:
    explained = controller.kubectl.run("explain", f"trendingschedule.{path}")
    fields = explained.partition("FIELDS:")[2]
    assert fields.count("\t<") >= 2, explained
    assert "<no description>" not in fields


def test_kubectl_knows_the_short_name_and_the_category(namespace: Namespace) -> None:
    namespace.apply(schedule(query_target(), suspend=True))
    assert namespace.run("get", "ts", "--output=name") == "trendingschedule.trending.dev/scores\n"
    assert "trendingschedule.trending.dev/scores" in namespace.run("get", "all", "--output=name")


def test_the_largest_schedule_is_accepted_and_its_run_reads_it(namespace: Namespace) -> None:
    """All limits of the schema at once, and queries that fill the run document to the last KiB."""
    namespace.apply(of_document_size(MAX_DOCUMENT_BYTES, namespace))
    status = namespace.until_run_ended("scores")
    assert condition_of(status, "Accepted")["status"] == "True"
    # There is no Secret: the run got so far as to look for the one that its document names.
    assert "Secret db with key uri does not exist" in status["lastRun"]["message"]


def test_a_schedule_too_large_for_a_run_document_is_told_so_and_starts_nothing(namespace: Namespace) -> None:
    namespace.apply(of_document_size(MAX_DOCUMENT_BYTES + MAX_TARGETS, namespace))
    accepted = namespace.until_status("scores", lambda status: condition_of(status, "Accepted"), what="it is judged")
    assert (accepted["status"], accepted["reason"]) == ("False", "SpecTooLarge")
    assert "shorten the queries" in accepted["message"]
    assert namespace.until_event("scores", "SpecTooLarge")["message"] == accepted["message"]
    assert namespace.jobs("scores") == []


def of_document_size(size: int, namespace: Namespace) -> dict[str, Any]:
    """Return a schedule at the schema's limits whose run document has `size` bytes, or up to 23 fewer."""
    columns = [f"column{number}" for number in range(MAX_SLICE_COLUMNS)]
    values = [str(number) for number in range(MAX_SLICE_VALUES)]
    views = [{"materializedView": f"{number:03}{'v' * 253}"} for number in range(MAX_REFRESHES)]

    def manifest(query_length: int) -> dict[str, Any]:
        targets = [
            {
                "name": f"{number:03}" + "n" * 60,
                "table": f"table{number}",
                "slice": {column: values if column == columns[0] else ["x"] for column in columns},
                "query": "q" * query_length,
            }
            for number in range(MAX_TARGETS)
        ]
        return schedule(*targets, refresh=views, backoffLimit=0)

    length = 1 + (size - document_size(manifest(1), namespace)) // MAX_TARGETS
    assert 0 < length <= MAX_QUERY_LENGTH
    return manifest(length)


def document_size(manifest: dict[str, Any], namespace: Namespace) -> int:
    """Return how many bytes the run document would have, with the defaults that the API server fills in."""
    filled_in = namespace.run("apply", "--dry-run=server", "--filename=-", "--output=json", stdin=json.dumps(manifest))
    observed = Schedule.from_object(json.loads(filled_in))
    job, now = f"{observed.name}-m12345678", observed.created
    return len(run_document(observed, job=job, trigger="Schedule", scheduled_time=now, now=now).encode())
