"""The reference of the resource, from the CRD: each field with its type, default, limits, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from trending.api.crd import build_crd

_INTRODUCTION: Final = """\
# The resource

`TrendingSchedule`, `trending.dev/v1`, short name `ts`. The same sentences are in the cluster: `kubectl explain
trendingschedule.spec.rewrite`. A field with a star is required.

What is refused is refused at `kubectl apply`, with the sentence given here. What only the controller can see (an
unknown time zone or preset, targets that overlap) sets the condition Accepted to False.
"""
_LIMITS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minProperties": "at least {} entries",
    "maxProperties": "at most {} entries",
    "pattern": "has to match `{}`",
}
_KUBERNETES_OWN: Final = "spec.template.spec."
"""Fields below it are a PodSpec's, and told in Kubernetes' own reference."""


def write_resource() -> str:
    """Return the page as Markdown."""
    (version,) = build_crd()["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    lines = [_INTRODUCTION, *_refused(_rules("metadata.name", root))]
    for part in ("spec", "status"):
        lines += _object(part, root["properties"][part])
    lines += _columns(version["additionalPrinterColumns"])
    return "\n".join(lines).rstrip() + "\n"


def _object(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield a section on an object and, after it, one on each object in it."""
    yield f"## {path}\n"
    yield f"{_cell(schema['description'])}\n"
    yield "| field | type | |"
    yield "|---|---|---|"
    required = schema.get("required", [])
    inner: list[tuple[str, dict[str, Any]]] = []
    for name, field in schema["properties"].items():
        below = _inner(f"{path}.{name}", field)
        if below and not below[0].startswith(_KUBERNETES_OWN):
            inner.append(below)
        star = "\\*" if name in required else ""
        yield f"| `{name}`{star} | {_type(field)} | {_told(field, below[0] if below in inner else None)} |"
    yield ""
    yield from _refused(_rules_of(path, schema))
    for below_path, below_schema in inner:
        yield from _object(below_path, below_schema)


def _inner(path: str, field: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the object with fields of its own that a field is, or is a list of."""
    if "properties" in field:
        return path, field
    if "properties" in field.get("items", {}):
        return f"{path}[]", {"description": field["description"], **field["items"]}
    return None


def _type(field: dict[str, Any]) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if field["type"] == "array":
        return f"list of {_plural(_type(field['items']))}"
    if "additionalProperties" in field:
        return f"map to {_plural(_type(field['additionalProperties']))}"
    if field.get("x-kubernetes-validations", [{}])[0].get("message", "").startswith("a duration is"):
        return "duration"
    if field.get("format") == "date-time":
        return "time"
    return str(field["type"])


def _plural(kind: str) -> str:
    """Return `strings`, `lists of strings`, `integers or strings`."""
    first, *rest = kind.split(" ")
    return " ".join([f"{first}s", *(f"{word}s" if word == "string" else word for word in rest)])


def _told(field: dict[str, Any], section: str | None) -> str:
    parts = [_cell(field["description"])]
    if section:
        parts.append(f"See [{section}](#{_anchor(section)}).")
    if "enum" in field:
        parts.append("One of " + ", ".join(f"`{each}`" for each in field["enum"]) + ".")
    if field.get("default") not in (None, "", [], {}):
        parts.append(f"Default: `{_plain(field['default'])}`.")
    if limits := list(_limits(field)):
        told = "; ".join(limits)
        parts.append(f"{told[0].upper()}{told[1:]}.")
    return " ".join(parts)


def _limits(field: dict[str, Any]) -> Iterator[str]:
    """Yield the limits that say something; what a sentence of ours refuses says its own."""
    told = "x-kubernetes-validations" in field
    for key, text in _LIMITS.items():
        if key in field and field[key] not in (0, 1) and not (told and key == "maxLength"):
            yield text.format(_plain(field[key]))


def _rules_of(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rules that hang on an object and on its plain fields."""
    yield from _rules(path, schema)
    for name, field in schema["properties"].items():
        if "properties" not in field:
            yield from _rules(name, field)


def _rules(where: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", []):
        yield where, rule["message"]


def _refused(rules: Iterator[tuple[str, str]]) -> Iterator[str]:
    told = [f"- `{where}`: {_cell(message)}" for where, message in dict.fromkeys(rules)]
    if told:
        yield "Refused, with these words:\n"
        yield "\n".join(told) + "\n"


def _columns(columns: list[dict[str, Any]]) -> Iterator[str]:
    yield "## What `kubectl get` shows\n"
    yield "| column | of | |"
    yield "|---|---|---|"
    for column in columns:
        wide = "with `-o wide`" if column.get("priority") else ""
        yield f"| {column['name'].upper()} | `{column['jsonPath'].lstrip('.')}` | {wide} |"


def _anchor(path: str) -> str:
    """Return the anchor that a heading gets, as mkdocs and the forges make it."""
    return "".join(letter for letter in path.lower() if letter.isalnum())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """Return a sentence that a table's cell and Markdown leave as it is."""
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return text.replace("*", "\\*").replace("_", "\\_") if "`" not in text else text
