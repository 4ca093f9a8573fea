"""What the planner is kept from, where we know better than its estimates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


@contextmanager
def planned(connection: Connection, *, without: Sequence[str]) -> Iterator[None]:
    """Have statements of the caller's transaction planned without some methods, given as `enable_..` settings.

    Where a statement fails, the transaction, or the savepoint in it, sets them back.
    """
    before = [
        (name, connection.execute("SELECT pg_catalog.current_setting(%s)", [name]).fetchone()) for name in without
    ]
    for name in without:
        connection.execute("SELECT pg_catalog.set_config(%s, 'off', true)", [name])
    yield
    for name, row in before:
        connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, row[0] if row else "on"])
