"""The CustomResourceDefinition, made from the models."""

from collections.abc import Iterator
from typing import Any, Final

from trending.api import refused
from trending.api.model import ApiModel, rules
from trending.api.names import GROUP, KIND, PLURAL, SINGULAR, VERSION
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import TrendingScheduleStatus

_CONDITION: Final = '.status.conditions[?(@.type=="{}")].status'

_COLUMNS: Final = (
    ("Schedule", "string", ".spec.schedule", 0),
    ("Suspend", "boolean", ".spec.suspend", 0),
    ("Active", "integer", ".status.activeCount", 0),
    ("Fresh", "string", _CONDITION.format("Fresh"), 0),
    ("Data-Age", "date", ".status.dataTimestamp", 0),
    ("Last-Run", "date", ".status.lastRun.completionTime", 0),
    ("Result", "string", ".status.lastRun.result", 0),
    ("Next", "string", ".status.nextScheduleTime", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Duration", "string", ".status.lastRun.duration", 1),
    ("Rows", "integer", ".status.lastRun.rowsChanged", 1),
    ("Strategy", "string", ".status.lastRun.strategies", 1),
    ("Failures", "integer", ".status.consecutiveFailures", 1),
)
"""Name, type, JSONPath and priority; those of priority 1 are shown by `-o wide` alone."""


def build_crd() -> dict[str, Any]:
    """Return the CRD as a dict in the order in which it reads best."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": ["ts"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(_printer_columns()),
                    "schema": {"openAPIV3Schema": _root_schema()},
                }
            ],
        },
    }


def _printer_columns() -> Iterator[dict[str, Any]]:
    for name, kind, path, priority in _COLUMNS:
        column = {"name": name, "type": kind, "jsonPath": path}
        yield {**column, "priority": priority} if priority else column


def _root_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "TrendingSchedule refreshes materialized views and rewrites ranking tables in PostgreSQL on a "
        "schedule: one Job a run.",
        "required": ["spec"],
        **rules(refused.LONG_NAME),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(TrendingScheduleSpec),
            "status": structural_schema(TrendingScheduleStatus),
        },
    }


def structural_schema(model: type[ApiModel]) -> dict[str, Any]:
    """Return a model's schema as a CRD wants it: no references, no titles, no null, nothing closed by hand."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    return _structural(schema, definitions)


def _structural(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _inlined(schema, definitions)
    result = {
        key: value for key, value in schema.items() if key not in _LEFT_OUT and not (key == "default" and value is None)
    }
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _structural(result[key], definitions)
        elif key in result:
            del result[key]
    if "properties" in result:
        result["properties"] = {name: _structural(value, definitions) for name, value in result["properties"].items()}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    return result


_LEFT_OUT: Final = frozenset({"title", "$ref", "const"})


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Replace a reference by what it names, and `X or null` by X: an absent field is how Kubernetes says null."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _inlined({**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1 and "anyOf" in schema:
        return _inlined({**choices[0], **{k: v for k, v in schema.items() if k != "anyOf"}}, definitions)
    return schema
