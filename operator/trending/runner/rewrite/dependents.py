"""What hangs on a table, so that writing each of its rows anew would do more than rewrite it."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from trending.runner.rewrite.strategy import Destination, defaulted_columns
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

_DEPENDENTS: Final = """
    WITH part (oid) AS (SELECT %(oid)s::oid UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass))
    SELECT
        (SELECT c.conrelid::regclass::text FROM pg_constraint AS c JOIN part ON part.oid = c.confrelid
         WHERE c.contype = 'f' ORDER BY c.oid LIMIT 1),
        (SELECT t.tgname::text FROM pg_trigger AS t JOIN part ON part.oid = t.tgrelid
         WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY t.oid LIMIT 1),
        (SELECT p.pubname::text FROM pg_publication_tables AS p
         JOIN pg_namespace AS n ON n.nspname = p.schemaname
         JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename
         JOIN part ON part.oid = c.oid ORDER BY p.pubname LIMIT 1)
"""


def reason_to_touch_few(connection: Connection, target: Destination, source: Stage) -> str | None:
    """Return why rows that stay as they are must not be written again, whatever that would save; None where they may.

    These ask for Merge: values that only the table holds, another table's foreign key and its ON DELETE action,
    triggers, subscribers that would be sent every row.
    """
    kept = [
        *defaulted_columns(target, source),
        *(column.name for column in target.table.columns.values() if column.is_identity),
    ]
    if kept:
        return f"the query does not return {', '.join(kept)}, which keep their values only so"
    found = connection.execute(_DEPENDENTS, {"oid": target.table.oid}).fetchone()
    referrer, trigger, publication = found or (None, None, None)
    if referrer:
        return f"a foreign key of {referrer} refers to the table"
    if trigger:
        return f"trigger {trigger} would see every row"
    if publication:
        return f"publication {publication} would send every row"
    return None
