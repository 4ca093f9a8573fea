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
    change = "SELECT pg_catalog.current_setting(%s), pg_catalog.set_config(%s, 'off', true)"
    # Evaluated as they stand: what it was before it is changed.
    before = [(name, connection.execute(change, [name, name]).fetchone()) for name in without]
    yield
    for name, row in before:
        connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, row[0] if row else "on"])
