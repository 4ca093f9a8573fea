"""Whether a slice can be swapped: it is whole partitions, and nothing hangs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.rewrite.swap.definition import Definition, read_definition
from trending.runner.rewrite.swap.obstacles import find_obstacle
from trending.runner.rewrite.swap.tree import ChangedError, Found, Node, Obstacle, descend
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]

# As rewriteTargetListIU() has it: the column's, else its type's (a domain's as an expression, another's as a text).
_DEFAULTS: Final = """
    SELECT a.attname::text, CASE WHEN a.attidentity = ''
        THEN coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault),
            'NULL')
        ELSE format('nextval(%%L::regclass)', pg_get_serial_sequence(%(table)s, a.attname)) END
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
"""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A partition without partitions of its own."""

    node: Node
    parent: Node
    constraint: str
    """Which rows it takes, as a condition on its columns, those of the tables above it included."""
    definition: Definition

    @property
    def identifier(self) -> sql.Identifier:
        """Its name for SQL."""
        return self.node.identifier

    @property
    def bound(self) -> str:
        """Its values, as ATTACH PARTITION takes them."""
        return self.node.bound or ""


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """The leaves that hold exactly a slice; equal as long as nothing about them has changed but rows."""

    slice: Slice
    found: Found
    leaves: tuple[Leaf, ...]
    defaults: dict[str, str]
    """What the table gives a row that lacks a column, as expressions: what comes through it gets these, NULL included,
    not the partition's own."""

    @property
    def parents(self) -> tuple[Node, ...]:
        """The leaves' parents, from the root down."""
        own = {leaf.parent.oid for leaf in self.leaves}
        return tuple(node for node in self.found.above if node.oid in own)


def find_partitions(connection: Connection, slice_: Slice) -> Partitions | Obstacle:
    """Find the partitions that hold exactly the slice, or why it cannot be swapped. Reads the catalog alone.

    Raises ChangedError where they are changed while they are looked up.
    """
    try:
        return _find(connection, slice_)
    except psycopg.errors.InternalError_ as error:
        # What the server's own functions answer when asked for what has been dropped since the catalog was read.
        said = error.diag.message_primary
        raise ChangedError(f"a partition of {slice_} was dropped while it was looked up ({said})") from None


def _find(connection: Connection, slice_: Slice) -> Partitions | Obstacle:
    found = descend(connection, slice_)
    if isinstance(found, Obstacle):
        return found
    if obstacle := find_obstacle(connection, found):
        return obstacle
    nodes = {node.oid: node for node in found.above}
    leaves = tuple(_leaf(connection, node, nodes) for node in found.leaves)
    for leaf in leaves:
        for index in leaf.definition.indexes:
            if not index.definition.startswith(index.beginning):
                return Obstacle(f"the definition of index {index.name} cannot be read: {index.definition}")
    table = slice_.table
    defaults = connection.execute(_DEFAULTS, {"table": table.qualified, "oid": table.oid}).fetchall()
    return Partitions(slice=slice_, found=found, leaves=leaves, defaults=dict(defaults))


def _leaf(connection: Connection, node: Node, nodes: dict[int, Node]) -> Leaf:
    row = connection.execute("SELECT pg_get_partition_constraintdef(%s)", [node.oid]).fetchone()
    return Leaf(
        node=node,
        parent=nodes[node.parent or 0],
        constraint=(row[0] if row else None) or "true",
        definition=read_definition(connection, node.oid),
    )
