"""Tables that are partitioned by tests, and what must be the same before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.postgres.server import OWNER, Database
from trending.runner.partition import Done, Request, carry_out
from trending.runner.stop import Stop

HOSTILE = """o'Hara""; DROP ""%s {0} é"""

# What others see of a table, whether it is partitioned or not.
_OUTLINE = """
    SELECT json_build_object(
        'table', (SELECT ARRAY[relowner::regrole::text, obj_description(oid, 'pg_class'),
            (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(relacl) AS acl)]
            FROM pg_class WHERE oid = t),
        'columns', (SELECT json_agg(ARRAY[attname, format_type(atttypid, atttypmod), attnotnull::text, attstorage::text,
                attgenerated::text, CASE WHEN attstattarget >= 0 THEN attstattarget::text END, attoptions::text,
                attacl::text, pg_get_expr(adbin, adrelid), col_description(t, attnum)] ORDER BY attnum)
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = t AND attnum > 0 AND NOT attisdropped),
        'constraints', (SELECT json_agg(ARRAY[conname, contype::text, pg_get_constraintdef(oid),
            obj_description(oid, 'pg_constraint')] ORDER BY conname) FROM pg_constraint WHERE conrelid = t),
        'indexes', (SELECT json_agg(ARRAY[replace(pg_get_indexdef(indexrelid), ' ONLY ', ' '), indisprimary::text,
            indisvalid::text, obj_description(indexrelid, 'pg_class')] ORDER BY indexrelid::regclass::text)
            FROM pg_index WHERE indrelid = t),
        'statistics', (SELECT json_agg(ARRAY[pg_get_statisticsobjdef(oid), stxstattarget::text,
            obj_description(oid, 'pg_statistic_ext')] ORDER BY stxname) FROM pg_statistic_ext WHERE stxrelid = t),
        'storage', (SELECT ARRAY[leaf.reloptions::text, toast.reloptions::text] FROM pg_class AS leaf
            JOIN pg_class AS toast ON toast.oid = leaf.reltoastrelid
            WHERE leaf.oid = coalesce((SELECT min(relid::oid) FROM pg_partition_tree(t) WHERE isleaf), t)),
        'sequences', (SELECT json_agg(ARRAY[objid::regclass::text, refobjsubid::text]) FROM pg_depend
            WHERE refobjid = t AND deptype = 'a' AND classid = 'pg_class'::regclass
            AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S'))
    ) FROM (SELECT to_regclass(%s)::oid AS t) AS given
"""


@dataclass
class Heard:
    """Notes what is said, and calls back when a text begins so."""

    then: dict[str, Callable[[], None]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def says(self, text: str) -> None:
        self.lines.append(text)
        for beginning, callback in list(self.then.items()):
            if text.startswith(beginning):
                del self.then[beginning]
                callback()

    def copied(self, rows: int, of: int) -> None:
        self.says(f"copied {rows} of {of}")


def partition(
    database: Database,
    table: str,
    *,
    heard: Heard | None = None,
    wait: float = 20,
    role: str = OWNER,
    **request: Any,
) -> Done:
    """Do it in this process; `heard` is called in the middle of it."""
    stop = Stop(datetime.now(UTC) + timedelta(seconds=120))
    with (
        database.connect(role=role, autocommit=True) as keeper,
        database.connect(role=role, autocommit=True) as worker,
        stop.watching(),
    ):
        wanted = Request(table=table, **request)
        return carry_out(keeper, worker, wanted, wait_seconds=wait, stop=stop, listener=heard or Heard())


def outlined(database: Database, table: str) -> Any:
    return database.execute(_OUTLINE, [table])[0][0]


def checksum(database: Database, table: str) -> list[Any]:
    """How many rows, and a sum over all of them in whatever order."""
    return database.execute(f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {table} AS t")


def in_the_end(database: Database) -> list[str]:
    """All tables that there are."""
    query = (
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace "
        "ORDER BY 1"
    )
    return [name for (name,) in database.execute(query)]
