"""Merge: write only what differs. One full join of slice and stage by key finds it."""

from __future__ import annotations

import secrets
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import ConfigurationError
from trending.runner.planner import planned
from trending.runner.rewrite.columns import all_of, c, differs, numbered, numbers, written
from trending.runner.rewrite.dependents import inheriting
from trending.runner.rewrite.moves import check_no_moves, replace_moved
from trending.runner.rewrite.strategy import Destination, Plan, RewriteResult, insert_rows
from trending.runner.rewrite.unique import reason_not_to_replace, written_indexes
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

# In here columns go by number, c1, c2, .., so that no name of the user's meets one of ours.
_CHANGES: Final = sql.SQL("""
    CREATE TEMPORARY TABLE {changes} ON COMMIT DROP AS
    SELECT
        CASE
            WHEN old.tid IS NULL THEN 'i' WHEN {gone} THEN 'd' WHEN {moves} THEN 'm' ELSE 'u'
        END::"char" AS kind,
        old.part, old.tid, {old_key}, {new_columns}
    FROM (SELECT tableoid AS part, ctid AS tid, {columns} FROM {table} AS target WHERE {slice}) AS old
    FULL JOIN (SELECT {columns} FROM {stage}) AS new ON {same_key}
    WHERE old.tid IS NULL OR {gone} OR {differs}
""")


