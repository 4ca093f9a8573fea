"""The exchange: the old partitions go, the new ones take their places and names, all under one short lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.patience import lock_timeout
from trending.runner.rewrite.swap.build import Built, BuiltLeaf
from trending.runner.rewrite.swap.furnish import Rename
from trending.runner.rewrite.swap.names import BOUND
from trending.runner.rewrite.swap.partitions import find_partitions
from trending.runner.rewrite.swap.tree import ChangedError, Obstacle

Connection = psycopg.Connection[Any]

_LEAST: Final = 0.001
"""Seconds that a lock is waited for at least: 0 would be for ever."""

# By functions that look at the catalog as it is, whatever the transaction's snapshot.
_SAME: Final = "SELECT to_regclass(%s)::oid = %s AND pg_get_partition_constraintdef(%s) IS NOT DISTINCT FROM %s"
_IS: Final = "SELECT to_regclass(%s)::oid IS NOT DISTINCT FROM %s"

# Which rows the catalog has of these tables: each change of one leaves another row version, VACUUM and ANALYZE do not.
_CATALOG: Final = """
    WITH part (oid) AS MATERIALIZED (SELECT unnest(%s::oid[])),
    own (oid) AS MATERIALIZED (
        SELECT oid FROM part UNION SELECT i.indexrelid FROM part JOIN pg_index AS i ON i.indrelid = part.oid
    )
    SELECT md5(string_agg(version, ' ' ORDER BY version)) FROM (
        SELECT concat('class', c.xmin, c.ctid) FROM own JOIN pg_class AS c USING (oid)
        UNION ALL SELECT concat('attribute', a.xmin, a.ctid) FROM own JOIN pg_attribute AS a ON a.attrelid = own.oid
        UNION ALL SELECT concat('default', d.xmin, d.ctid) FROM part JOIN pg_attrdef AS d ON d.adrelid = part.oid
        UNION ALL SELECT concat('index', i.xmin, i.ctid) FROM part JOIN pg_index AS i ON i.indrelid = part.oid
        UNION ALL SELECT concat('constraint', k.xmin, k.ctid) FROM part
            JOIN pg_constraint AS k ON part.oid IN (k.conrelid, k.confrelid)
        UNION ALL SELECT concat('trigger', t.xmin, t.ctid) FROM part JOIN pg_trigger AS t ON t.tgrelid = part.oid
        UNION ALL SELECT concat('policy', p.xmin, p.ctid) FROM part JOIN pg_policy AS p ON p.polrelid = part.oid
        UNION ALL SELECT concat('rule', r.xmin, r.ctid) FROM part JOIN pg_rewrite AS r ON r.ev_class = part.oid
        UNION ALL SELECT concat('statistics', s.xmin, s.ctid) FROM part
            JOIN pg_statistic_ext AS s ON s.stxrelid = part.oid
        UNION ALL SELECT concat('publication', b.xmin, b.ctid) FROM part
            JOIN pg_publication_rel AS b ON b.prrelid = part.oid
        UNION ALL SELECT concat('inherits', h.xmin, h.ctid) FROM part
            JOIN pg_inherits AS h ON part.oid IN (h.inhrelid, h.inhparent)
        UNION ALL SELECT concat('comment', o.xmin, o.ctid) FROM own
            JOIN pg_description AS o ON o.objoid = own.oid AND o.classoid = 'pg_class'::regclass
    ) AS known (version)
