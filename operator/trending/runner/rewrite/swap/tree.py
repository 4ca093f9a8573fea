"""A partitioned table as a tree, and which of its leaves hold a slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.runner.failure import RunError
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]

_LIST_BEFORE: Final = "FOR VALUES IN ("
_LIST_AFTER: Final = ")"

_NODES: Final = """
    WITH RECURSIVE tree (oid, parent, is_pending, depth) AS (
        SELECT %s::oid, NULL::oid, false, 0
        UNION ALL
        SELECT i.inhrelid, i.inhparent, i.inhdetachpending, tree.depth + 1
        FROM tree JOIN pg_inherits AS i ON i.inhparent = tree.oid
    )
    SELECT tree.oid, tree.parent, tree.is_pending, tree.depth, n.nspname AS schema, c.relname AS name,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
        c.relkind::text AS kind, p.partstrat::text AS strategy,
        (SELECT array_agg(a.attname::text ORDER BY k.position)
            FROM unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (number, position)
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number) AS columns,
        p.partexprs IS NOT NULL AS has_expressions,
        pg_get_expr(c.relpartbound, 0) AS bound -- not c.oid: it is null for a table that was dropped meanwhile
    FROM tree JOIN pg_class AS c ON c.oid = tree.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_partitioned_table AS p ON p.partrelid = tree.oid
    ORDER BY tree.depth, n.nspname, c.relname
"""


@dataclass(frozen=True)
class Obstacle:
    """Why a slice cannot be swapped."""

    sentence: str


@dataclass(frozen=True, kw_only=True)
class Node:
    """A table of the tree: the root, a partitioned partition, or a leaf."""

    oid: int
    parent: int | None
    is_pending: bool
    """A DETACH CONCURRENTLY of it has begun and not ended."""
    depth: int
    schema: str
    name: str
    qualified: str
    kind: str
    """pg_class.relkind: p is partitioned, r a table, f a foreign one."""
    strategy: str | None
    """How it is partitioned: l(ist), r(ange), h(ash)."""
    columns: tuple[str, ...] | list[str] | None
    """The columns by which it is partitioned, expressions left out."""
    has_expressions: bool
    bound: str | None
    """Its values, as ATTACH PARTITION takes them."""

    @property
    def identifier(self) -> sql.Identifier:
        """The table's name for SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def is_default(self) -> bool:
        """Whether it takes what no other partition takes."""
        return self.bound == "DEFAULT"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The leaves that hold exactly a slice, and what lies above them."""

    leaves: tuple[Node, ...]
    above: tuple[Node, ...]
    """The root and the partitioned tables on the way to the leaves, from the root down."""
    columns: tuple[str, ...]
    """The columns by which those are partitioned."""
    defaults: tuple[Node, ...]
    """DEFAULT partitions beside the leaves that are none of the slice's."""


class ChangedError(RunError):
    """The partitions are not what they were when they were looked up, or new ones built: begin again."""


class _NoWay(Exception):  # noqa: N818 (it never leaves this module)
    """The slice is not whole partitions."""


def descend(connection: Connection, slice_: Slice) -> Found | Obstacle:
    """Find the leaves that hold exactly the slice, from the catalog alone."""
    nodes = connection.cursor(row_factory=class_row(Node)).execute(_NODES, [slice_.table.oid]).fetchall()
    if not nodes:
        raise RunError(f"table {slice_.table.qualified} was dropped while the run was at work")
    root = nodes[0]
    if root.strategy is None:
        return Obstacle(f"{root.qualified} is not partitioned (`trending partition` makes it so)")
    children: dict[int, list[Node]] = {}
    for node in nodes[1:]:
        children.setdefault(node.parent or 0, []).append(node)
    try:
        return _Descent(connection, slice_, children).from_root(root)
    except _NoWay as no_way:
        return Obstacle(str(no_way))


class _Descent:
    def __init__(self, connection: Connection, slice_: Slice, children: Mapping[int, list[Node]]) -> None:
        self._connection = connection
        self._slice = slice_
        self._children = children
        self._leaves: list[Node] = []
        self._above: list[Node] = []
        self._defaults: list[Node] = []

    def from_root(self, root: Node) -> Found:
        self._visit(root, frozenset())
        if not self._leaves:
            raise _NoWay(f"no partition of {root.qualified} holds the slice")
        above = sorted(self._above, key=lambda node: (node.depth, node.schema, node.name))
        columns = tuple(dict.fromkeys(name for node in above for name in node.columns or ()))
        return Found(leaves=tuple(self._leaves), above=tuple(above), columns=columns, defaults=tuple(self._defaults))

    def _visit(self, node: Node, settled: frozenset[str]) -> None:
        """Descend; `settled` are the slice's columns of which all rows below have the slice's values."""
        if node.strategy is None:
            left = [name for name in self._slice.values if name not in settled]
            if left:
                raise _NoWay(
                    f"{node.qualified} is not divided by {', '.join(left)}, so that it holds rows of other slices too"
                )
            self._leaves.append(node)
            return
        if node.has_expressions:
            raise _NoWay(f"{node.qualified} is partitioned by an expression")
        self._above.append(node)
        children, columns = self._children.get(node.oid, []), node.columns or ()
        for child in children:
            if child.is_pending:
                raise _NoWay(f"{child.qualified} is being detached: end that with ALTER TABLE .. DETACH .. FINALIZE")
        if node.strategy == "l" and columns[0] in self._slice.values and columns[0] not in settled:
            children, settled = self._of_slice(node, children, columns[0]), settled | {columns[0]}
        for child in children:
            self._visit(child, settled)

    def _of_slice(self, node: Node, children: Iterable[Node], column: str) -> list[Node]:
        wanted, covered = set(self._slice.values[column]), set[str | None]()
        found: list[Node] = []
        for child in children:
            if child.is_default:
                self._defaults.append(child)
                continue
            values = self._values(child, column)
            if not values & wanted:
                continue
            if others := values - wanted:
                shown = ", ".join("NULL" if value is None else repr(value) for value in sorted(others, key=str))
                raise _NoWay(f"{child.qualified} also holds rows whose {column} is {shown}, outside the slice")
            covered |= values
            found.append(child)
        if missing := ", ".join(sorted(wanted - covered)):
            raise _NoWay(f"{node.qualified} has no partition of its own for {column} {missing}")
        return found

    def _values(self, child: Node, column: str) -> set[str | None]:
        """Have the server read the list that it has written itself, and give it back in the slice's canonical form."""
        bound = child.bound or ""
        if not (bound.startswith(_LIST_BEFORE) and bound.endswith(_LIST_AFTER)):
            raise _NoWay(f"the bound of {child.qualified} cannot be read: {bound}")
        of_type = self._slice.table.columns[column]
        query = sql.SQL("SELECT {text} FROM unnest(ARRAY[{values}]::{type}[]) AS v").format(
            text=of_type.canonical(sql.Identifier("v")),
            type=of_type.type,
            values=sql.SQL(bound[len(_LIST_BEFORE) : -len(_LIST_AFTER)]),
        )
        return {text for (text,) in self._connection.execute(query)}
