"""What is to be done with a table, found out before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.api.spec import TrendingScheduleSpec
from trending.runner.failure import ConfigurationError
from trending.runner.partition.exchange import kept_name
from trending.runner.partition.known import columns_of, slices_in_ledger, slices_of_schedule
from trending.runner.partition.obstacles import find_obstacles
from trending.runner.partition.original import Original, read_original
from trending.runner.partition.shape import MOST_PARTITIONS, Path, Shape, paths_of_slice, shape
from trending.runner.partition.twin import Twin
from trending.runner.slices import Slice
from trending.runner.table import Table, look_up

Connection = psycopg.Connection[Any]

SECONDS_PER_ROW: Final = 1e-5
"""A rough rate where none was measured: copying 4 million rows with six indexes took 34 to 47 s (two cores, PostgreSQL
15, warm cache)."""

_SIZES: Final = """
    SELECT coalesce(sum(pg_table_size(oid)), 0)::int8, coalesce(sum(pg_indexes_size(oid)), 0)::int8
    FROM unnest(%s::oid[]) AS leaf (oid)
"""
_TAKEN: Final = """
    SELECT relname::text FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
    UNION SELECT typname::text FROM pg_type WHERE typnamespace = %(schema)s::regnamespace AND typname NOT LIKE '\\_%%'
"""
_KEY: Final = """
    SELECT a.attname::text FROM pg_partition_tree(%s) AS tree JOIN pg_partitioned_table AS p ON p.partrelid = tree.relid
    JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    ORDER BY tree.level
"""
_COLLATION: Final = """
    SELECT n.nspname::text, c.collname::text FROM pg_attribute AS a
    JOIN pg_collation AS c ON c.oid = a.attcollation JOIN pg_namespace AS n ON n.oid = c.collnamespace
    WHERE a.attrelid = %s AND a.attname = %s
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asks for."""

    table: str
    """As in SQL."""
    by: tuple[str, ...] = ()
    """Columns; by default those of the known slices."""
    specs: tuple[TrendingScheduleSpec, ...] = ()
    """Schedules whose targets say which slices there are, besides those in the ledger."""
    undo: bool = False
    keep_old: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done."""

    request: Request
    original: Original
    slices: tuple[Slice, ...]
    """All that are known, whose locks are to be taken."""
    by: tuple[str, ...]
    shape: Shape | None
    """The partitions to make; None for one plain table."""
    rows: int
    table_bytes: int
    index_bytes: int
    obstacles: tuple[str, ...]
    is_done: bool
    """Whether the table is as wanted already."""
    kept: str | None
    """The qualified name of an old table that an earlier time has kept."""

    @property
    def twin(self) -> Twin:
        """The table to make."""
        return Twin(original=self.original, shape=self.shape)

    @property
    def seconds(self) -> float:
        """About how long it takes, by a rough rate."""
        return self.rows * SECONDS_PER_ROW

    @property
    def not_whole(self) -> tuple[Slice, ...]:
        """The slices that are not going to be whole partitions."""
        return tuple(each for each in self.slices if self.shape and not set(each.values) <= set(self.by))


def prepare(connection: Connection, request: Request) -> Task:
    """Look everything up; change nothing. Raises ConfigurationError for what the request cannot mean.

    Values are found by reading the whole table once.
    """
    table = look_up(connection, request.table, where="TABLE")
    original = read_original(connection, table)
    known = slices_in_ledger(connection, table)
    for spec in request.specs:
        known += slices_of_schedule(connection, table, spec)
    slices = tuple({each.lock_key: each for each in known}.values())
    return _task(connection, request, original, slices)