"""


def exchange(connection: Connection, built: Built, *, lock_seconds: float) -> None:
    """Put the new partitions in the places of the old ones, within the caller's transaction; the old ones are dropped.

    Readers of the whole table wait from the first lock to the caller's commit, which should follow at once, and while
    the locks are waited for, `lock_seconds` in all. Raises LockNotAvailable where somebody is in the way, ChangedError
    where somebody has changed the partitions since; the transaction, which is READ COMMITTED, is as before then.
    """
    (usual,) = connection.execute("SHOW lock_timeout").fetchone() or ("0",)
    with connection.transaction():
        known = _catalog(connection, built)
        _check(connection, built)
        _lock(connection, built, lock_seconds)
        _check_locked(connection, built)
        # Whoever was waited for may have been at it, and not all that changes a table takes a lock.
        if _catalog(connection, built) != known:
            raise ChangedError(
                f"the partitions of {built.partitions.slice} were changed when they were to be exchanged"
            )
        # One message: no round trips under the lock.
        limit = sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(usual))
        connection.execute(sql.SQL("; ").join([*_statements(built), limit]))


def _catalog(connection: Connection, built: Built) -> str:
    oids = [*(node.oid for node in built.partitions.parents), *(leaf.leaf.node.oid for leaf in built.leaves)]
    (known,) = connection.execute(_CATALOG, [oids]).fetchone() or (None,)
    return str(known)


def _check(connection: Connection, built: Built) -> None:
    now = find_partitions(connection, built.partitions.slice)
    if isinstance(now, Obstacle):
        raise ChangedError(f"{built.partitions.slice} can no longer be swapped: {now.sentence}")
    if now != built.partitions:
        raise ChangedError(f"the partitions of {built.partitions.slice} were changed while new ones were built")
    for leaf in built.leaves:
        _check_built(connection, leaf)


def _check_built(connection: Connection, leaf: BuiltLeaf) -> None:
    """Check that the name is still that of what was built: another run may have taken it for a leftover."""
    if connection.execute(_IS, [leaf.identifier.as_string(connection), leaf.oid]).fetchone() != (True,):
        raise ChangedError(f"{leaf.schema}.{leaf.name}, which was built for the exchange, is no longer there")


def _lock(connection: Connection, built: Built, seconds: float) -> None:
    """Lock from above, as readers do, so that they and we do not wait for each other's locks."""
    until = time.monotonic() + seconds
    tables = [parent.identifier for parent in built.partitions.parents]
    tables += [table for leaf in built.leaves for table in (leaf.leaf.identifier, leaf.identifier)]
    for table in tables:
        limit = lock_timeout(max(_LEAST, until - time.monotonic()))
        lock = sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(table)
        try:
            connection.execute(sql.SQL("; ").join([limit, lock]))
        except psycopg.errors.UndefinedTable as error:
            raise ChangedError(
                f"a table was dropped before it could be exchanged: {error.diag.message_primary}"
            ) from None


def _check_locked(connection: Connection, built: Built) -> None:
    for leaf in built.leaves:
        node = leaf.leaf.node
        row = connection.execute(_SAME, [node.qualified, node.oid, node.oid, leaf.leaf.constraint]).fetchone()
        if row != (True,):
            raise ChangedError(f"partition {node.qualified} was changed while a new one was built")
        _check_built(connection, leaf)


def _statements(built: Built) -> Iterator[sql.Composed]:
    for leaf in built.leaves:
        yield sql.SQL("DROP TABLE {}").format(leaf.leaf.identifier)
    # The DEFAULT partition last: it would be read when another one is attached beside it.
    for leaf in sorted(built.leaves, key=lambda leaf: leaf.leaf.node.is_default):
        yield from _put(leaf)


def _put(leaf: BuiltLeaf) -> Iterator[sql.Composed]:
    old = leaf.leaf
    yield sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(
        old.parent.identifier,
        leaf.identifier,
        sql.SQL(old.bound),
    )
    yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(leaf.identifier, sql.Identifier(BOUND))
    yield _autovacuum(leaf)
    yield sql.SQL("COMMENT ON TABLE {} IS {}").format(leaf.identifier, sql.Literal(old.definition.comment))
    for rename in leaf.renames:
        yield _rename(rename, leaf)
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(leaf.identifier, sql.Identifier(old.node.name))


def _autovacuum(leaf: BuiltLeaf) -> sql.Composed:
    for option in leaf.leaf.definition.options:
        name, _, value = option.partition("=")
        if name == "autovacuum_enabled":
            return sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = {})").format(leaf.identifier, sql.Literal(value))
    return sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(leaf.identifier)


def _rename(rename: Rename, leaf: BuiltLeaf) -> sql.Composed:
    built, wanted = sql.Identifier(rename.built), sql.Identifier(rename.wanted)
    if rename.kind == "CONSTRAINT":
        return sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(leaf.identifier, built, wanted)
    thing = sql.Identifier(rename.schema, rename.built)
    return sql.SQL("ALTER {} {} RENAME TO {}").format(sql.SQL(rename.kind), thing, wanted)
