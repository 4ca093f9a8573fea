"""What PostgreSQL tells of long statements while they run: the pg_stat_progress_* views, one look at all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

Connection = psycopg.Connection[Any]

_OF_INDEXES: Final = """
    SELECT pid, phase,
        CASE WHEN starts_with(phase, 'waiting') THEN lockers_done WHEN tuples_total > 0 THEN tuples_done
            ELSE blocks_done END AS done,
        CASE WHEN starts_with(phase, 'waiting') THEN lockers_total WHEN tuples_total > 0 THEN tuples_total
            ELSE blocks_total END AS total,
        CASE WHEN starts_with(phase, 'waiting') THEN 'lockers' WHEN tuples_total > 0 THEN 'tuples'
            ELSE 'blocks' END AS unit
    FROM pg_stat_progress_create_index
"""
_OF_VACUUM: Final = """
    SELECT pid, phase,
        CASE phase WHEN 'scanning heap' THEN heap_blks_scanned WHEN 'vacuuming heap' THEN heap_blks_vacuumed {done} END,
        CASE WHEN phase IN ('scanning heap', 'vacuuming heap') THEN heap_blks_total {total} END,
        CASE WHEN phase IN ('scanning heap', 'vacuuming heap') THEN 'blocks' {unit} END
    FROM pg_stat_progress_vacuum
"""
_OF_ANALYZE: Final = """
    SELECT pid, phase, sample_blks_scanned, sample_blks_total, 'blocks' FROM pg_stat_progress_analyze
"""
_INDEXES_SINCE_17: Final = {
    "done": "WHEN 'vacuuming indexes' THEN indexes_processed WHEN 'cleaning up indexes' THEN indexes_processed",
    "total": "WHEN phase IN ('vacuuming indexes', 'cleaning up indexes') THEN indexes_total",
    "unit": "WHEN phase IN ('vacuuming indexes', 'cleaning up indexes') THEN 'indexes'",
}
_NOTHING: Final = dict.fromkeys(_INDEXES_SINCE_17, "")


@dataclass(frozen=True, kw_only=True)
class ServerProgress:
    """Where a backend is in a statement that the server tells of."""

    pid: int
    phase: str
    """The server's word for it."""
    done: int | None
    total: int | None
    """None, as `done`, where this phase is not counted."""
    unit: str | None


def look(connection: Connection, pids: Iterable[int]) -> dict[int, ServerProgress]:
    """Return what the server tells of these backends; nothing of one that is at another kind of statement.

    A role sees what its own sessions do without any further right. `connection` is in autocommit mode.
    """
    vacuum = _OF_VACUUM.format(**(_INDEXES_SINCE_17 if connection.info.server_version >= 170000 else _NOTHING))
    query = f"""
        SELECT pid, phase, CASE WHEN total > 0 THEN done END AS done, CASE WHEN total > 0 THEN total END AS total,
            CASE WHEN total > 0 THEN unit END AS unit
        FROM ({_OF_INDEXES} UNION ALL {vacuum} UNION ALL {_OF_ANALYZE}) AS told
        WHERE pid = ANY(%s) AND phase IS NOT NULL
    """  # noqa: S608 (made of constants)
    cursor = connection.cursor(row_factory=class_row(ServerProgress)).execute(query.encode(), [list(pids)])
    return {row.pid: row for row in cursor}
