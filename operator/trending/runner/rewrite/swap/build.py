"""Building: new tables like the old partitions, with the stage's rows, indexed, granted, vacuumed, nobody's yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import BadDataError
from trending.runner.phase import phase
from trending.runner.rewrite.strategy import Destination
from trending.runner.rewrite.swap.fill import fill, unfillable
from trending.runner.rewrite.swap.furnish import Rename, furnish, grant, options
from trending.runner.rewrite.swap.leftovers import drop_if_built
from trending.runner.rewrite.swap.names import BOUND, comment_on, table_name
from trending.runner.rewrite.swap.older import OpenTransaction, open_transactions
from trending.runner.rewrite.swap.partitions import Leaf, Partitions
from trending.runner.rewrite.swap.tree import ChangedError, Obstacle
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

# Statistics, indexes and identity come otherwise: by name, by definition, from the parent.
_CREATE: Final = sql.SQL("""
    CREATE TABLE {new} (
        LIKE {old} INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY, CONSTRAINT {bound} CHECK ({constraint})
    ){method} WITH ({options}){tablespace}
""")


class ObstacleError(Exception):
    """The stage cannot be swapped in: another strategy has to be taken. Nothing is left behind."""

    def __init__(self, obstacle: Obstacle) -> None:
        """`obstacle` says why."""
        super().__init__(obstacle.sentence)
        self.obstacle = obstacle


@dataclass(frozen=True, kw_only=True)
class BuiltLeaf:
    """A table that is to take a partition's place."""

    leaf: Leaf
    oid: int
    schema: str
    name: str
    renames: tuple[Rename, ...]
    """What takes the old names in the exchange."""
    rows: int

    @property
    def identifier(self) -> sql.Identifier:
        """Its name for SQL."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class Built:
    """What was built and committed."""

    partitions: Partitions
    leaves: tuple[BuiltLeaf, ...]
    xid: str
    """The transaction that has built it, as an xid8: only a snapshot in which it has ended shows the rows."""
    older: frozenset[OpenTransaction]
    """The transactions of this database that were open when the build had been committed: they may not see its rows."""
    note: str | None

    @property
    def rows(self) -> int:
        """How many rows the slice is to have."""
        return sum(leaf.rows for leaf in self.leaves)


def build(
    connection: Connection, partitions: Partitions, destination: Destination, source: Stage, *, run_id: str
) -> Built:
    """Build a table for each partition and commit; `connection` is in no transaction, and the stage outlives those.

    All rows are stamped with the data timestamp, changed or not, as DeleteInsert does: every row is written anew, and
    the old stamps would cost a join with the old rows. Columns that the query does not return get their defaults.
    Raises ObstacleError where the stage cannot be swapped in, BadDataError where a row belongs to no partition,
    ChangedError where somebody has dropped what was built, and psycopg.Error, with nothing left behind unless the
    session or the server broke down (see `drop_leftovers`).
    """
    if obstacle := unfillable(partitions, source):
        raise ObstacleError(obstacle)
    with connection.transaction():
        leaves = tuple(
            _build(connection, partitions, leaf, destination, source, run_id, number)
            for number, leaf in enumerate(partitions.leaves)
        )
        rows = sum(leaf.rows for leaf in leaves)
        if rows != source.rows:
            raise BadDataError(
                f"{source.rows - rows} of {source.rows} rows belong to no partition of {destination.table.qualified}: "
                "add the partition, or correct the query; nothing was written"
            )
        xid = _xid(connection)
    with _dropped_on_error(connection, leaves):
        older = open_transactions(connection, xid)
        for leaf in leaves:
            # Not after the exchange: until then the rows would be planned for without figures.
            phase(f"vacuuming {_called(partitions, leaves.index(leaf))}")
            _vacuum(connection, leaf)
    return Built(partitions=partitions, leaves=leaves, xid=xid, older=older, note=_note(partitions, source))


def _build(
    connection: Connection,
    partitions: Partitions,
    leaf: Leaf,
    destination: Destination,
    source: Stage,
    run_id: str,
    number: int,
) -> BuiltLeaf:
    name = table_name(partitions.slice, number)
    new, definition = sql.Identifier(leaf.node.schema, name), leaf.definition
    connection.execute("SET LOCAL default_tablespace = ''")
    connection.execute(
        _CREATE.format(
            new=new,
            old=leaf.identifier,
            bound=sql.Identifier(BOUND),
            constraint=sql.SQL(leaf.constraint),
            method=_clause(" USING {}", definition.access_method),
            options=sql.SQL(", ").join([*options(definition), sql.SQL("autovacuum_enabled = off")]),
            tablespace=_clause(" TABLESPACE {}", definition.tablespace),
        )
    )
    comment = sql.SQL("COMMENT ON TABLE {} IS {}").format(new, comment_on(partitions.slice, run_id))
    connection.execute(comment)
    phase(f"filling {_called(partitions, number)}", rows=source.rows)
    rows = fill(connection, partitions, leaf, new, destination, source)
    renames = furnish(connection, leaf, new, name)
    grant(connection, definition, new)
    oid = connection.execute("SELECT %s::regclass::oid", [new.as_string(connection)]).fetchone()
    return BuiltLeaf(
        leaf=leaf, oid=oid[0] if oid else 0, schema=leaf.node.schema, name=name, renames=renames, rows=rows
    )


def _called(partitions: Partitions, number: int) -> str:
    count = len(partitions.leaves)
    return "the new partition" if count == 1 else f"new partition {number + 1} of {count}"


def _xid(connection: Connection) -> str:
    row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    if row is None:
        raise AssertionError("a SELECT without FROM returned no row")
    return str(row[0])


def _vacuum(connection: Connection, leaf: BuiltLeaf) -> None:
    try:
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(leaf.identifier))
    except psycopg.errors.UndefinedTable:
        # By another run, which may take it for a leftover where this one has lost its locks.
        raise ChangedError(f"{leaf.schema}.{leaf.name} was dropped while it was built") from None


def _clause(text: str, name: str | None) -> sql.Composable:
    return sql.SQL(text).format(sql.Identifier(name)) if name else sql.SQL("")


@contextmanager
def _dropped_on_error(connection: Connection, leaves: tuple[BuiltLeaf, ...]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not connection.closed:
            for leaf in leaves:
                drop_if_built(connection, leaf.oid)
        raise


def _note(partitions: Partitions, source: Stage) -> str | None:
    lacking = [
        column.name
        for column in partitions.slice.table.columns.values()
        if column.name not in source.columns and column.name != source.stamp and not column.is_servers
    ]
    return f"columns that the query does not return have their defaults: {', '.join(lacking)}" if lacking else None
