"""The chart's values.schema.json and the table of values in its README, both made from values.yaml and its comments.

A comment above a value says what it is for. Its lines that begin with "@schema" are JSON Schema in YAML, for what the
default does not tell: which words there are, what a list holds. Whatever has keys admits no others, so that a typo is
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parents[1] / "charts" / "trending-operator"
VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
BEGIN: Final = "<!-- The values, as values.yaml tells of them: `make manifests` writes what follows. -->\n"
END: Final = "<!-- The end of the values. -->\n"
_TYPES: Final = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}
_MARK: Final = "@schema"


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value, or a group of them."""

    path: str
    default: Any
    description: str
    extra: dict[str, Any]
    """What its lines "@schema" say."""
    group: tuple[Value, ...] = field(default=())

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    def schema(self) -> dict[str, Any]:
        """Return what may be given, as JSON Schema."""
        said: dict[str, Any] = {"description": self.description, "type": _TYPES[type(self.default)], **self.extra}
        if self.group:
            return {
                **said,
                "additionalProperties": False,
                "properties": {each.name: each.schema() for each in self.group},
            }
        return {**said, "default": self.default}

    def rows(self) -> Iterator[str]:
        """Yield its row of the table; those of its group, whose own row has no default."""
        default = "" if self.group else f"`{json.dumps(self.default)}`"
        yield f"| `{self.path}` | {default} | {self.description.replace('|', chr(92) + '|')} |\n"
        for each in self.group:
            yield from each.rows()


def read_values(text: str) -> tuple[Value, ...]:
    """Return the values of a values.yaml in their order.

    Raises ValueError, which names the line, where one lacks a comment.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml is not a mapping")
    return tuple(_read_group(root, yaml.safe_load(text), text.splitlines(), ""))


def build_schema(values: tuple[Value, ...]) -> str:
    """Return values.schema.json; Helm itself adds `global` where the chart is part of another one."""
    properties = {each.name: each.schema() for each in values}
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart trending-operator",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **properties,
            "global": {"type": "object", "description": "Helm's own, for charts within charts."},
        },
    }
    return json.dumps(document, indent=2) + "\n"


def fill_readme(readme: str, values: tuple[Value, ...]) -> str:
    """Return the README with the table of values between its marks; raises ValueError where these are missing."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks the mark {(BEGIN if not begin else END).strip()}")
    rows = "".join(row for each in values for row in each.rows())
    return f"{head}{BEGIN}\n| value | default | what it is for |\n| --- | --- | --- |\n{rows}\n{END}{tail}"


def _read_group(node: yaml.MappingNode, defaults: dict[str, Any], lines: list[str], above: str) -> Iterator[Value]:
    for key, value in node.value:
        path, default = f"{above}{key.value}", defaults[key.value]
        description, extra = _read_comment(lines, key.start_mark.line, key.start_mark.column, path)
        is_group = isinstance(value, yaml.MappingNode) and value.value and not extra
        group = tuple(_read_group(value, default, lines, f"{path}.")) if is_group else ()
        yield Value(path=path, default=default, description=description, extra=extra, group=group)


def _read_comment(lines: list[str], number: int, column: int, path: str) -> tuple[str, dict[str, Any]]:
    """Return what the lines above a key say: the words, and the schema."""
    start = " " * column + "# "
    first = number
    while first and lines[first - 1].startswith(start):
        first -= 1
    comment = [line.removeprefix(start) for line in lines[first:number]]
    words = " ".join(line for line in comment if not line.startswith(_MARK))
    if not words:
        raise ValueError(f"values.yaml, line {number + 1}: no comment above says what {path} is for")
    extra: dict[str, Any] = {}
    for line in comment:
        if line.startswith(_MARK):
            extra |= yaml.safe_load(line.removeprefix(_MARK))
    return words, extra


def main() -> None:
    """Write both files anew."""
    values = read_values(VALUES.read_text(encoding="utf-8"))
    SCHEMA.write_text(build_schema(values), encoding="utf-8")
    README.write_text(fill_readme(README.read_text(encoding="utf-8"), values), encoding="utf-8")


if __name__ == "__main__":
    main()
