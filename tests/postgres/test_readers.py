"""Whoever reads while a strategy writes sees the old slice or the new one, whole, by a checksum over every row.

How often they read is told by `pytest -rP`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from tests.postgres.boards import QUERY, target, with_board
from tests.postgres.programs import program
from tests.postgres.runs import report_of, run, step_of
from tests.postgres.server import ADMIN, Database
from tests.postgres.sides import Side
from tests.waiting import SECONDS, until
from trending.api.spec import TrendingScheduleSpec

STRATEGIES = ("Merge", "DeleteInsert", "Upsert", "Swap", "Auto")
IN_PARTITIONS = ("Swap", "Auto")
"""Auto swaps there, since all rows change."""
ROWS = 1000
"""Of each of two kinds."""
RUNS = 4
READS = 50
"""How many each reader does with no run beside it, to compare."""
IN_SLICE = "board = 'main' AND kind IN ('a', 'b')"
CHECKSUM = "SELECT count(*), sum(hashtextextended(concat_ws('|', kind, post_id, score, genre), 0)) FROM"
SLICE = f"{CHECKSUM} hot WHERE {IN_SLICE}"


@pytest.fixture
def board(database: Database, request: pytest.FixtureRequest) -> Database:
    with_board(database, in_partitions=request.node.callspec.params["strategy"] in IN_PARTITIONS)
    next_source(database, 1)
    database.execute(
        "INSERT INTO hot SELECT 'main', kind, post_id, score, genre FROM source;"
        "INSERT INTO hot SELECT 'side', kind, post_id, score, genre FROM source; ANALYZE"
    )
    return database


def next_source(database: Database, factor: int) -> Any:
    """Have the source return other rows, more of them, some for the first time; their checksum."""
    database.execute(
        f"TRUNCATE source; INSERT INTO source SELECT k, g, g * {factor}, 'rock' "
        f"FROM generate_series({factor}, {ROWS + 3 * factor}) AS g, (VALUES ('a'), ('b')) AS w (k)"
    )
    return database.execute(f"{CHECKSUM} source")[0]


def wanted(strategy: str) -> TrendingScheduleSpec:
    return target(
        strategy, query=QUERY.replace(" FROM", ", 'told' AS extra FROM")
    )  # Auto swaps where no column is lost


class Reader:
    """Reads the slice again and again, in transactions of so many reads each."""

    def __init__(self, database: Database, isolation: str, reads: int) -> None:
        self._database, self._isolation, self._reads = database, isolation, reads
        self._over = threading.Event()
        self.seen: list[Any] = []
        """The checksums, in order, each when it came; those of one transaction are one."""
        self.torn: list[Any] = []
        self.count = 0
        self.seconds = self.worst = 0.0
        self.errors: list[BaseException] = []

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        thread = threading.Thread(target=self._loop)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _loop(self) -> None:
        begun = time.monotonic()
        try:
            with self._database.connect(autocommit=True) as connection:
                while not self._over.is_set():
                    self._read(connection)
        except psycopg.Error as error:
            self.errors.append(error)
        self.seconds = time.monotonic() - begun

    def _read(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {self._isolation}")
            rows = []
            for _ in range(self._reads):
                begun = time.monotonic()
                rows.append(connection.execute(SLICE).fetchone())
                self.worst = max(self.worst, time.monotonic() - begun)
        self.count += len(rows)
        if self._isolation == "REPEATABLE READ" and rows[1:] != rows[:-1]:
            self.torn.append(rows)
        self.seen += [row for at, row in enumerate(rows) if row != (rows[at - 1] if at else (self.seen or [None])[-1])]


@contextmanager
def several_readers(database: Database) -> Iterator[list[Reader]]:
    kinds = (("READ COMMITTED", 1), ("READ COMMITTED", 1), ("REPEATABLE READ", 5))
    with ExitStack() as stack:
        yield [stack.enter_context(Reader(database, isolation, reads).reading()) for isolation, reads in kinds]


def rate_of(readers: list[Reader]) -> float:
    """How many reads a second they did, all together."""
    return sum(reader.count / reader.seconds for reader in readers)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_readers_in_a_loop_see_one_whole_slice_or_the_next(board: Database, strategy: str) -> None:
    with several_readers(board) as alone:
        until(lambda: all(reader.count >= READS for reader in alone), what="the readers read", pause=0.02)
    states = [next_source(board, 1)]
    with several_readers(board) as readers:
        for factor in range(2, RUNS + 2):
            states.append(next_source(board, factor))
            taken = step_of(report_of(run(board, wanted(strategy))), "own").strategy
            assert taken == ("Swap" if strategy == "Auto" else strategy)
    usual, rate = rate_of(alone), rate_of(readers)
    sys.stdout.write(
        f"{strategy}: {rate:.0f} reads a second during {RUNS} runs, {usual:.0f} without, "
        f"the longest {1000 * max(reader.worst for reader in readers):.0f} ms\n"
    )
    for reader in readers:
        assert reader.torn == []
        # Nothing else, and never an older one after a newer one.
        assert reader.seen == [state for state in states if state in reader.seen]
    assert any(len(reader.seen) > 1 for reader in readers), "nobody saw a change"
    # How fast that is, the machine decides; what a run takes of it, the strategy.
    assert rate >= usual / 20, "they were kept from reading"


def wait_until_written_or_built(database: Database, side: Side, strategy: str) -> None:
    """Wait until the run is done; one that swaps, until it has built, since then it waits for who is open."""
    if strategy not in IN_PARTITIONS:
        side.join()
        return
    # Vacuumed too, and so committed.
    query = "SELECT count(*) FROM pg_class WHERE relname LIKE 'trending_swap%' AND relkind = 'r' AND reltuples > 0"

    def is_built() -> bool:
        assert side.is_alive(), "it did not wait"
        return database.execute(query) == [(2,)]

    until(is_built, what="new partitions are built", pause=0.02)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_transaction_with_an_older_snapshot_sees_the_old_slice_to_its_end(board: Database, strategy: str) -> None:
    (old,) = board.execute(SLICE)
    new = next_source(board, 2)
    with board.connect() as older:
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM trending.run")  # its snapshot; of the table itself it has no lock
        side = Side(board, wanted(strategy))
        wait_until_written_or_built(board, side, strategy)
        assert older.execute(SLICE).fetchone() == old
        older.rollback()
        assert step_of(side.report(), "own").strategy == ("Swap" if strategy == "Auto" else strategy)
        assert older.execute(SLICE).fetchone() == new


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_dump_that_began_before_the_run_has_the_old_slice(board: Database, strategy: str) -> None:
    copied = f"SELECT concat_ws('|', board, kind, post_id, score, genre) FROM hot WHERE {IN_SLICE} ORDER BY 1"
    old = [row for (row,) in board.execute(copied)]
    # The dump stops at this one, with its snapshot taken and the other tables locked.
    board.execute("CREATE TABLE zz_gate (id int)")
    new = next_source(board, 2)
    with board.connect() as gate, ExitStack() as stack:
        gate.execute("LOCK TABLE zz_gate IN ACCESS EXCLUSIVE MODE")
        dump = stack.enter_context(dumping(board))
        _wait_for_the_dump(board)
        side = Side(board, wanted(strategy))
        wait_until_written_or_built(board, side, strategy)
        gate.rollback()
        dumped, _ = dump.communicate(timeout=SECONDS)
    assert dump.returncode == 0
    assert step_of(side.report(), "own").strategy == ("Swap" if strategy == "Auto" else strategy)
    assert board.execute(SLICE) == [new]
    rows = [line.split("\t") for line in dumped.splitlines() if line.startswith("main\t")]
    assert sorted("|".join(row[:5]) for row in rows) == sorted(old)


def dumping(database: Database) -> subprocess.Popen[str]:
    server = database.server
    command = [str(program(server, "pg_dump")), "-h", str(server.folder), "-p", str(server.port), "-U", ADMIN]
    return subprocess.Popen(
        [*command, "--load-via-partition-root", database.name],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath},
    )


def _wait_for_the_dump(database: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'zz_gate'::regclass"
    until(lambda: database.execute(query) == [(1,)], what="the dump comes to the gate", pause=0.02)
