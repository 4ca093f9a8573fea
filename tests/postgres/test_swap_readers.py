"""Readers see the old slice or the new one, whole, whenever they began; nobody waits for long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.postgres.server import ADMIN, BINARIES, Database, running_server
from tests.postgres.swaps import SCORES, built, put, ranking, swapped, wait
from tests.waiting import SECONDS, until
from trending.runner.rewrite.swap import discard, exchange

ROWS = 1000
SUM = ROWS * (ROWS + 1) // 2
CHECKSUM = (
    "SELECT count(*), sum(score)::bigint, count(DISTINCT genre) FROM scores WHERE version = 'v1' AND span = 'week'"
)


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    with database.connect(autocommit=True) as connection:
        swapped(connection, ranking(1, rows=ROWS))
    return database


class Reader:
    """Reads the slice again and again, and remembers what it saw, in order, and its longest wait."""

    def __init__(self, database: Database, isolation: str) -> None:
        self._database = database
        self._isolation = isolation
        self._over = threading.Event()
        self.seen: list[tuple[int, int, int]] = []
        self.reads = 0
        self.seconds = 0.0
        self.worst = 0.0
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
            begun = time.monotonic()
            for _ in range(2 if self._isolation == "REPEATABLE READ" else 1):
                row: Any = connection.execute(CHECKSUM).fetchone()
                if not self.seen or self.seen[-1] != row:
                    self.seen.append(row)
                self.reads += 1
            self.worst = max(self.worst, time.monotonic() - begun)

    def __str__(self) -> str:
        return (
            f"{self._isolation}: {self.reads / self.seconds:.0f} reads a second, worst {self.worst * 1000:.0f} ms, "
            f"saw {self.seen}"
        )


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_readers_in_a_loop_see_one_whole_slice_or_the_next(scores: Database, isolation: str) -> None:
    swaps = 12
    with (
        Reader(scores, isolation).reading() as reader,
        Reader(scores, isolation).reading() as other,
        scores.connect(autocommit=True) as connection,
    ):
        for factor in range(2, swaps + 1):
            made = built(connection, ranking(factor, rows=ROWS))
            assert wait(connection, made)
            patiently(connection, made)
            goes_on(reader)
            goes_on(other)
    for each in (reader, other):
        expected = [(ROWS, SUM * factor, 1) for factor in range(1, swaps + 1)]
        assert [state for state in expected if state in each.seen] == each.seen, each
        assert len(each.seen) > 1, "it read nothing meanwhile"
        sys.stdout.write(f"{each}\n")


def goes_on(reader: Reader, reads: int = 20) -> None:
    """Wait until the reader has read so many times more; how long that takes, the machine decides."""
    enough = reader.reads + reads
    until(lambda: reader.reads >= enough or bool(reader.errors), what="a reader goes on reading", pause=0.02)


def patiently(connection: psycopg.Connection[Any], made: Any) -> int:
    """Try until nobody is in the way, and return how often somebody was."""
    refusals = 0

    def is_put() -> bool:
        nonlocal refusals
        try:
            put(connection, made)
        except psycopg.errors.LockNotAvailable:
            refusals += 1
            return False
        return True

    until(is_put, what="the exchange gets its lock", pause=0.02)
    return refusals


def test_a_long_reader_is_not_waited_for_with_others_behind(scores: Database) -> None:
    with scores.connect() as long, scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2, rows=ROWS))
        long.execute("SELECT count(*) FROM scores")
        with Reader(scores, "READ COMMITTED").reading() as reader:
            with connection.transaction():
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    exchange(connection, made, lock_seconds=0.05)
                # The transaction goes on, with its own settings.
                assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)
                assert connection.execute(CHECKSUM).fetchone() == (ROWS, SUM, 1)
            goes_on(reader)  # while the long one is still there
            long.rollback()
            patiently(connection, made)
            assert connection.execute(CHECKSUM).fetchone() == (ROWS, 2 * SUM, 1)
    assert [state for state in reader.seen if state not in ((ROWS, SUM, 1), (ROWS, 2 * SUM, 1))] == [], reader


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_is_older_than_the_build_is_waited_for(scores: Database, isolation: str) -> None:
    with scores.connect() as old, scores.connect(autocommit=True) as connection:
        old.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        old.execute("SELECT count(*) FROM pg_class")
        made = built(connection, ranking(2, rows=ROWS))
        assert not wait(connection, made, seconds=0.2)
        assert old.execute(CHECKSUM).fetchone() == (ROWS, SUM, 1)
        assert wait(connection, made, own=[old.info.backend_pid]), "the run's own sessions are not waited for"
        with Ending(old):
            assert wait(connection, made)
        put(connection, made)
    assert scores.execute(CHECKSUM) == [(ROWS, 2 * SUM, 1)]


class Ending:
    """Ends a session's transaction in a while, from another thread."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._timer = threading.Timer(0.2, connection.rollback)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()


