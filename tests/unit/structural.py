"""A CRD's structural schema, checked and played with as far as ours goes: no CEL, no numbers' formats."""

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema within a schema, each with its path, such as `.spec.rewrite[].name`."""
    yield path, schema
    for name, value in schema.get("properties", {}).items():
        yield from nodes(value, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def complaints(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """What the API server would say against a value, with the path; a field that the schema does not know included."""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{path}: neither an integer nor a string"
        else:
            yield from _number(schema, value, path) if isinstance(value, int) else _text(schema, value, path)
        return
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {kind}"
        return
    if isinstance(value, int | float):
        yield from _number(schema, value, path)
    if isinstance(value, str):
        yield from _text(schema, value, path)
    if isinstance(value, list | dict):
        yield from _size(schema, value, path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from complaints(schema["items"], item, f"{path}[{index}]")
    if isinstance(value, dict):
        yield from _members(schema, value, path)


def _number(schema: Schema, value: float, path: str) -> Iterator[str]:
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: {value} is out of bounds"


def _text(schema: Schema, value: str, path: str) -> Iterator[str]:
    yield from _size(schema, value, path)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _size(schema: Schema, value: str | list[Any] | dict[str, Any], path: str) -> Iterator[str]:
    word = {str: "Length", list: "Items", dict: "Properties"}[type(value)]
    if not schema.get(f"min{word}", 0) <= len(value) <= schema.get(f"max{word}", len(value)):
        yield f"{path}: its size {len(value)} is out of bounds"


def _members(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name}: required"
    for name, member in value.items():
        known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if known is None:
            yield f"{path}.{name}: unknown field"
        else:
            yield from complaints(known, member, f"{path}.{name}")


def values(schema: Schema, given: dict[str, st.SearchStrategy[Any]], path: str = "") -> st.SearchStrategy[Any]:
    """Values that the schema accepts; `given` says by path what to take where CEL has a word in it."""
    if path in given:
        return given[path]
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(schema["minimum"], 10), _scalars({"type": "string", "pattern": schema["pattern"]}))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return _objects(schema, given, path)
    if kind == "array":
        unique = schema.get("x-kubernetes-list-type")
        keys = schema.get("x-kubernetes-list-map-keys", [])
        return st.lists(
            values(schema["items"], given, f"{path}[]"),
            min_size=schema.get("minItems", 0),
            max_size=min(3, schema.get("maxItems", 3)),
            unique_by=(lambda item: tuple(item[key] for key in keys) if keys else str(item)) if unique else None,
        )
    return _scalars(schema)


def _scalars(schema: Schema) -> st.SearchStrategy[Any]:
    kind = schema["type"]
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1))
    if kind == "number":
        return st.floats(allow_nan=False, allow_infinity=False)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=True).filter(
            lambda text: len(text) <= schema.get("maxLength", len(text))
        )
    text = st.characters(exclude_categories=["Cs"])
    longest = schema.get("maxLength", 10)
    return st.one_of(
        st.text(text, min_size=schema.get("minLength", 0), max_size=min(5, longest)), st.just("ü" * min(longest, 300))
    )


def _objects(schema: Schema, given: dict[str, st.SearchStrategy[Any]], path: str) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(
            given.get(f"{path}.*", st.text(st.characters(codec="ascii"), min_size=1, max_size=8)),
            values(schema["additionalProperties"], given, f"{path}{{}}"),
            max_size=min(2, schema.get("maxProperties", 2)),
        )
    members = {name: values(value, given, f"{path}.{name}") for name, value in schema.get("properties", {}).items()}
    required = set(schema.get("required", []))
    return st.fixed_dictionaries(
        {name: value for name, value in members.items() if name in required},
        optional={name: value for name, value in members.items() if name not in required},
    )
