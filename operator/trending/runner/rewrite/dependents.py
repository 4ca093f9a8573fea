"""What hangs on a table, so that writing each of its rows anew would do more than rewrite it."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from trending.runner.failure import ConfigurationError
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
         WHERE c.oid IN (SELECT oid FROM part UNION SELECT relid FROM pg_partition_ancestors(%(oid)s::oid::regclass))
         ORDER BY p.pubname LIMIT 1)
"""

_CHILD: Final = """
    SELECT c.oid::regclass::text FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhrelid
    WHERE h.inhparent = %s AND NOT c.relispartition ORDER BY c.oid LIMIT 1
"""
_RULE: Final = """
    SELECT rulename::text FROM pg_rewrite WHERE ev_class = %s AND ev_type IN ('2', '3') ORDER BY oid LIMIT 1
"""


def inheriting(connection: Connection, target: Destination) -> str | None:
    """Return a table that inherits from the target's, which has its rows in it without being a partition."""
    row = connection.execute(_CHILD, [target.table.oid]).fetchone()
    return row[0] if row else None


def check_no_child(connection: Connection, target: Destination, strategy: str) -> None:
    """Raise ConfigurationError where another table's rows are rows of the target, since it inherits from that."""
    if child := inheriting(connection, target):
        raise ConfigurationError(
            f"strategy {strategy} cannot be: rows of {child}, which inherits from {target.table.qualified}, would come "
            "to lie in the table itself, or be there twice; use Merge, which leaves each row where it is"
        )


def check_no_rule(connection: Connection, target: Destination) -> None:
    """Raise ConfigurationError where the table has a rule that INSERT .. ON CONFLICT does not go with."""
    if row := connection.execute(_RULE, [target.table.oid]).fetchone():
        raise ConfigurationError(
            f"strategy Upsert cannot be: rule {row[0]} of {target.table.qualified} is for INSERT or UPDATE, and the "
            "server takes no ON CONFLICT then; use Merge"
        )


def reason_to_touch_few(connection: Connection, target: Destination, source: Stage) -> str | None:
    """Return why rows that stay as they are must not be written again, whatever that would save; None where they may.

    These ask for Merge: values that only the table holds, another table's foreign key and its ON DELETE action,
    triggers, subscribers that would be sent every row, rows that lie in a child.
    """
    kept = [
        *defaulted_columns(target, source),
        *(column.name for column in target.table.columns.values() if column.is_identity),
    ]
    if kept:
        return f"the query does not return {', '.join(kept)}, which keep their values only so"
    if child := inheriting(connection, target):
        return f"{child}, which inherits from the table, has rows of its own"
    found = connection.execute(_DEPENDENTS, {"oid": target.table.oid}).fetchone()
    referrer, trigger, publication = found or (None, None, None)
    if referrer:
        return f"a foreign key of {referrer} refers to the table"
    if trigger:
        return f"trigger {trigger} would see every row"
    if publication:
        return f"publication {publication} would send every row"
    return None
