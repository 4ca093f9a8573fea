"""What a run writes where nothing has changed: `python -m bench.unchanged`.

The target: after a VACUUM no record on the target's relations but full-page images for hint bits (XLOG/FPI_FOR_HINT),
and under 256 kB in all, stage and ledger included. Read record by record with pg_walinspect.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from rich.table import Table

from bench.console import console, keep, say
from bench.server import admin_uri, bench_database
from trending.api.spec import Strategy
from trending.bench.ledger import forget
from trending.bench.machine import look_around
from trending.bench.measure import Bench
from trending.bench.yard import Kind, Size, Yard
from trending.runner.access import from_uri
from trending.runner.migrate import migrate

MOST: Final = 256 * 1024
"""Bytes of write-ahead log."""
ALLOWED: Final = "XLOG/FPI_FOR_HINT"
STRATEGIES: tuple[Strategy, ...] = ("Merge", "Auto", "Upsert")
KINDS: tuple[Kind, ...] = ("plain", "partitioned")

_RECORDS: Final = """
    SELECT resource_manager || '/' || record_type, record_length, coalesce(block_ref, '')
    FROM pg_get_wal_records_info(%s, %s)
"""
_FILES: Final = """
    SELECT pg_relation_filenode(oid) FROM pg_class
    WHERE relnamespace = %s::regnamespace AND relname LIKE 'scores%%' AND pg_relation_filenode(oid) IS NOT NULL
"""
_BLOCK: Final = re.compile(r"rel \d+/\d+/(\d+)")


@dataclass(frozen=True)
class Written:
    """The write-ahead log of one run."""

    kind: Kind
    strategy: Strategy
    bytes: int
    on_target: dict[str, int]
    """Records that touch the target's tables and indexes, by type, with their number."""
    elsewhere: dict[str, int]
    """The bytes of the others."""

    @property
    def is_well(self) -> bool:
        return set(self.on_target) <= {ALLOWED} and self.bytes < MOST


def unchanged(rows: int, slices: int, *, strategies: Sequence[Strategy], kinds: Sequence[Kind]) -> dict[str, Any]:
    """Measure it on a server of its own."""
    with bench_database() as database, psycopg.connect(admin_uri(database), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_walinspect")
        migrate(connection, say=say)
        yard = Yard(connection, Size(rows=rows, slices=slices))
        access = from_uri(admin_uri(database), origin="the bench's own server")
        bench = Bench(access, yard, connection, sees_cpu=False, settings={})
        machine = look_around(connection)
        yard.lay_out()
        found = []
        for kind in kinds:
            for strategy in strategies:
                say(f"{kind}: {strategy}")
                bench.build(kind, strategy)
                connection.execute("CHECKPOINT")
                found.append(_run(connection, bench, yard, kind, strategy))
                yard.remove(kind, strategy)
        forget(connection, schedule=bench.schedule, schema=yard.schema)
    _print(found, rows)
    return {
        "machine": machine.to_json(),
        "rows": rows,
        "slices": slices,
        "runs": [{**vars(each), "isWell": each.is_well} for each in found],
    }


def _run(connection: psycopg.Connection[Any], bench: Bench, yard: Yard, kind: Kind, strategy: Strategy) -> Written:
    begin = _position(connection)
    step = bench.run(kind, strategy, bench.gauge())
    end = _position(connection)
    if (step.rows_inserted, step.rows_updated, step.rows_deleted) != (0, 0, 0):
        raise AssertionError(f"rows changed, and none was to: {step}")
    files = {str(number) for (number,) in connection.execute(_FILES, [yard.schema]).fetchall()}
    on_target: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    total = 0
    for kind_of_record, length, blocks in connection.execute(_RECORDS, [begin, end]).fetchall():
        total += length
        if files & set(_BLOCK.findall(blocks)):
            on_target[kind_of_record] += 1
        else:
            elsewhere[kind_of_record] += length
    return Written(kind, strategy, total, dict(on_target), dict(elsewhere.most_common()))


def _position(connection: psycopg.Connection[Any]) -> str:
    # The insert position: what a commit without delay has not flushed yet counts too, and is flushed here to be read.
    row = connection.execute("SELECT pg_switch_wal(), pg_current_wal_flush_lsn()::text").fetchone()
    if row is None:
        raise AssertionError("the server has no write-ahead log")
    return str(row[1])


def _print(found: Sequence[Written], rows: int) -> None:
    table = Table(title=f"Write-ahead log where nothing changed, {rows:,} rows a slice", title_justify="left", box=None)
    for heading in ("table", "strategy", "kB in all", "records on the target", "most of the rest"):
        table.add_column(heading, justify="right" if heading.startswith("kB") else "left")
    for each in found:
        on_target = ", ".join(f"{number} {name}" for name, number in each.on_target.items()) or "none"
        rest = ", ".join(f"{name} {size / 1024:.0f} kB" for name, size in list(each.elsewhere.items())[:3])
        colour = "green" if each.is_well else "red"
        table.add_row(each.kind, each.strategy, f"[{colour}]{each.bytes / 1024:.0f}[/]", on_target, rest)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of a slice (default 1,000,000)")
    parser.add_argument("--slices", type=int, default=3, help="of a table (default 3)")
    options = parser.parse_args(arguments)
    keep("unchanged", unchanged(options.rows, options.slices, strategies=STRATEGIES, kinds=KINDS))


if __name__ == "__main__":
    main()
