"""VACUUM (ANALYZE) of what a run churned, where autovacuum would come too late."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.api.status import Step
from trending.runner.phase import phase
from trending.runner.stop import Stop

Connection = psycopg.Connection[Any]

_FEWEST: Final = 1_000
"""Dead rows below which nothing is gained: so few pages are read anyhow."""
_SHARE: Final = 0.1
"""Half of autovacuum's own share (autovacuum_vacuum_scale_factor, 0.2 by default)."""
_LOCK_TIMEOUT: Final = "500ms"


@dataclass(frozen=True, kw_only=True)
class Churned:
    """A table, a partition or a materialized view that a run has written to, by the catalog and the statistics."""

    schema: str
    name: str
    rows: float
    """Rows by the planner's figure; below zero where it was never analysed."""
    dead: int
    """Dead rows by the statistics, this run's included as far as they have arrived."""
    trigger: float
    """Dead rows from which on autovacuum comes, by the table's and the server's settings."""
    is_ours: bool
    """Whether this role may VACUUM it."""

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in SQL."""
        return sql.Identifier(self.schema, self.name)


def why_vacuum(found: Churned, *, written: int) -> str | None:
    """Say why a relation is to be vacuumed now; None where that can wait.

    `written` is how many rows this run itself has left dead in it: the statistics arrive late, or never where
    track_counts is off. Autovacuum looks once a minute, throttles itself, and by default waits until a fifth of a table
    is dead: a ranking rewritten every hour by a tenth would carry a fifth of dead rows, in each of its indexes too,
    most of the time. At a tenth of the rows, or above autovacuum's own trigger, a VACUUM now finds the pages still in
    memory, and the next run finds the room free. ANALYZE with it, since as many rows are new. Below 1,000 dead rows
    nothing is gained.
    """
    dead = max(found.dead, written)
    if dead < _FEWEST:
        return None
    if dead >= _SHARE * max(found.rows, 0):
        return f"{dead} of its rows were dead"
    if dead >= found.trigger:
        return f"{dead} of its rows were dead, more than autovacuum waits for"
    return None


_CHURNED: Final = """
    WITH relations AS (
        SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relowner,
            (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(c.reloptions)) AS options
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
          AND (c.oid = %(oid)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass) WHERE isleaf))
    )
    SELECT r.nspname AS schema, r.relname AS name, reltuples::float8 AS rows, coalesce(s.n_dead_tup, 0) AS dead,
        coalesce(options ->> 'autovacuum_vacuum_threshold', current_setting('autovacuum_vacuum_threshold'))::float8
            + coalesce(options ->> 'autovacuum_vacuum_scale_factor',
                current_setting('autovacuum_vacuum_scale_factor'))::float8 * greatest(reltuples, 0) AS trigger,
        pg_has_role(relowner, 'USAGE') OR {maintain}
            OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') AS is_ours
    FROM relations AS r LEFT JOIN pg_stat_all_tables AS s ON s.relid = r.oid
    ORDER BY r.nspname, r.relname
"""


def churned(connection: Connection, oid: int) -> list[Churned]:
    """Look up a table, the leaf partitions of a partitioned one, or a materialized view."""
    # Before 17 there is no right to maintain what others own.
    maintain = "has_table_privilege(r.oid, 'MAINTAIN')" if connection.info.server_version >= 170000 else "false"
    query = _CHURNED.format(maintain=maintain)
    return connection.cursor(row_factory=class_row(Churned)).execute(query.encode(), {"oid": oid}).fetchall()


def tell_statistics(connection: Connection) -> None:
    """Have the server count what this session has written by now, instead of a second or more later.

    Where it does not, the figures are older, and no more.
    """
    with contextlib.suppress(psycopg.Error):
        connection.execute("SELECT pg_stat_force_next_flush()")


def maintain(connection: Connection, oid: int, *, written: int | None, stop: Stop) -> Iterator[str]:
    """VACUUM (ANALYZE) what of a relation has to be, and yield a sentence on each that had to: done, or why not.

    `written` is how many rows the run has left dead; None where only the statistics know. `connection` is in autocommit
    mode, in no transaction. Nothing that fails here fails the run, whose rows are committed: it is yielded.
    """
    found = churned(connection, oid)
    # Where there are several partitions nobody has counted what went into which.
    own = written if written and len(found) == 1 else 0
    for relation in found if written != 0 else ():
        if why := why_vacuum(relation, written=own):
            yield f"{relation.schema}.{relation.name}: {_vacuum(connection, relation, why, stop)}"


def _vacuum(connection: Connection, relation: Churned, why: str, stop: Stop) -> str:
    if not relation.is_ours:
        return f"{why}; not vacuumed, since role {connection.info.user} does not own it"
    if stop.error is not None:
        return f"{why}; not vacuumed, since {stop.error}"
    phase(f"vacuuming {relation.schema}.{relation.name}")
    begun = time.monotonic()
    statement = sql.SQL("VACUUM (ANALYZE, SKIP_LOCKED) {}").format(relation.identifier)
    try:
        with _warnings(connection) as warnings, _lock_timeout(connection):
            connection.execute(statement)
    except psycopg.errors.QueryCanceled:
        return f"{why}; its VACUUM was not finished, since {_cause(stop)}"
    except psycopg.errors.LockNotAvailable:
        return f"{why}; not vacuumed, since others lock it"
    if warnings:
        return f"{why}; not vacuumed: {warnings[0]}"
    return f"{why}; vacuumed in {time.monotonic() - begun:.1f} s"


def _cause(stop: Stop) -> str:
    return str(stop.error or "it was cancelled")


@contextmanager
def _warnings(connection: Connection) -> Iterator[list[str]]:
    """Collect the server's warnings: with one of them VACUUM skips what it cannot lock, or may not."""
    heard: list[str] = []

    def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING" and diagnostic.message_primary:
            heard.append(diagnostic.message_primary)

    connection.add_notice_handler(hear)
    try:
        yield heard
    finally:
        connection.remove_notice_handler(hear)


@contextmanager
def _lock_timeout(connection: Connection) -> Iterator[None]:
    """Have nobody queue up behind this session for long: VACUUM's last step, to give room back, wants a lock too."""
    row = connection.execute("SHOW lock_timeout").fetchone()
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [_LOCK_TIMEOUT])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", row)


def dead_rows(steps: Sequence[Step]) -> int:
    """Return how many rows the rewrites of one table have left dead: those updated and deleted.

    Swap leaves none, since its partitions are new.
    """
    return sum((step.rows_updated or 0) + (step.rows_deleted or 0) for step in steps if step.strategy != "Swap")
