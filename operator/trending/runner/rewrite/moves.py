"""Rows that take what another row has under a unique index, and gives up in the same rewrite."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import BadDataError, ConfigurationError
from trending.runner.goal import Goal
from trending.runner.rewrite.columns import all_of, c, numbers
from trending.runner.rewrite.strategy import Destination, Plan
from trending.runner.rewrite.unique import UniqueIndex, read_indexes
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

# The row that has the entry now is in the source too, where no two rows have one entry: so it gives this one up.
_MOVE: Final = sql.SQL("""
    SELECT {new_key}, {old_key}, {entry}
    FROM ({new}) AS new JOIN ({old}) AS old ON {meet} AND NOT ({same_key})
    WHERE EXISTS (SELECT FROM {stage} AS staged WHERE {giver}) {more} LIMIT 1
""")
_TAKER: Final = sql.SQL("AND EXISTS (SELECT FROM {table} AS target WHERE {slice} AND {taker})")
_REPEATED: Final = sql.SQL("""
    SELECT count(*), {entry} FROM ({entries}) AS staged WHERE {known} GROUP BY {own} HAVING count(*) > 1 LIMIT 1
""")

# One statement, in which every row is deleted before the first is inserted, since the number of the deleted ones is
# asked for first; what looks at the statement as a whole, such as a foreign key, finds each row where it was.
_REPLACE: Final = sql.SQL("""
    WITH gone AS (
        DELETE FROM {table} AS target USING {changes} AS changes WHERE changes.kind = 'm' AND {same_row}
        RETURNING {returned}
    )
    INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {values} FROM gone WHERE (SELECT count(*) FROM gone) > 0
""")


def check_entries(connection: Connection, goal: Goal, source: Stage) -> None:
    """Check that no two rows of the stage would have one entry in a unique index of the target.

    Those are looked at that the stage's columns say all of; of the others, and of exclusion constraints, the server
    tells when the rows are written. Raises BadDataError.
    """
    for index in read_indexes(connection, goal.table.oid):
        if not index.is_unique or not index.is_within(source.columns):
            continue
        if index.tells_apart(goal.key):
            continue  # the stage has no two rows of one key
        if row := connection.execute(_repeated(goal, source, index)).fetchone():
            raise BadDataError(
                f"{goal.where}.query: {row[0]} rows have the same {index.shown}, {_shown(index, row[1:])}, which the "
                f"unique index {index.name} of {goal.table.qualified} does not allow; nothing was written"
            )


def check_no_moves(
    connection: Connection, target: Destination, source: Stage, index: UniqueIndex, *, updates_only: bool, why: str
) -> None:
    """Raise ConfigurationError where a row is to take what another one gives up; `why` says why that cannot be.

    Only an index that the stage's columns say all of can be looked at. With `updates_only` a row that comes new may.
    """
    if not index.is_within(source.columns):
        return
    row = connection.execute(_move(target, source, index, updates_only=updates_only)).fetchone()
    if row is None:
        return
    size = len(target.key)
    taker, giver = (_described(target.key, row[at : at + size]) for at in (0, size))
    raise ConfigurationError(
        f"a row of {target.slice} is to take {index.shown} = {_shown(index, row[2 * size :])} from another one (to "
        f"{taker} from {giver}), which {index.kind} {index.name} "
        f"forbids row by row; nothing was written: {why}"
    )


def replace_moved(connection: Connection, plan: Plan, same_row: sql.Composable) -> int:
    """Delete the rows that may take what another one gives up, and insert them with their new values.

    What the query does not return is kept, generated identities too. Returns how many were inserted.
    """
    target, source = plan.destination, plan.source
    new = {name: c(at) for name, at in numbers(source).items()}
    kept = [
        column.name
        for column in target.table.columns.values()
        if not column.is_generated and column.name not in new and column.name != source.stamp
    ]
    old = {name: sql.Identifier(f"old{at}") for at, name in enumerate(kept, start=1)}
    returned = [sql.SQL("changes.{}").format(number) for number in new.values()]
    returned += [sql.SQL("target.{} AS {}").format(sql.Identifier(name), number) for name, number in old.items()]
    values: dict[str, sql.Composable] = {**new, **old}
    if source.stamp:
        values[source.stamp] = sql.SQL("{}::timestamptz").format(target.now)
    statement = _REPLACE.format(
        table=target.table.identifier,
        changes=plan.changes,
        same_row=same_row,
        returned=sql.SQL(", ").join(returned),
        columns=sql.SQL(", ").join(map(sql.Identifier, values)),
        values=sql.SQL(", ").join(values.values()),
    )
    return connection.execute(statement).rowcount


def _repeated(goal: Goal, source: Stage, index: UniqueIndex) -> sql.Composed:
    own = [sql.Identifier(f"x{at}") for at in range(1, len(index.expressions) + 1)]
    known = all_of(sql.SQL("{} IS NOT NULL").format(each) for each in own)
    return _REPEATED.format(
        entry=sql.SQL(", ").join(_text(each) for each in own),
        entries=index.entries(source.relation, goal.key),
        known=sql.SQL("true") if index.nulls_are_alike else known,
        own=sql.SQL(", ").join(own),
    )


def _move(target: Destination, source: Stage, index: UniqueIndex, *, updates_only: bool) -> sql.Composed:
    slice_ = target.slice.condition("target")
    rows = sql.SQL("(SELECT * FROM {} AS target WHERE {}) AS target").format(target.table.identifier, slice_)
    more = _TAKER.format(table=target.table.identifier, slice=slice_, taker=_same_key("target", "new", target.key))
    size, width = len(target.key), len(index.expressions)
    return _MOVE.format(
        new_key=_texts("new", "k", size),
        old_key=_texts("old", "k", size),
        entry=_texts("new", "x", width),
        new=index.entries(source.relation, target.key),
        old=index.entries(rows, target.key),
        meet=index.meet("new", "old"),
        same_key=all_of(
            sql.SQL("{} = {}").format(sql.Identifier("new", f"k{at}"), sql.Identifier("old", f"k{at}"))
            for at in range(1, size + 1)
        ),
        stage=source.identifier,
        giver=_same_key("staged", "old", target.key),
        more=more if updates_only else sql.SQL(""),
    )


def _same_key(rows: str, entries: str, key: tuple[str, ...]) -> sql.Composed:
    return all_of(
        sql.SQL("{} = {}").format(sql.Identifier(rows, name), sql.Identifier(entries, f"k{at}"))
        for at, name in enumerate(key, start=1)
    )


def _texts(entries: str, kind: str, count: int) -> sql.Composed:
    return sql.SQL(", ").join(_text(sql.Identifier(entries, f"{kind}{at}")) for at in range(1, count + 1))


def _text(value: sql.Composable) -> sql.Composed:
    return sql.SQL("left({}::text, 100)").format(value)


def _described(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _shown(index: UniqueIndex, values: tuple[Any, ...]) -> str:
    shown = ", ".join("null" if value is None else str(value) for value in values[: len(index.expressions)])
    return f"({shown})"
