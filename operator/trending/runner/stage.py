"""The stage: the source's rows in a temporary table, with the target's types, checked before anything is written."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import BadDataError, ConfigurationError
from trending.runner.goal import Goal
from trending.runner.phase import phase
from trending.runner.planner import planned

Connection = psycopg.Connection[Any]

_KEPT: Final = ("role", "search_path", "TimeZone", "DateStyle", "row_security", "lock_timeout", "statement_timeout")
_KEPT_SETTINGS: Final = sql.SQL("SELECT {}").format(
    sql.SQL(", ").join(sql.SQL("pg_catalog.current_setting({})").format(sql.Literal(name)) for name in _KEPT)
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The rows that the slice is to hold."""

    identifier: sql.Identifier
    """The temporary table; it ends with the transaction, or the session where it was to outlive that (see `drop`)."""
    columns: tuple[str, ...]
    """The columns of its rows: the query's, and the slice's that were filled in."""
    compared: tuple[str, ...]
    """Those whose values may differ between two rows of one key."""
    stamp: str | None
    """The column of the target that is set to the data timestamp in rows that change."""
    rows: int
    constants: Mapping[str, sql.Composable] = field(default_factory=dict)
    """Those of the columns that have the same value in all rows, which the table therefore does without."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns of the table, in order."""
        return tuple(name for name in self.columns if name not in self.constants)

    @property
    def relation(self) -> sql.Composed:
        """The rows with all their columns, as a FROM item called `staged`."""
        return self.completed(self.identifier, {name: sql.Identifier(name) for name in self.stored})

    def completed(self, table: sql.Composable, stored: Mapping[str, sql.Composable]) -> sql.Composed:
        """Return rows of a table with all columns, as a FROM item called `staged`; `stored` is where the table has
        those that are not constant."""
        values = {**stored, **self.constants}
        return sql.SQL("(SELECT {} FROM {}) AS staged").format(
            sql.SQL(", ").join(sql.SQL("{} AS {}").format(values[name], sql.Identifier(name)) for name in self.columns),
            table,
        )


def fill(connection: Connection, goal: Goal, now: datetime, *, outlives: bool = False) -> Stage:
    """Run the source query into a new stage, within the caller's transaction, which it `outlives` on demand.

    The query can only read. Raises ConfigurationError where its columns are not the table's; BadDataError where its
    rows cannot be the slice's: a null in the key, two rows of a key, a row outside the slice. psycopg's errors are
    the query's own.
    """
    source = sql.SQL("(\n{}\n) AS source").format(_raw(goal.query.text))
    returned = _columns_of(connection, goal, source, now)
    filled = [name for name in goal.slice.constants if name not in returned]
    columns = (*returned, *filled)
    _check_rows_can_be_told(goal)
    stamp = _check_columns(goal, columns)
    identifier = sql.Identifier("pg_temp", f"trending_stage_{secrets.token_hex(4)}")
    constants = {
        name: sql.SQL("{}::{}").format(goal.slice.constants[name], goal.table.columns[name].type) for name in filled
    }
    # Rows are told apart by what is in the table; what else is the same in all of them would only make it larger.
    in_key = {name: constants.pop(name) for name in filled if name in goal.key}
    stored = (*returned, *in_key)
    _make(connection, goal, identifier, stored, outlives=outlives)
    values = [sql.SQL("source.{}").format(sql.Identifier(name)) for name in returned]
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        identifier, _names(stored), sql.SQL(", ").join([*values, *in_key.values()]), source
    )
    before = _settings_of(connection)
    with connection.transaction():
        rows = _read_only(connection, goal, insert, now).rowcount
    _check_settings(goal, before, _settings_of(connection))
    phase("checking what was staged", rows=rows)
    # A temporary table is never analysed by autovacuum; without figures the planner expects a handful of rows.
    connection.execute(sql.SQL("ANALYZE {}").format(identifier))
    stage = Stage(
        identifier=identifier,
        columns=columns,
        compared=tuple(name for name in columns if name not in goal.key and name not in goal.slice.constants),
        stamp=stamp,
        rows=rows,
        constants=constants,
    )
    _check_rows(connection, goal, stage, returned)
    return stage


def _columns_of(connection: Connection, goal: Goal, source: sql.Composed, now: datetime) -> tuple[str, ...]:
    """Ask the server for the query's columns, by planning it without running it."""
    with connection.transaction():
        cursor = _read_only(connection, goal, sql.SQL("SELECT * FROM {} LIMIT 0").format(source), now)
    return tuple(column.name for column in cursor.description or ())


def _read_only(
    connection: Connection, goal: Goal, statement: sql.Composed, now: datetime
) -> psycopg.RawCursor[tuple[Any, ...]]:
    """Run a statement with the source query in it, within a savepoint of the caller's.

    A temporary table may be written to nevertheless. The mode cannot be set back inside, and ends with the savepoint.
    """
    connection.execute("SET LOCAL transaction_read_only = on")
    cursor = psycopg.RawCursor(connection)  # its parameter is $1, so that % is nothing special
    try:
        return cursor.execute(statement, [now] if goal.query.uses_now else None)
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise ConfigurationError(
            f"{goal.where}.query: a source query only reads, and this one writes", server=error
        ) from None


def _settings_of(connection: Connection) -> dict[str, str]:
    """Return the settings that decide who writes what the query has returned, where, and for how long."""
    row = connection.execute(_KEPT_SETTINGS).fetchone() or ()
    return dict(zip(_KEPT, row, strict=True))


