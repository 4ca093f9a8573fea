"""The schemas by which kubeconform judges manifests, made from what Kubernetes itself publishes of its API.

kubeconform would fetch them from a site of its own; here they come from the module that the cluster's kubectl is built
from, at the same version. Those of the Prometheus operator's two kinds lie in schemas/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.cluster import gobuild
from tests.cluster.cache import StepCache
from tests.cluster.folders import Folders

Schema = dict[str, Any]

OURS: Final = Path(__file__).parent / "schemas"
LOCATION: Final = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
_REFERENCE: Final = "#/definitions/"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def build_kubeconform() -> Path:
    """Return the program, built from Go modules (20 s) and kept; raises ClusterError."""
    folders = Folders.from_environment()
    return gobuild.build(gobuild.KUBECONFORM, folders, StepCache(folders.steps))


def write_schemas(into: Path) -> None:
    """Write a schema for each kind of Kubernetes' own API, as kubeconform looks for them; raises ClusterError."""
    folders = Folders.from_environment()
    folders.logs.mkdir(parents=True, exist_ok=True)
    kubernetes = gobuild.module_folder(
        replace(gobuild.KUBECTL, package="k8s.io/kubernetes"), folders.logs / "kubernetes-module.log"
    )
    api = json.loads((kubernetes / "api" / "openapi-spec" / "swagger.json").read_text(encoding="utf-8"))
    definitions = {name: _strict(name, schema) for name, schema in api["definitions"].items()}
    for name, schema in api["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            path = into / f"{_file_of(kind['group'], kind['version'], kind['kind'])}.json"
            needed = {each: definitions[each] for each in _needed_by(name, definitions)}
            path.write_text(json.dumps({"$ref": f"{_REFERENCE}{name}", "definitions": needed}), encoding="utf-8")


def _file_of(group: str, version: str, kind: str) -> str:
    """The name by kubeconform's template: deployment-apps-v1, configmap-v1, clusterrole-rbac-v1."""
    return "-".join(part for part in (kind, group.partition(".")[0], version) if part).lower()


def _strict(name: str, schema: Schema) -> Schema:
    """A definition that admits no keys but its own, and what the server reads besides strings."""
    if name == _INT_OR_STRING:
        return {"type": ["integer", "string"]}
    if name == _QUANTITY:
        return {"type": ["number", "string"]}
    if "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema


def _needed_by(name: str, definitions: Mapping[str, Schema]) -> set[str]:
    """The definitions that one refers to, directly or not, itself among them."""
    found, open_ends = {name}, [name]
    while open_ends:
        for reference in _references(definitions[open_ends.pop()]):
            if reference not in found:
                found.add(reference)
                open_ends.append(reference)
    return found


def _references(schema: Schema) -> Iterator[str]:
    yield from re.findall(r'"\$ref": "#/definitions/([^"]+)"', json.dumps(schema))