def test_who_is_not_waited_for_would_find_the_slice_empty(scores: Database) -> None:
    """Why `wait_for_older` is there: what it prevents does happen without it."""
    with scores.connect() as old, scores.connect(autocommit=True) as connection:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM pg_class")
        put(connection, built(connection, ranking(2, rows=ROWS)))
        assert old.execute(CHECKSUM).fetchone() == (0, None, 0)


def test_transactions_that_began_after_the_build_or_elsewhere_are_not_waited_for(scores: Database) -> None:
    server = scores.server
    with (
        server.database() as elsewhere,
        elsewhere.connect() as other,
        scores.connect() as young,
        scores.connect(autocommit=True) as connection,
    ):
        other.execute("SELECT count(*) FROM pg_class")
        made = built(connection, ranking(2, rows=ROWS))
        young.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        young.execute("SELECT count(*) FROM pg_class")
        assert wait(connection, made)
        put(connection, made)
        assert young.execute(CHECKSUM).fetchone() == (ROWS, 2 * SUM, 1)


def test_a_vacuum_of_another_table_is_not_waited_for(scores: Database) -> None:
    scores.execute("CREATE TABLE big AS SELECT g, repeat('x', 500) AS t FROM generate_series(1, 20000) AS g")
    slow = scores.connect(autocommit=True)
    slow.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
    vacuum = threading.Thread(target=_cancelled, args=(slow, "VACUUM big"))
    vacuum.start()
    pause = threading.Event()
    try:
        with scores.connect(autocommit=True) as connection:
            while connection.execute("SELECT count(*) FROM pg_stat_progress_vacuum").fetchone() == (0,):
                pause.wait(0.01)
            made = built(connection, ranking(2, rows=ROWS))
            assert connection.execute("SELECT count(*) FROM pg_stat_progress_vacuum").fetchone() == (1,)
            assert wait(connection, made, seconds=10), "the vacuum takes minutes"
            discard(connection, made)
    finally:
        slow.cancel_safe()
        vacuum.join()
        slow.close()


def _cancelled(connection: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(statement)


def test_a_dump_that_began_before_the_build_has_the_old_rows() -> None:
    """With Debian's pg_dump, so on its server."""
    with running_server(15) as server, server.database() as database:
        database.execute(SCORES)
        database.execute("CREATE TABLE gate (id int)")
        with database.connect() as gate, database.connect(autocommit=True) as connection:
            gate.execute("LOCK TABLE gate IN ACCESS EXCLUSIVE MODE")
            command = [str(BINARIES / "pg_dump"), "-h", str(server.folder), "-p", str(server.port), "-U", ADMIN]
            # Only what it has locked would keep the exchange away: it reads the week after the gate is open.
            dump = subprocess.Popen(
                [*command, "--inserts", database.name], stdout=subprocess.PIPE, text=True, env={"PATH": os.defpath}
            )
            _wait_for_waiter(connection)
            made = built(connection, ranking(2))
            assert not wait(connection, made, seconds=0.2)
            gate.rollback()
            dumped, _ = dump.communicate(timeout=SECONDS)
            assert dump.returncode == 0
            assert wait(connection, made)
            put(connection, made)
    assert dumped.count("INSERT INTO public.scores_v1_week VALUES") == 100
    assert dumped.count("INSERT INTO public.scores_v1_week VALUES (7, 'rock', 'v1', 'week', 7,") == 1


def _wait_for_waiter(connection: psycopg.Connection[Any]) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'gate'::regclass"
    until(lambda: connection.execute(query).fetchone() == (1,), what="the dump comes to the gate", pause=0.02)