def _check_settings(goal: Goal, before: dict[str, str], after: dict[str, str]) -> None:
    """Check that the query has changed none of them: set_config() does so in a transaction that only reads, too."""
    for name, value in after.items():
        if before[name] != value:
            raise ConfigurationError(
                f"{goal.where}.query: a source query only reads, and this one sets {name} to {value!r} for what "
                "follows; nothing was written: take that out of it (a setting for all is in spec.database.settings)"
            )


def _check_rows_can_be_told(goal: Goal) -> None:
    """Check that a query can say, and values show, which row is meant."""
    for name in (*goal.key, *goal.slice.values):
        where = f"{goal.where}.{'key' if name in goal.key else 'slice'}: column {name!r} of {goal.table.qualified}"
        column = goal.table.columns[name]
        if column.is_servers:
            raise ConfigurationError(f"{where} is generated by the server, so that a query cannot name a row by it")
        if column.lacks_equality:
            raise ConfigurationError(f"{where} is of type {column.type_name}, which has no equality to tell rows by")


def _check_columns(goal: Goal, columns: tuple[str, ...]) -> str | None:
    """Check the source's columns against the table's; return the stamp that is left to set."""
    where, table = f"{goal.where}.query", goal.table
    for name in columns:
        if columns.count(name) > 1:
            raise ConfigurationError(f"{where}: it returns column {name!r} twice: give each column a name of its own")
        column = table.column(name, where)
        if column.is_servers:
            raise ConfigurationError(
                f"{where}: column {name!r} of {table.qualified} is generated by the server: leave it out"
            )
    for name in dict.fromkeys((*goal.key, *goal.slice.lists)):
        if name not in columns:
            kind = "key" if name in goal.key else "slice"
            raise ConfigurationError(
                f"{where}: it does not return column {name!r}, which is part of the {kind}: add it"
            )
    if goal.stamp is None or goal.stamp not in columns:
        return goal.stamp
    if goal.names_stamp:
        raise ConfigurationError(
            f"{where}: it returns column {goal.stamp!r}, which {goal.where}.stamp has set to the data timestamp: "
            "remove one of the two"
        )
    return None


def drop(connection: Connection, stage: Stage) -> None:
    """Drop a stage that was to outlive its transaction, if it is still there."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(stage.identifier))


def _make(
    connection: Connection, goal: Goal, identifier: sql.Identifier, columns: tuple[str, ...], *, outlives: bool
) -> None:
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT {} AS SELECT {} FROM {} WITH NO DATA").format(
            identifier,
            sql.SQL("PRESERVE ROWS" if outlives else "DROP"),
            _names(columns),
            goal.table.identifier,
        )
    )


def _check_rows(connection: Connection, goal: Goal, stage: Stage, returned: tuple[str, ...]) -> None:
    where = f"{goal.where}.query"
    no_key = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in goal.key)
    sliced = [name for name in goal.slice.values if name in returned]
    outside = sql.SQL("({}) IS NOT TRUE").format(goal.slice.condition("stage", sliced))
    # Both in one scan; which of them it was, where it was one, is seen by another.
    if _example(connection, stage, columns=goal.key, condition=sql.SQL("{} OR {}").format(no_key, outside)):
        if found := _example(connection, stage, columns=stage.stored, condition=no_key):
            raise BadDataError(
                f"{where}: a row has a null in its key ({', '.join(goal.key)}): {found}; nothing was written"
            )
        names = tuple(dict.fromkeys((*goal.key, *sliced)))
        found = _example(connection, stage, columns=names, condition=outside)
        raise BadDataError(
            f"{where}: a row lies outside the slice {goal.slice.canonical}: {found}; nothing was written"
        )
    _check_keys(connection, goal, stage)


def _check_keys(connection: Connection, goal: Goal, stage: Stage) -> None:
    """Check that no two rows have the same key."""
    # What a slice's column may hold are few values: others first, so that those are hardly ever compared.
    key = sorted(goal.key, key=lambda name: name in goal.slice.values)
    repeated = sql.SQL("SELECT count(*), {} FROM {} GROUP BY {} HAVING count(*) > 1 LIMIT 1").format(
        _texts(goal.key), stage.identifier, _names(tuple(key))
    )
    # Numbers and times are sorted in half the time, and less, that it takes to hash millions of them; texts are not.
    sorts_fast = all(goal.table.columns[name].is_by_value for name in key if name not in goal.slice.values)
    with planned(connection, without=["enable_hashagg"] if sorts_fast else []):
        row = connection.execute(repeated).fetchone()
    if row:
        key_of_row = _described(goal.key, row[1:])
        raise BadDataError(f"{goal.where}.query: {row[0]} rows have the same key, {key_of_row}; nothing was written")


def _example(
    connection: Connection, stage: Stage, *, columns: tuple[str, ...], condition: sql.Composable
) -> str | None:
    query = sql.SQL("SELECT {} FROM {} AS stage WHERE {} LIMIT 1").format(_texts(columns), stage.identifier, condition)
    row = connection.execute(query).fetchone()
    return _described(columns, row) if row else None


def _described(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return ", ".join(f"{name}={'null' if value is None else value}" for name, value in zip(names, values, strict=True))


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _texts(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("left({}::text, 100)").format(sql.Identifier(name)) for name in columns)


def _raw(query: str) -> sql.SQL:
    """Return the user's query as SQL: that is what it is, and the one place where text becomes SQL."""
    return sql.SQL(query)