class Merge:
    """Deletes, updates and inserts what differs by value; a row that stays as it is is not even locked.

    Where the table has a unique index on columns that change, a row may take what another gives up, which an UPDATE
    would have to do in the right order, if there is one: rows that change in these columns are deleted and inserted.
    Columns that the query does not return keep their values. NULL equals NULL, NaN equals NaN, and -0 equals 0, as
    PostgreSQL's own `IS DISTINCT FROM` has it.
    """

    name: Final = "Merge"

    def __init__(self, connection: Connection) -> None:
        """`connection` is in the transaction that the stage was filled in."""
        self._connection = connection

    def plan(self, target: Destination, source: Stage) -> Plan:
        """Write the differences into a temporary table. Raises ConfigurationError for a key that is none."""
        self._check_key(target)
        changes = sql.Identifier("pg_temp", f"trending_changes_{secrets.token_hex(4)}")
        number = numbers(source)
        key = [number[name] for name in target.key]
        statement = _CHANGES.format(
            changes=changes,
            table=target.table.identifier,
            stage=source.identifier,
            slice=target.slice.condition("target"),
            columns=numbered(source),
            old_key=sql.SQL(", ").join(sql.SQL("old.{} AS {}").format(c(at), _old(at)) for at in key),
            new_columns=sql.SQL(", ").join(sql.SQL("new.{}").format(c(at)) for at in number.values()),
            same_key=all_of(sql.SQL("old.{0} = new.{0}").format(c(at)) for at in key),
            gone=sql.SQL("new.{} IS NULL").format(c(key[0])),  # no row of the stage has a null in its key
            differs=differs(
                target,
                source,
                lambda name: sql.SQL("old.{}").format(c(number[name])),
                lambda name: sql.SQL("new.{}").format(c(number[name])),
            ),
            moves=self._moves(target, source),
        )
        # All rows of the slice are read: through an index, one by one in its order, that takes over twice the time that
        # it takes page by page, and the planner thinks it the cheaper way where pages are expected to be in memory.
        with planned(self._connection, without=["enable_indexscan"]):
            self._connection.execute(statement)
        self._connection.execute(sql.SQL("ANALYZE {}").format(changes))
        count = sql.SQL("SELECT kind::text, count(*) FROM {} GROUP BY kind").format(changes)
        counts = dict(self._connection.execute(count).fetchall())
        inserts, updates, moves, deletes = (counts.get(kind, 0) for kind in ("i", "u", "m", "d"))
        return Plan(
            destination=target,
            source=source,
            inserts=inserts,
            updates=updates + moves,
            moves=moves,
            deletes=deletes,
            before=source.rows - inserts + deletes,
            vanishing=deletes,
            changes=changes,
        )

    def apply(self, plan: Plan) -> RewriteResult:
        """Delete, update, insert, in this order: a value that a unique index holds is given up before it is taken."""
        deleted = self._delete(plan) if plan.deletes else 0
        updated = self._update(plan) if plan.updates != plan.moves else 0
        return RewriteResult(
            deleted=deleted,
            updated=updated + (replace_moved(self._connection, plan, _same_row(plan)) if plan.moves else 0),
            inserted=self._insert(plan) if plan.inserts else 0,
            unchanged=plan.source.rows - (plan.updates or 0) - plan.inserts,
        )

    def _moves(self, target: Destination, source: Stage) -> sql.Composable:
        """Return the condition that a changed row must be deleted and inserted, since others may take what it gives up.

        Raises ConfigurationError where that would do more than move rows, and there are such.
        """
        indexes = written_indexes(self._connection, target.table, written(source))
        if not indexes:
            return sql.SQL("false")
        if obstacle := reason_not_to_replace(self._connection, target.table.oid):
            why = (
                f"Merge would have to delete and insert them, and {obstacle}; make that a constraint that is DEFERRABLE"
            )
            for index in indexes:
                check_no_moves(self._connection, target, source, index, updates_only=True, why=why)
            return sql.SQL("false")
        columns = {name for index in indexes for name in index.columns}
        if any(index.has_generated for index in indexes) or source.stamp in columns:
            return sql.SQL("true")
        # As texts: an index may tell apart what `=` does not, such as the cases of a collation that ignores them.
        return sql.SQL(" OR ").join(
            sql.SQL('old.{0}::text COLLATE "C" IS DISTINCT FROM new.{0}::text COLLATE "C"').format(c(number))
            for name, number in numbers(source).items()
            if name in columns and name in source.compared
        )

    def _delete(self, plan: Plan) -> int:
        delete = sql.SQL("DELETE FROM {} AS target USING {} AS changes WHERE changes.kind = 'd' AND {}").format(
            plan.destination.table.identifier, plan.changes, _same_row(plan)
        )
        return self._connection.execute(delete).rowcount

    def _update(self, plan: Plan) -> int:
        target, source = plan.destination, plan.source
        number = numbers(source)
        assignments = [
            sql.SQL("{} = changes.{}").format(sql.Identifier(name), c(number[name])) for name in source.compared
        ]
        if source.stamp:
            assignments.append(sql.SQL("{} = {}::timestamptz").format(sql.Identifier(source.stamp), target.now))
        update = sql.SQL("UPDATE {} AS target SET {} FROM {} AS changes WHERE changes.kind = 'u' AND {}").format(
            target.table.identifier, sql.SQL(", ").join(assignments), plan.changes, _same_row(plan)
        )
        return self._connection.execute(update).rowcount

    def _insert(self, plan: Plan) -> int:
        source = plan.source
        new = sql.SQL("{} WHERE kind = 'i'").format(plan.changes)
        rows = source.completed(new, {name: c(at) for name, at in numbers(source).items()})
        return insert_rows(self._connection, plan, rows)

    def _check_key(self, target: Destination) -> None:
        """Check that the slice has no two rows of one key, unless an index says so, which it does not of children."""
        is_unique = target.table.is_unique((*target.key, *target.slice.constants))
        if is_unique and not inheriting(self._connection, target):
            return
        names = [sql.Identifier(name) for name in target.key]
        query = sql.SQL(
            "SELECT count(*) FROM {} AS target WHERE {} AND {} GROUP BY {} HAVING count(*) > 1 LIMIT 1"
        ).format(
            target.table.identifier,
            target.slice.condition("target"),
            all_of(sql.SQL("{} IS NOT NULL").format(name) for name in names),
            sql.SQL(", ").join(names),
        )
        if row := self._connection.execute(query).fetchone():
            raise ConfigurationError(
                f"the key ({', '.join(target.key)}) does not tell the rows of {target.slice} apart: {row[0]} of them "
                "have the same one; name more columns in key, or use strategy DeleteInsert"
            )


def _same_row(plan: Plan) -> sql.Composed:
    """Return the condition for the row that the join saw: by its place, and by key and slice, since a place may by now
    have been given to another row."""
    target, number = plan.destination, numbers(plan.source)
    same_key = all_of(
        sql.SQL("target.{} IS NOT DISTINCT FROM changes.{}").format(sql.Identifier(name), _old(number[name]))
        for name in target.key
    )
    return sql.SQL("target.tableoid = changes.part AND target.ctid = changes.tid AND {} AND {}").format(
        same_key, target.slice.condition("target")
    )


def _old(number: int) -> sql.Identifier:
    return sql.Identifier(f"old{number}")
