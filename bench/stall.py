"""How long a reader waits while a slice is swapped, with another reader of 3 s in the way: `python -m bench.stall`.

The target: 150 ms for the runner's Swap. Its rival is the same exchange without lock_timeout: it waits for the long
reader with its lock requested, and every other reader waits behind it.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql
from rich.table import Table

from bench.console import console, keep, say
from bench.server import admin_uri, bench_database
from trending.bench.machine import look_around
from trending.bench.measure import Bench
from trending.bench.yard import Size, Yard
from trending.runner.access import from_uri
from trending.runner.migrate import migrate

Connection = psycopg.Connection[Any]

MOST: Final = 0.150
"""Seconds."""
LONG: Final = 3.0
"""Seconds that the long reader reads."""
SWAP: Final = "Swap, 3 s reader"
RIVAL: Final = "swap without lock_timeout, 3 s reader"
_TOP: Final = """
    SELECT count(*) FROM (
        SELECT track_id FROM {table} WHERE type = 'TRACKS' AND version = 'pnagD' AND time_range = 'week'
        ORDER BY score DESC, track_id LIMIT 100
    ) AS top
"""
_LOOKS: Final = """
    SELECT query_start FROM pg_stat_activity
    WHERE application_name LIKE 'trending/%' AND query LIKE '%virtualxid%' AND state = 'idle'
"""
"""When the runner last looked for older transactions: twice when it has built, and then until they have ended.

Only once it has looked: its query_start moves more than once while a statement with parameters is parsed and executed.
"""
_WAITS: Final = 3
"""The look from which on it only waits for those that it has seen."""


@dataclass
class Reader:
    """Reads the top 100 again and again, as a service does, and notes how long each took."""

    uri: str
    query: sql.Composed
    seconds: list[float] = field(default_factory=list)
    holes: int = 0
    """How often it did not see 100 rows."""
    note: str | None = None
    """What the exchange said of itself."""
    begun: threading.Event = field(default_factory=threading.Event)
    """Set when it has read once, or cannot."""

    def read(self, over: threading.Event) -> None:
        try:
            with psycopg.connect(self.uri, autocommit=True) as connection:
                while not over.is_set():
                    begun = time.perf_counter()
                    row = connection.execute(self.query).fetchone()
                    self.seconds.append(time.perf_counter() - begun)
                    self.holes += row != (100,)
                    self.begun.set()
                    over.wait(0.005)
        finally:
            self.begun.set()


class LongReader:
    """Reads once for three seconds, in a transaction that keeps its lock on the table."""

    def __init__(self, uri: str, query: sql.Composed) -> None:
        self._uri = uri
        self._query = query
        self.begun = threading.Event()

    def read_at_once(self, over: threading.Event) -> None:
        with psycopg.connect(self._uri) as connection:
            self._begin(connection)
            self.begun.set()
            over.wait(LONG)

    def read_after_a_build(self, over: threading.Event) -> None:
        """Begin when a new partition has been built and readers from before are waited for: one of those, which has no
        lock on the table, stays until then. Whoever begins later is not waited for, but is in the exchange's way."""
        with psycopg.connect(self._uri) as connection:
            with psycopg.connect(self._uri) as older, psycopg.connect(self._uri, autocommit=True) as observer:
                older.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # so that its snapshot stays, too
                older.execute("SELECT FROM pg_class")
                self.begun.set()
                looks: set[Any] = set()
                while len(looks) < _WAITS:
                    looks.update(observer.execute(_LOOKS).fetchall())
                    if over.wait(0.001):
                        return
                self._begin(connection)
            over.wait(LONG)

    def _begin(self, connection: Connection) -> None:
        """Read, in a transaction that keeps its lock on the table."""
        connection.execute(self._query)


@contextmanager
def _reading(uri: str, query: sql.Composed, long: Callable[[threading.Event], None] | None) -> Iterator[Reader]:
    """Read meanwhile, and have a long reader in the way."""
    reader, over = Reader(uri, query), threading.Event()
    threads = [threading.Thread(target=work, args=(over,)) for work in (reader.read, long) if work]
    try:
        for thread in threads:
            thread.start()
            reader.begun.wait()
        yield reader
    finally:
        over.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True)
class Way:
    """A way to exchange a partition, with or without a long reader."""

    name: str
    prepare: Callable[[], Callable[[], str | None]]
    """Return what exchanges it, and returns a note."""
    long: Callable[[LongReader], Callable[[threading.Event], None]] | None


