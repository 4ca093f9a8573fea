"""Upsert: prune what the source does not have, then INSERT .. ON CONFLICT DO UPDATE. Kept to compare the others with.

It locks every row that it meets, whether it changes or not, and each lock is a WAL record; Merge does not.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import BadDataError, ConfigurationError
from trending.runner.rewrite.columns import all_of, differs, written
from trending.runner.rewrite.dependents import check_no_child, check_no_rule
from trending.runner.rewrite.moves import check_no_moves
from trending.runner.rewrite.strategy import Destination, Plan, RewriteResult, count_rows, meet
from trending.runner.rewrite.unique import written_indexes
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

_PRUNE: Final = sql.SQL("""
    DELETE FROM {table} AS target
    WHERE {slice} AND NOT EXISTS (SELECT FROM {stage} AS staged WHERE {same_key})
""")
_UPSERT: Final = sql.SQL("""
    INSERT INTO {table} AS target ({columns}) SELECT {values} FROM {staged}
    ON CONFLICT ({conflict}) {action}
""")
_UPDATE: Final = sql.SQL("DO UPDATE SET {assignments} WHERE {slice} AND ({differs})")
_OUTSIDE: Final = sql.SQL("""
    SELECT {key} FROM {table} AS target JOIN {staged} ON {same_index} WHERE ({slice}) IS NOT TRUE LIMIT 1
""")
_INSTEAD: Final = (
    "INSERT .. ON CONFLICT cannot do that; use strategy Merge, or make that a constraint that is DEFERRABLE"
)


class Upsert:
    """Needs a unique index on the key, with or without the slice's single-valued columns.

    Columns that the query does not return keep their values.
    """

    name: Final = "Upsert"

    def __init__(self, connection: Connection) -> None:
        """`connection` is in the transaction that the stage was filled in."""
        self._connection = connection

    def plan(self, target: Destination, source: Stage) -> Plan:
        """Count what comes and goes; what is updated shows only when it is written.

        Raises ConfigurationError where no index fits, a rule or a child is in the way, or a row is to take what another
        one gives up under another unique index; BadDataError where a row of another slice is in the way.
        """
        self._check_conflicts(target, source)
        check_no_rule(self._connection, target)
        check_no_child(self._connection, target, self.name)
        for index in written_indexes(self._connection, target.table, written(source)):
            check_no_moves(self._connection, target, source, index, updates_only=False, why=_INSTEAD)
        met = meet(self._connection, target, source)
        return Plan(
            destination=target,
            source=source,
            inserts=source.rows - met.kept,
            updates=None,
            deletes=met.before - met.kept,
            before=met.before,
            vanishing=met.before - met.kept,
        )

    def apply(self, plan: Plan) -> RewriteResult:
        """Prune, then upsert: a value that a unique index holds is given up before it is taken."""
        target, source = plan.destination, plan.source
        deleted = self._prune(plan) if plan.deletes else 0
        rows = self._connection.execute(
            _UPSERT.format(
                table=target.table.identifier,
                columns=_names([*source.columns, *([source.stamp] if source.stamp else [])]),
                values=self._values(plan),
                staged=source.relation,
                conflict=_names(sorted(_index(target))),
                action=self._action(plan),
            )
        ).rowcount
        # The server counts both as one. RETURNING xmax would tell them apart, but not in a partitioned table.
        after = count_rows(self._connection, target)
        inserted = after - (plan.before - deleted)
        updated = rows - inserted
        return RewriteResult(
            inserted=inserted, updated=updated, deleted=deleted, unchanged=source.rows - plan.inserts - updated
        )

    def _prune(self, plan: Plan) -> int:
        target = plan.destination
        prune = _PRUNE.format(
            table=target.table.identifier,
            slice=target.slice.condition("target"),
            stage=plan.source.identifier,
            same_key=_same(target.key),
        )
        return self._connection.execute(prune).rowcount

    def _values(self, plan: Plan) -> sql.Composed:
        values: list[sql.Composable] = [sql.Identifier("staged", name) for name in plan.source.columns]
        if plan.source.stamp:
            values.append(sql.SQL("{}::timestamptz").format(plan.destination.now))
        return sql.SQL(", ").join(values)

    def _action(self, plan: Plan) -> sql.Composable:
        target, source = plan.destination, plan.source
        if not source.compared:
            return sql.SQL("DO NOTHING")
        names = [*source.compared, *([source.stamp] if source.stamp else [])]
        return _UPDATE.format(
            assignments=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names
            ),
            slice=target.slice.condition("target"),
            differs=differs(
                target,
                source,
                lambda name: sql.Identifier("target", name),
                lambda name: sql.Identifier("excluded", name),
            ),
        )

    def _check_conflicts(self, target: Destination, source: Stage) -> None:
        """Check that there is an index, and that no row of another slice holds what the stage's rows would take."""
        index = _index(target)
        if set(target.slice.values) <= index:
            return  # who has the same values there is in the slice
        query = _OUTSIDE.format(
            key=sql.SQL(", ").join(
                sql.SQL("left({}::text, 100)").format(sql.Identifier("staged", n)) for n in target.key
            ),
            table=target.table.identifier,
            staged=source.relation,
            same_index=_same(sorted(index)),
            slice=target.slice.condition("target"),
        )
        if row := self._connection.execute(query).fetchone():
            key = ", ".join(f"{name}={value}" for name, value in zip(target.key, row, strict=True))
            raise BadDataError(
                f"the unique index on ({', '.join(sorted(index))}) holds a row of another slice than {target.slice} "
                f"where the row with {key} would go; nothing was written: have the query leave it out"
            )


def _index(target: Destination) -> frozenset[str]:
    """Return the columns of the unique index by which rows are told apart: the one that says most."""
    given = frozenset((*target.key, *target.slice.constants))
    fitting = [key for key in target.table.unique_keys if key <= given]
    if not fitting:
        raise ConfigurationError(
            f"strategy Upsert needs a unique index of {target.table.qualified} on ({', '.join(sorted(given))}) or some "
            "of these columns, immediate, without predicate or expression: create one, or use another strategy"
        )
    return max(fitting, key=len)


def _same(columns: list[str] | tuple[str, ...]) -> sql.Composed:
    return all_of(
        sql.SQL("{} = {}").format(sql.Identifier("target", name), sql.Identifier("staged", name)) for name in columns
    )


def _names(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
