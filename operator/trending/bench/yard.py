"""The bench's own schema: a source, and for each kind and strategy a score table of the seed's shape.

Every strategy has a table of its own, so that each keeps the history that it makes (dead rows, split index pages), and
all start from the same rows. The source moves on by a share of its rows, and then each strategy does the same work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg
from psycopg import sql

from trending.api.spec import Strategy

Connection = psycopg.Connection[Any]
Kind = Literal["plain", "partitioned"]
Say = Callable[[str], None]

PREFIX: Final = "trending_bench_"
SLICE: Final = {"type": ["TRACKS"], "version": ["pnagD"], "time_range": ["week"]}
"""The slice that is rewritten."""
_TIME_RANGES: Final = ("week", "month", "allTime", "year")
"""The slices of a table are its first ones of these; only the first is rewritten."""
MAX_SLICES: Final = len(_TIME_RANGES)
_SHARE_UNITS: Final = 1 << 20

# Columns, key and indexes are those of the seed's table track_trending_scores.
_TABLE: Final = """
    CREATE TABLE {table} (
        track_id integer NOT NULL, type varchar NOT NULL, genre varchar, version varchar NOT NULL,
        time_range varchar NOT NULL, score double precision NOT NULL, created_at timestamp without time zone NOT NULL
    ) {partitioning}
"""
_INDEXES: Final = (
    "ALTER TABLE {table} ADD PRIMARY KEY (track_id, type, version, time_range)",
    "CREATE INDEX ON {table} (genre, time_range, score DESC, track_id)",
    "CREATE INDEX ON {table} (genre)",
    "CREATE INDEX ON {table} (track_id)",
    "CREATE INDEX ON {table} (type, version, time_range, score DESC, track_id)",
    "CREATE INDEX ON {table} (type, version, time_range, genre, score DESC)",
)
# A tenth of the scores is zero, the others are spread over nine powers of ten; 41 genres, the first ones large.
_SOURCE: Final = """
    CREATE UNLOGGED TABLE {source} AS
    SELECT track_id, 'Genre ' || floor(41 * power(spread, 2))::int AS genre,
        CASE WHEN spread < 0.1 THEN 0 ELSE exp(20 * spread * another) END::double precision AS score
    FROM (
        SELECT track_id::int, (hashint8extended(track_id, 1) & 1048575) / 1048576.0::float8 AS spread,
            (hashint8extended(track_id, 2) & 1048575) / 1048576.0::float8 AS another
        FROM generate_series(1::bigint, {rows}) AS track_id
    ) AS tracks
"""
_NEXT: Final = """
    CREATE UNLOGGED TABLE {next} AS
    SELECT track_id, genre, CASE WHEN (hashint8extended(track_id, {step}) & 1048575) < {units}
        THEN score * (0.9 + (hashint8extended(track_id, -{step}) & 1023) / 5120.0::float8) + 1 ELSE score END AS score
    FROM {source}
"""
_FILL: Final = """
    INSERT INTO {table} (track_id, type, genre, version, time_range, score, created_at)
    SELECT track_id, 'TRACKS', genre, 'pnagD', {time_range}, score, now() FROM {source}