def stall(rows: int, rounds: int) -> dict[str, Any]:
    """Measure it on a server of its own, each way in each round."""
    with bench_database() as database, psycopg.connect(admin_uri(database), autocommit=True) as connection:
        uri = admin_uri(database)
        migrate(connection, say=say)
        yard = Yard(connection, Size(rows=rows, slices=2))
        bench = Bench(from_uri(uri, origin="the bench's own server"), yard, connection, sees_cpu=False, settings={})
        machine = look_around(connection)
        yard.lay_out()
        bench.build("partitioned", "Swap")
        table = yard.table("partitioned", "Swap")
        query = sql.SQL(_TOP).format(table=sql.Identifier(*table.split(".")))

        def by_runner() -> str | None:
            step = bench.run("partitioned", "Swap", bench.gauge())
            if step.strategy != "Swap":
                raise RuntimeError(f"it was no swap: {step.note}")
            return step.note

        ways = (
            Way("no swap, 3 s reader", lambda: lambda: time.sleep(LONG), lambda long: long.read_at_once),
            Way("Swap, no long reader", lambda: by_runner, None),
            Way(SWAP, lambda: by_runner, lambda long: long.read_after_a_build),
            Way(RIVAL, lambda: _built(connection, yard), lambda long: long.read_at_once),
        )
        found: dict[str, list[Reader]] = {way.name: [] for way in ways}
        for round_ in range(rounds):
            for way in ways:
                say(f"round {round_ + 1}: {way.name}")
                act = way.prepare()
                long = LongReader(uri, query) if way.long else None
                with _reading(uri, query, way.long(long) if way.long and long else None) as reader:
                    if long:
                        long.begun.wait()
                    reader.note = act()
                found[way.name].append(reader)
    _print(found, rows)
    return {
        "machine": machine.to_json(),
        "rows": rows,
        "ways": [
            {
                "way": name,
                "worst": [max(reader.seconds) for reader in readers],
                "reads": sum(len(reader.seconds) for reader in readers),
                "holes": sum(reader.holes for reader in readers),
                "notes": [reader.note for reader in readers],
            }
            for name, readers in found.items()
        ],
    }


def _built(connection: Connection, yard: Yard) -> Callable[[], str | None]:
    """Build a partition beside the one there is, and return what exchanges the two the naive way."""
    parent = f"{yard.schema}.scores_partitioned_swap_tracks_pnagd"
    row = connection.execute(
        "SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid "
        "WHERE inhparent = %s::regclass AND pg_get_expr(c.relpartbound, c.oid) LIKE '%%week%%'",
        [parent],
    ).fetchone()
    if row is None:
        raise AssertionError("the slice has no partition")
    old, new = sql.Identifier(yard.schema, row[0]), sql.Identifier(yard.schema, f"{row[0][:40]}_{time.monotonic_ns()}")
    whole = sql.Identifier(*parent.split("."))
    for statement in (
        "CREATE TABLE {new} (LIKE {old} INCLUDING ALL)",
        "INSERT INTO {new} SELECT * FROM {old}",
        "ALTER TABLE {new} ADD CHECK (type = 'TRACKS' AND version = 'pnagD' AND time_range = 'week')",
        "VACUUM (ANALYZE) {new}",
    ):
        connection.execute(sql.SQL(statement).format(new=new, old=old))

    def exchange() -> None:
        with connection.transaction():
            connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(whole, old))
            connection.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ('week')").format(whole, new))
            connection.execute(sql.SQL("DROP TABLE {}").format(old))

    return exchange


def _print(found: dict[str, list[Reader]], rows: int) -> None:
    table = Table("way", title=f"The worst stall of a reader, {rows:,} rows a slice", title_justify="left", box=None)
    for heading in ("worst, ms, each round", "reads", "holes seen"):
        table.add_column(heading, justify="right")
    for name, readers in found.items():
        worst = ", ".join(f"{max(reader.seconds) * 1000:.0f}" for reader in readers)
        reads, holes = sum(len(reader.seconds) for reader in readers), sum(reader.holes for reader in readers)
        table.add_row(name, worst, f"{reads:,}", str(holes))
    console.print(table)
    worst_swap = max(max(reader.seconds) for reader in found[SWAP])
    console.print(
        f"Swap with a 3 s reader in the way: {'within' if worst_swap <= MOST else 'over'} {MOST * 1000:.0f} ms"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="of a slice (default 500,000)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    options = parser.parse_args(arguments)
    keep("stall", stall(options.rows, options.rounds))


if __name__ == "__main__":
    main()
