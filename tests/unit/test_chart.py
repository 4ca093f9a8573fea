"""The chart's files, as far as no Helm is needed to read them."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_test
import pytest
import yaml
from prometheus_client.metrics_core import Metric

from tools import chart_values
from tools.chart_values import Value
from trending.api.spec import TrendingScheduleSpec
from trending.controller.metrics import Metrics
from trending.controller.store import Store

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "trending-operator"
TEMPLATES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").rglob("*.*")))
VALUES = chart_values.read_values((CHART / "values.yaml").read_text(encoding="utf-8"))


def leaves(values: tuple[Value, ...]) -> Iterator[str]:
    """The values that a user sets: a mapping that is empty or a pod's own (resources) is one of them."""
    for value in values:
        if value.group:
            yield from leaves(value.group)
        else:
            yield value.path


def test_the_charts_versions_are_the_packages() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_chart_refuses_kubernetes_before_1_31() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["kubeVersion"] == ">=1.31.0-0"


def test_every_value_is_used_and_every_used_value_has_a_default() -> None:
    templates = TEMPLATES.replace("$own.", ".Values.image.").replace("$run.", ".Values.runs.image.")
    used = {name.rstrip(".") for name in re.findall(r"\.Values\.([\w.]+)", templates)}
    assert used - {"image", "runs.image"} == set(leaves(VALUES))


def test_the_schema_and_the_table_of_values_are_what_values_yaml_says() -> None:
    readme = chart_values.README.read_text(encoding="utf-8")
    assert chart_values.fill_readme(readme, VALUES) == readme, "README.md is out of date: run `make manifests`"
    written = chart_values.SCHEMA.read_text(encoding="utf-8")
    assert chart_values.build_schema(VALUES) == written, "values.schema.json is out of date: run `make manifests`"


def test_a_value_without_a_comment_is_told_by_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 4: no comment above says what image\.tag is for"):
        chart_values.read_values('# An image.\nimage:\n\n  tag: ""\n')


def test_the_schema_admits_no_key_that_there_is_not() -> None:
    def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if schema.get("type") == "object" and schema.get("properties"):
            yield schema
        for each in (*schema.get("properties", {}).values(), schema.get("items")):
            yield from objects(each) if each else ()

    found = list(objects(json.loads(chart_values.build_schema(VALUES))))
    assert len(found) > 10
    assert [each for each in found if each["additionalProperties"] is not False] == []


def test_the_controller_may_read_no_secret_and_grant_itself_nothing() -> None:
    role = re.sub(r"(?m)^\s*#.*$", "", (CHART / "templates" / "rbac.yaml").read_text(encoding="utf-8"))
    for word in ("secrets", "*", "pods/log", "pods/exec", "roles]", "escalate", "impersonate", "serviceaccounts"):
        assert word not in role


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    metrics = Metrics(Store(changed=lambda _: None), decides=lambda: True)
    known = {sample for family in metrics.registry.collect() for sample in samples_of(family)}
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
    asked = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    names = {name for expression in asked for name in re.findall(r"\b(?:trending|process)_\w+", expression)}
    assert len(names) > 12
    assert names <= known


def samples_of(family: Metric) -> list[str]:
    """The names under which a family is asked for."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    return [f"{family.name}{ending}" for ending in endings]


def test_the_schedule_of_helm_test_is_valid_and_runs_only_where_there_is_a_database() -> None:
    with_database, without = (helm_test.manifest("tested", secret=secret, key="uri")["spec"] for secret in ("db", ""))
    assert [TrendingScheduleSpec.model_validate(spec).immediate for spec in (with_database, without)] == [True, False]
    assert [spec["suspend"] for spec in (with_database, without)] == [False, True]


def test_the_run_of_helm_test_pulls_its_image_as_the_controller_does() -> None:
    spec = helm_test.manifest("tested", secret="db", key="uri", pull_secrets=[{"name": "registry"}])["spec"]
    pod = TrendingScheduleSpec.model_validate(spec).template
    assert pod is not None
    assert pod.to_json_object() == {"spec": {"imagePullSecrets": [{"name": "registry"}]}}


class Told(helm_test.ApiServer):
    """An API server that tells one status for ever."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def status(self, name: str) -> dict[str, Any]:
        assert name == "tested"
        return self._status


def test_helm_test_says_why_a_schedule_is_not_accepted() -> None:
    refused = Told({"conditions": [{"type": "Accepted", "status": "False", "message": "there is no such zone"}]})
    with pytest.raises(helm_test.TestFailedError, match="tested was not accepted: there is no such zone"):
        helm_test.wait_until_accepted(refused, "tested")


def test_helm_test_says_why_a_run_has_failed_or_does_not_end() -> None:
    failed = Told({"lastRun": {"result": "Failed", "message": "there is no ledger"}})
    with pytest.raises(helm_test.TestFailedError, match="the run ended as Failed: there is no ledger"):
        helm_test.wait_until_run(failed, "tested", seconds=0)
    waiting = Told({"conditions": [{"type": "Progressing", "status": "True", "message": "Its pod has no node."}]})
    with pytest.raises(helm_test.TestFailedError, match=r"did not come about within 0 s\. Its pod has no node\."):
        helm_test.wait_until_run(waiting, "tested", seconds=0)
