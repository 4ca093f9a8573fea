"""How much write-ahead log the server has written."""

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


def wal_bytes(connection: Connection) -> int:
    """Return the insert position of the write-ahead log in bytes; others' writing moves it too."""
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8").fetchone()
    return int(row[0]) if row else 0