def _task(connection: Connection, request: Request, original: Original, slices: tuple[Slice, ...]) -> Task:
    table, is_done = original.table, original.is_partitioned != request.undo
    by = _by(connection, request, original, slices)
    rows: dict[Path, int] = {}
    tree = None
    obstacles = [] if is_done else find_obstacles(connection, original, by)
    if not is_done and not obstacles:
        rows = count_rows(connection, table, by)
        if not request.undo:
            tree = _shape(connection, original, by, rows, slices)
    table_bytes, index_bytes = connection.execute(_SIZES, [[leaf.oid for leaf in original.leaves]]).fetchone() or (0, 0)
    kept = kept_name(original)
    found = connection.execute("SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::text", [table.schema, kept])
    is_kept = (found.fetchone() or (None,))[0]
    if is_kept and request.keep_old and not is_done:
        obstacles.append(f"{is_kept}, kept by an earlier time, is still there: drop it, or go without --keep-old")
    return Task(
        request=request,
        original=original,
        slices=slices,
        by=by,
        shape=tree,
        rows=sum(rows.values()),
        table_bytes=table_bytes,
        index_bytes=index_bytes,
        obstacles=tuple(obstacles),
        is_done=is_done,
        kept=is_kept,
    )


def _by(connection: Connection, request: Request, original: Original, slices: Sequence[Slice]) -> tuple[str, ...]:
    table = original.table
    for name in request.by:
        table.column(name, "--by")
    if len(set(request.by)) < len(request.by):
        raise ConfigurationError("--by names a column twice: each is one level of partitions")
    if original.is_partitioned:
        found = tuple(dict.fromkeys(name for (name,) in connection.execute(_KEY, [table.oid])))
        if request.by and not request.undo and set(request.by) != set(found):
            raise ConfigurationError(
                f"{table.qualified} is partitioned already, by {', '.join(found)}: to have it by "
                f"{', '.join(request.by)}, undo that first (--undo)"
            )
        return found
    if request.undo:
        return ()
    return request.by or columns_of(table, slices)


def count_rows(connection: Connection, table: Table, by: Sequence[str]) -> dict[Path, int]:
    """Count the rows of each combination of values; raises ConfigurationError where there are too many."""
    if not by:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table.identifier)).fetchone()
        return {(): row[0] if row else 0}
    columns = sql.SQL(", ").join(map(sql.Identifier, by))
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in by)
    query = sql.SQL("SELECT {}, rows FROM (SELECT {}, count(*) AS rows FROM {} GROUP BY {} LIMIT {}) AS counted")
    limit = sql.Literal(MOST_PARTITIONS + 1)
    try:
        found = connection.execute(query.format(texts, columns, table.identifier, columns, limit)).fetchall()
    except psycopg.errors.UndefinedFunction as error:
        raise ConfigurationError(f"{table.qualified} cannot be partitioned by {', '.join(by)}", server=error) from None
    if len(found) > MOST_PARTITIONS:
        raise ConfigurationError(
            f"{', '.join(by)} have more than {MOST_PARTITIONS} combinations of values in {table.qualified}; each would "
            "be a partition: choose columns of slices, with few values, by --by"
        )
    return {tuple(values): rows for *values, rows in found}


def _shape(
    connection: Connection, original: Original, by: tuple[str, ...], rows: dict[Path, int], slices: Sequence[Slice]
) -> Shape:
    table = original.table
    wanted = [path for each in slices for path in paths_of_slice(each.values, by)]
    same = [_same(connection, table, name, {p[i] for p in (*rows, *wanted) if i < len(p)}) for i, name in enumerate(by)]

    def one(path: Path) -> Path:
        return tuple(same[depth].get(value, value) for depth, value in enumerate(path))

    counted: dict[Path, int] = {}
    for path, count in rows.items():
        counted[one(path)] = counted.get(one(path), 0) + count
    taken = {name for (name,) in connection.execute(_TAKEN, {"schema": _quoted(connection, table.schema)})}
    return shape(table.name, by, counted, map(one, wanted), taken=taken)


def _same(connection: Connection, table: Table, name: str, values: set[Any]) -> dict[Any, Any]:
    """Return for each text the one that stands for all that are equal as values of the column's type."""
    column = table.columns[name]
    collation = connection.execute(_COLLATION, [table.oid, name]).fetchone()
    collate = sql.SQL(" COLLATE {}").format(sql.Identifier(*collation)) if collation else sql.SQL("")
    query = sql.SQL(
        'SELECT text, first_value(text) OVER (PARTITION BY text::{}{} ORDER BY text COLLATE "C") '
        "FROM unnest(%s::text[]) AS text"
    ).format(column.type, collate)
    return dict(connection.execute(query, [[value for value in values if value is not None]]).fetchall())


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(name).as_string(connection)