"""
_LEFT_OVER: Final = """
    SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) AND nspname <> %s ORDER BY nspname
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How big the tables are."""

    rows: int
    """Of a slice."""
    slices: int
    """Of a table."""


class Yard:
    """Makes the schema with its tables, moves the source on, cleans up after runs, drops it all."""

    def __init__(self, connection: Connection, size: Size) -> None:
        """`connection` is in autocommit mode; nothing is made yet."""
        self._connection = connection
        self._size = size
        self._steps = 100  # seeds of the hash; the first ones are the source's own
        self.schema = f"{PREFIX}{secrets.token_hex(4)}"

    @property
    def query(self) -> str:
        """The source query of the targets."""
        return f"SELECT track_id, genre, score FROM {self.schema}.source"  # noqa: S608 (the schema's name is ours)

    def table(self, kind: Kind, strategy: Strategy) -> str:
        """Return the name of a table, as in SQL."""
        return f"{self.schema}.scores_{kind}_{strategy.lower()}"

    def lay_out(self) -> None:
        """Make the schema and the source."""
        self._run("CREATE SCHEMA {schema}", schema=sql.Identifier(self.schema))
        self._run(_SOURCE, source=self._name("source"), rows=sql.Literal(self._size.rows))
        self._run("VACUUM (ANALYZE) {source}", source=self._name("source"))

    def build(self, kind: Kind, strategy: Strategy) -> None:
        """Make a table with the source's rows in each slice, compact: filled first, indexed then, vacuumed."""
        table = self._table(kind, strategy)
        if kind == "plain":
            # What a bench measures must not depend on when autovacuum comes by.
            self._run(_TABLE, table=table, partitioning=sql.SQL("WITH (autovacuum_enabled = off)"))
        else:
            self._run(_TABLE, table=table, partitioning=sql.SQL("PARTITION BY LIST (type)"))
            self._partition(f"scores_{kind}_{strategy.lower()}")
        for time_range in self._time_ranges:
            self._run(_FILL, table=table, source=self._name("source"), time_range=sql.Literal(time_range))
        for statement in _INDEXES:
            self._run(statement, table=table)
        self._run("VACUUM (FREEZE, ANALYZE) {table}", table=table)

    def move_on(self, share: float) -> None:
        """Change the scores of about this share of the source's rows, chosen by hash; 0 leaves it as it is."""
        if share == 0:
            return
        self._steps += 1
        self._run(
            _NEXT,
            next=self._name("source_next"),
            source=self._name("source"),
            step=sql.Literal(self._steps),
            units=sql.Literal(round(share * _SHARE_UNITS)),
        )
        self._run("DROP TABLE {source}", source=self._name("source"))
        self._run("ALTER TABLE {next} RENAME TO source", next=self._name("source_next"))
        self._run("VACUUM (ANALYZE) {source}", source=self._name("source"))

    def vacuum(self, kind: Kind, strategy: Strategy) -> None:
        """Clean up after a run, as autovacuum would sooner or later."""
        self._run("VACUUM (ANALYZE) {table}", table=self._table(kind, strategy))

    def remove(self, kind: Kind, strategy: Strategy) -> None:
        """Drop a table that is not needed any more."""
        self._run("DROP TABLE {table}", table=self._table(kind, strategy))

    def drop(self, connection: Connection) -> None:
        """Drop the schema with all that is in it, over a connection that is at rest."""
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))

    def left_over(self) -> list[str]:
        """Return schemas of other benches: some may be at work, others were killed."""
        return [name for (name,) in self._connection.execute(_LEFT_OVER, [PREFIX, self.schema]).fetchall()]

    @property
    def _time_ranges(self) -> Sequence[str]:
        return _TIME_RANGES[: self._size.slices]

    def _partition(self, stem: str) -> None:
        """Divide by type, version and time range, each a level, so that a leaf is a slice."""
        levels = (("TRACKS", "version"), ("pnagD", "time_range"))
        for value, column in levels:
            self._run(
                "CREATE TABLE {part} PARTITION OF {whole} FOR VALUES IN ({value}) PARTITION BY LIST ({column})",
                part=self._name(f"{stem}_{value.lower()}"),
                whole=self._name(stem),
                value=sql.Literal(value),
                column=sql.Identifier(column),
            )
            stem = f"{stem}_{value.lower()}"
        for time_range in self._time_ranges:
            self._run(
                "CREATE TABLE {part} PARTITION OF {whole} FOR VALUES IN ({value}) WITH (autovacuum_enabled = off)",
                part=self._name(f"{stem}_{time_range.lower()}"),
                whole=self._name(stem),
                value=sql.Literal(time_range),
            )

    def _table(self, kind: Kind, strategy: Strategy) -> sql.Identifier:
        return self._name(f"scores_{kind}_{strategy.lower()}")

    def _name(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.schema, name)

    def _run(self, statement: str, **parts: sql.Composable) -> None:
        self._connection.execute(sql.SQL(statement).format(**parts))
