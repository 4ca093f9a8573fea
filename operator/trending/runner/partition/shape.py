"""Which partitions a table is to have: a tree with one column a level, every value a branch of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Final

from trending.runner.failure import ConfigurationError
from trending.runner.partition import names

MOST_PARTITIONS: Final = 1000
"""Planning slows down with every partition; this many are a mistake in the choice of columns."""


class Rest(Enum):
    """The value of a DEFAULT partition."""

    REST = "default"

    def __str__(self) -> str:
        return "DEFAULT"


Value = str | None | Rest
Path = tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A partition: a leaf, or a table partitioned by the next column."""

    path: Path
    """Its values, those of its parents first."""
    name: str
    parent: str
    """The name of the table whose partition it is."""
    by: str | None
    """The column it is itself partitioned by; None for a leaf."""
    rows: int
    """How many rows it is going to have."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The partitions of a table, each after its parent."""

    by: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def leaves(self) -> tuple[Part, ...]:
        """The partitions that hold rows."""
        return tuple(part for part in self.parts if part.by is None)


def paths_of_slice(values: Mapping[str, Sequence[str]], by: Sequence[str]) -> list[Path]:
    """Return the branches that a slice needs, as deep as it names the columns in order."""
    named = []
    for column in by:
        if column not in values:
            break
        named.append(values[column])
    return list(product(*named)) if named else []


def shape(
    table: str, by: Sequence[str], rows: Mapping[Path, int], wanted: Iterable[Path], *, taken: Collection[str]
) -> Shape:
    """Lay the tree out: every path that has rows or that is wanted, and a DEFAULT partition at each level.

    `rows` has full paths. Raises ConfigurationError where there would be too many.
    """
    branches: set[Path] = {()}
    for path in (*rows, *wanted):
        branches.update(path[:depth] for depth in range(1, len(path) + 1))
    rests: set[Path] = {(*path, Rest.REST) for path in branches if len(path) < len(by)}
    everything = sorted((branches | rests) - {()}, key=_order)
    if len(everything) > MOST_PARTITIONS:
        raise ConfigurationError(
            f"{', '.join(by)} have so many values that there would be {len(everything)} partitions; at most "
            f"{MOST_PARTITIONS} are made: choose columns of slices, with few values, by --by"
        )
    called = names.of_partitions(table, {path: [_label(value) for value in path] for path in everything}, taken=taken)
    parts = tuple(
        Part(
            path=path,
            name=called[path],
            parent=called[path[:-1]] if len(path) > 1 else table,
            by=by[len(path)] if len(path) < len(by) and path[-1] is not Rest.REST else None,
            rows=sum(count for full, count in rows.items() if full[: len(path)] == path),
        )
        for path in everything
    )
    return Shape(by=tuple(by), parts=parts)


def _label(value: Value) -> str:
    if value is None:
        return "null"
    return value.value if isinstance(value, Rest) else value


def _order(path: Path) -> list[tuple[int, str]]:
    """Values in order, then NULL, then DEFAULT; a parent before its partitions."""
    return [(1, "") if v is None else (2, "") if isinstance(v, Rest) else (0, v) for v in path]
