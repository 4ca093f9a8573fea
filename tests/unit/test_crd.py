"""The CRD is what the API server wants of it, says of each field what it is, and accepts what the models accept."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.structural import complaints, nodes, values
from tests.unit.valid_specs import VALID_SPECS
from trending.api import refused
from trending.api.crd import build_crd, structural_schema
from trending.api.model import Rule
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import TrendingScheduleStatus

CRD = build_crd()
(VERSION,) = CRD["spec"]["versions"]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC, STATUS = ROOT["properties"]["spec"], ROOT["properties"]["status"]
NODES = [(path, node) for path, node in nodes(ROOT) if path]
NUMBERS_AND_SIZES = {f"{end}{word}" for end in ("min", "max") for word in ("Length", "Items", "Properties")}
KNOWN = {
    *("type", "format", "description", "default", "enum", "pattern", "required", "minimum", "maximum"),
    *("properties", "additionalProperties", "items", "anyOf"),
    *NUMBERS_AND_SIZES,
}


def at_path(path: str) -> dict[str, Any]:
    return dict(NODES)[path]


def test_the_resource_has_the_names_that_people_type() -> None:
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == "trendingschedules.trending.dev"
    assert (names["kind"], names["plural"], names["shortNames"], names["categories"]) == (
        "TrendingSchedule",
        "trendingschedules",
        ["ts"],
        ["all"],
    )
    assert (VERSION["name"], VERSION["served"], VERSION["storage"]) == ("v1", True, True)
    assert CRD["spec"]["scope"] == "Namespaced"
    assert VERSION["subresources"] == {"status": {}}


def test_it_is_small_enough_to_be_applied_with_the_copy_that_kubectl_keeps() -> None:
    assert len(json.dumps(CRD)) < 200 * 1024
    assert len(yaml.safe_dump(CRD)) < 200 * 1024


def _faults(path: str, node: dict[str, Any]) -> Iterator[str]:
    """What keeps a node from being structural, as Kubernetes has it."""
    if unknown := {key for key in node if not key.startswith("x-kubernetes-")} - KNOWN:
        yield f"{path}: {unknown} is nothing that a CRD may say"
    if node.get("x-kubernetes-int-or-string"):
        if "type" in node or node["anyOf"] != [{"type": "integer"}, {"type": "string"}]:
            yield f"{path}: type may not stand beside anyOf"
        return
    if node.get("type") not in ("object", "array", "string", "boolean", "integer", "number") or "anyOf" in node:
        yield f"{path}: a type is needed, and none of anyOf"
    if "properties" in node and "additionalProperties" in node:
        yield f"{path}: properties or additionalProperties"
    if node["type"] == "array" and "items" not in node:
        yield f"{path}: items of which type?"
    if "default" in node:
        yield from complaints(node, node["default"], path)


def test_each_node_is_structural() -> None:
    assert [fault for path, node in NODES for fault in _faults(path, node)] == []


def test_kubectl_explain_has_a_sentence_on_each_field() -> None:
    kubernetes_own = (".apiVersion", ".kind", ".metadata")
    described = [(path, node) for path, node in NODES if path not in kubernetes_own and not path.endswith(("[]", "{}"))]
    assert len(described) > 100
    assert [path for path, node in described if not re.fullmatch(r"\S[^\n]*\.", node.get("description", ""))] == []


def test_lists_of_named_things_are_merged_by_name() -> None:
    merged = {p: n["x-kubernetes-list-map-keys"] for p, n in NODES if n.get("x-kubernetes-list-type") == "map"}
    assert merged == {
        ".spec.rewrite": ["name"],
        ".spec.refresh": ["materializedView"],
        ".status.conditions": ["type"],
        ".status.targets": ["name"],
    }
    for path, (key,) in merged.items():
        items = at_path(path)["items"]
        assert key in items["required"]
        assert items["properties"][key]["type"] == "string"


def test_sets_are_of_plain_values() -> None:
    sets = {path: node["items"]["type"] for path, node in NODES if node.get("x-kubernetes-list-type") == "set"}
    assert set(sets.values()) == {"string"}
    assert ".spec.rewrite[].preset.timeRanges" in sets


def test_each_rule_has_a_sentence_that_the_api_server_takes() -> None:
    hung = [rule for _, node in [("", ROOT), *NODES] for rule in node.get("x-kubernetes-validations", [])]
    assert len(hung) > 15
    assert [rule for rule in hung if set(rule) != {"rule", "message"} or not rule["rule"]] == []
    assert [rule for rule in hung if not 20 < len(rule["message"]) <= 2048 or "\n" in rule["message"]] == []


def test_every_rule_hangs_in_the_schema() -> None:
    hung = {rule["rule"] for _, node in [("", ROOT), *NODES] for rule in node.get("x-kubernetes-validations", [])}
    missing = [name for name, rule in vars(refused).items() if isinstance(rule, Rule) and rule.cel not in hung]
    assert missing == []


@pytest.mark.parametrize(
    ("path", "fixed"),
    [
        (".spec.concurrencyPolicy", {"enum", "pattern"}),
        (".spec.rewrite", {"minItems"}),
        (".spec.startingDeadlineSeconds", {"minimum"}),
        (".spec.staleAfter", {"pattern", "minLength"}),
        (".spec.spread", {"pattern", "minLength"}),
        (".spec.minInterval", {"pattern", "minLength"}),
        (".spec.timeZone", {"minLength", "pattern"}),
        (".spec.schedule", {"pattern"}),
        (".spec.database.secretKeyRef.key", {"minLength"}),
    ],
)
def test_where_a_sentence_is_promised_no_fixed_text_of_the_api_server_comes_before_it(
    path: str, fixed: set[str]
) -> None:
    assert not fixed & set(at_path(path))


def test_what_is_told_in_a_sentence_is_not_required_by_the_schema() -> None:
    assert "rewrite" not in SPEC["required"]
    assert at_path(".spec.database.secretKeyRef")["required"] == ["name"]
    assert at_path(".spec.rewrite[]")["required"] == ["name"]


def test_the_schema_requires_what_nobody_can_guess() -> None:
    assert ROOT["required"] == ["spec"]
    assert sorted(SPEC["required"]) == ["database", "schedule"]
    assert at_path(".spec.database")["required"] == ["secretKeyRef"]
    assert sorted(at_path(".spec.rewrite[].preset")["required"]) == ["name", "timeRanges"]


def test_the_defaults_are_those_promised() -> None:
    defaults = {path.removeprefix(".spec."): node["default"] for path, node in NODES if "default" in node}
    assert defaults == {
        "timeZone": "Etc/UTC",
        "suspend": False,
        "immediate": False,
        "concurrencyPolicy": "Forbid",
        "spread": "0s",
        "minInterval": "0s",
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "refresh": [],
        "refresh[].mode": "Auto",
        "rewrite[].strategy": "Auto",
        "rewrite[].preset.persist": "all",
        "rewrite[].allowEmpty": False,
        "rewrite[].maxDeletePercent": 50,
        "database.parallelism": 1,
        "database.maintenance": "Auto",
        "backoffLimit": 2,
        "activeDeadlineSeconds": 3600,
        "template.spec.env[].value": "",
        **{name: default for name, default in defaults.items() if name.startswith(".status")},
        "rewrite": [],
    }


def test_the_limits_are_those_promised() -> None:
    assert (at_path(".spec.refresh")["maxItems"], at_path(".spec.rewrite")["maxItems"]) == (16, 24)
    assert at_path(".spec.rewrite[].name")["maxLength"] == 63
    assert at_path(".spec.rewrite[].query")["maxLength"] == 8192
    slice_ = at_path(".spec.rewrite[].slice")
    assert (slice_["maxProperties"], slice_["additionalProperties"]["maxItems"]) == (8, 64)
    assert slice_["additionalProperties"]["items"]["maxLength"] == 256
    assert at_path(".spec.activeDeadlineSeconds")["minimum"] == 120


@pytest.mark.parametrize("column", VERSION["additionalPrinterColumns"], ids=lambda column: column["name"])
def test_a_column_shows_a_field_of_its_type(column: dict[str, Any]) -> None:
    if column["name"] == "Age":
        assert (column["type"], column["jsonPath"]) == ("date", ".metadata.creationTimestamp")
        return
    path = re.sub(r"\[\?\(@\.type==\"(\w+)\"\)\]", "[]", column["jsonPath"])
    node = at_path(path)
    assert node["type"] == ("string" if column["type"] == "date" else column["type"])
    if column["type"] == "date":
        assert node["format"] == "date-time"


def test_the_columns_are_those_promised_in_their_order() -> None:
    columns = VERSION["additionalPrinterColumns"]
    narrow = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority") == 1]
    assert narrow == ["SCHEDULE", "SUSPEND", "ACTIVE", "FRESH", "DATA-AGE", "LAST-RUN", "RESULT", "NEXT", "AGE"]
    assert wide == ["DURATION", "ROWS", "STRATEGY", "FAILURES"]


@settings(max_examples=50)
@given(VALID_SPECS)
def test_what_the_api_server_accepts_the_controller_can_read(spec: dict[str, Any]) -> None:
    """Else a schedule would be there and never run, and nothing would say so."""
    assert list(complaints(SPEC, spec)) == []
    read = TrendingScheduleSpec.model_validate(spec)
    again = read.to_json_object()
    assert TrendingScheduleSpec.model_validate(again) == read
    assert list(complaints(SPEC, again)) == []


instants = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z")
STATUS_INSTANTS = {f".status{path}": instants for path, node in nodes(STATUS) if node.get("format") == "date-time"}


@given(values(STATUS, STATUS_INSTANTS, ".status"))
def test_every_status_can_be_read_and_is_written_as_the_schema_has_it(status: dict[str, Any]) -> None:
    read = TrendingScheduleStatus.model_validate(status)
    written = read.to_json_object()
    assert list(complaints(STATUS, written)) == []
    assert TrendingScheduleStatus.model_validate(written) == read


def test_a_status_of_a_newer_controller_is_read_without_what_is_new_in_it() -> None:
    read = TrendingScheduleStatus.model_validate({"lastRun": {"job": "j", "result": "Failed", "new": 1}, "new": {}})
    assert read.to_json_object()["lastRun"] == {"job": "j", "result": "Failed", "steps": []}


def test_the_schema_of_a_model_names_no_other() -> None:
    assert "$" not in json.dumps(structural_schema(TrendingScheduleStatus)).replace("$(NAME)", "")
    assert "title" not in structural_schema(TrendingScheduleSpec)
