"""Readers and writers while a table is partitioned: nobody sees less than all, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.postgres.boards import target, with_board
from tests.postgres.partitions import Heard, checksum, in_the_end, outlined, partition
from tests.postgres.runs import Heard as HeardOfRun
from tests.postgres.runs import report_of, run
from tests.postgres.server import Database
from tests.waiting import until
from trending.runner.failure import RunError
from trending.runner.partition.work import ObstaclesError

WAIT_STARTS = "writers of"
VACUUM = "VACUUM"
EXCHANGE = "exchanging"


@pytest.fixture
def board(database: Database) -> Database:
    with_board(database)
    database.execute(
        "INSERT INTO hot SELECT b, k, g, g, 'old', '2020-01-01', 'x' FROM generate_series(1, 20000) AS g, "
        "(VALUES ('main', 'a'), ('main', 'b'), ('side', 'a')) AS v (b, k); CREATE INDEX ON hot (score)"
    )
    return database


def until_true(database: Database, query: str) -> None:
    """Wait until a query returns true."""
    until(lambda: database.execute(query) == [(True,)], what=query, pause=0.05)


def waiting(database: Database, table: str = "hot") -> None:
    until_true(database, f"SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted)")


class Beside(threading.Thread):
    """Statements of another session, in a thread of their own."""

    def __init__(self, database: Database, *statements: str, isolation: str = "READ COMMITTED") -> None:
        super().__init__()
        self.error: psycopg.Error | None = None
        self._database, self._statements, self._isolation = database, statements, isolation
        self.start()

    def run(self) -> None:
        try:
            with self._database.connect() as connection:
                connection.execute(f"SET TRANSACTION ISOLATION LEVEL {self._isolation}".encode())
                for statement in self._statements:
                    connection.execute(statement.encode())
        except psycopg.Error as error:
            self.error = error


@contextmanager
def readers(database: Database, query: str) -> Iterator[list[Any]]:
    """Read again and again, prepared and not; the list holds how often, and each distinct answer."""
    over, counts, answers = threading.Event(), [], set()

    def read(prepare: bool) -> None:
        number = 0
        with database.connect(autocommit=True) as connection:
            while not over.is_set():
                answers.add(connection.execute(query.encode(), prepare=prepare).fetchone())
                number += 1
        counts.append(number)

    threads = [threading.Thread(target=read, args=(prepare,)) for prepare in (True, False)]
    for thread in threads:
        thread.start()
    seen: list[Any] = []
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
        seen += [counts, answers]


@pytest.mark.parametrize("undo", [False, True])
def test_readers_in_a_loop_see_all_rows_always(board: Database, undo: bool) -> None:
    query = "SELECT count(*), sum(score), min(kind) FROM hot WHERE board = 'main'"
    if undo:
        partition(board, "hot", by=("board", "kind"))
    with readers(board, query) as seen:
        partition(board, "hot", **({"undo": True} if undo else {"by": ("board", "kind")}))
    counts, answers = seen
    assert len(answers) == 1
    assert min(counts) > 5


def test_writers_wait_and_lose_nothing(board: Database) -> None:
    writers: list[Beside] = []

    def write() -> None:
        insert = "INSERT INTO hot (board, kind, post_id) VALUES ('main', 'new', {})"
        writers.extend(Beside(board, insert.format(number)) for number in range(3))
        writers.append(Beside(board, "UPDATE hot SET genre = 'changed' WHERE board = 'side'"))
        waiting(board)

    partition(board, "hot", by=("board", "kind"), heard=Heard({WAIT_STARTS: write}))
    for writer in writers:
        writer.join()
        assert writer.error is None
    assert board.execute("SELECT count(*) FROM hot WHERE kind = 'new'") == [(3,)]
    assert board.execute("SELECT count(*), count(*) FILTER (WHERE genre = 'changed') FROM hot") == [(60003, 20000)]
    assert board.execute("SELECT relkind::text FROM pg_class WHERE relname = 'hot'") == [("p",)]


def test_a_writer_that_was_first_is_waited_for_and_its_rows_are_copied(board: Database) -> None:
    with board.connect() as writer:
        writer.execute("INSERT INTO hot (board, kind, post_id) VALUES ('main', 'late', 1)")
        commit = threading.Timer(0.5, writer.commit)
        commit.start()
        partition(board, "hot", by=("board", "kind"))
        commit.join()
    assert board.execute("SELECT tableoid::regclass::text FROM hot WHERE kind = 'late'") == [("hot_main_late",)]


def test_an_older_snapshot_is_waited_for_and_never_finds_the_table_empty(board: Database) -> None:
    found: list[Any] = []
    with board.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM source")

        def read() -> None:
            found.extend(reader.execute("SELECT count(*) FROM hot").fetchall())
            reader.rollback()

        partition(board, "hot", by=("board", "kind"), heard=Heard({"waiting for 1 transactions": read}))
    assert found == [(60000,)]


def test_who_never_ends_makes_it_give_up_with_nothing_changed(board: Database) -> None:
    before, outline = checksum(board, "hot"), outlined(board, "hot")
    with board.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM source")
        with pytest.raises(
            RunError, match=f"older than the copy and would find it empty \\(pid {reader.info.backend_pid}"
        ):
            partition(board, "hot", by=("board",), wait=1)
    assert (checksum(board, "hot"), outlined(board, "hot")) == (before, outline)
    assert in_the_end(board) == ["hot", "source"]


def test_a_reader_in_the_way_of_the_exchange_is_named(board: Database) -> None:
    with board.connect() as reader:

        def read() -> None:
            reader.execute("SELECT 1 FROM hot LIMIT 1")

        with pytest.raises(
            RunError, match=f"the instant to exchange public.hot .* held by pid {reader.info.backend_pid} "
        ):
            partition(board, "hot", by=("board",), wait=1, heard=Heard({EXCHANGE: read}))
    assert in_the_end(board) == ["hot", "source"]


def test_a_transaction_that_read_and_then_writes_does_not_lead_to_a_wrong_table(board: Database) -> None:
    beside: list[Beside] = []

    def read_and_write() -> None:
        beside.append(Beside(board, "SELECT 1 FROM hot LIMIT 1", "UPDATE hot SET genre = 'mixed' WHERE post_id = 1"))
        waiting(board)

    with pytest.raises(RunError, match="the instant to exchange"):
        partition(board, "hot", by=("board",), wait=2, heard=Heard({WAIT_STARTS: read_and_write}))
    beside[0].join()
    assert beside[0].error is None
    assert board.execute("SELECT count(*) FROM hot WHERE genre = 'mixed'") == [(3,)]
    assert in_the_end(board) == ["hot", "source"]


def test_ddl_that_queues_up_does_not_stop_it(board: Database) -> None:
    beside: list[Beside] = []

    def alter() -> None:
        beside.append(Beside(board, "ALTER TABLE hot ADD COLUMN later int DEFAULT 7"))
        waiting(board)

    partition(board, "hot", by=("board",), heard=Heard({WAIT_STARTS: alter}))
    beside[0].join()
    assert beside[0].error is None
    assert board.execute("SELECT count(later) FROM hot") == [(60000,)]


def test_a_view_that_comes_meanwhile_is_found_at_the_last_moment(board: Database) -> None:
    def view() -> None:
        board.execute("CREATE VIEW late AS SELECT * FROM hot")

    with pytest.raises(ObstaclesError, match=r"view public\.late reads it"):
        partition(board, "hot", by=("board",), heard=Heard({VACUUM: view}))
    assert board.execute("SELECT count(*) FROM late") == [(60000,)]
    assert in_the_end(board) == ["hot", "source"]


def test_a_grant_that_comes_meanwhile_is_kept(board: Database) -> None:
    def grant() -> None:
        board.execute("GRANT SELECT ON hot TO PUBLIC; GRANT UPDATE (score) ON hot TO PUBLIC")

    heard = Heard({VACUUM: grant})
    partition(board, "hot", by=("board",), heard=heard)
    assert board.execute("SELECT has_table_privilege('pg_monitor', 'hot', 'SELECT')") == [(True,)]
    assert board.execute("SELECT has_column_privilege('pg_monitor', 'hot', 'score', 'UPDATE')") == [(True,)]


def test_a_run_waits_for_it_by_the_lock_of_its_slice(board: Database) -> None:
    board.execute("INSERT INTO source SELECT kind, post_id, score, genre FROM hot WHERE board = 'main'")
    report_of(run(board, target()))
    board.execute("UPDATE source SET score = 9 WHERE post_id = 1 AND kind = 'a'")
    heard, reports = HeardOfRun(), []
    thread = threading.Thread(target=lambda: reports.append(report_of(run(board, target(), heard=heard))))

    def start() -> None:
        thread.start()
        heard.wait_for("waiting for slice public.hot")

    partition(board, "hot", heard=Heard({WAIT_STARTS: start}))
    thread.join()
    assert reports
    assert board.execute(
        "SELECT score, tableoid::regclass::text FROM hot WHERE board = 'main' AND kind = 'a' AND post_id = 1"
    ) == [(9, "hot_main_a")]


def _killed(which: int, moment: str) -> Callable[[Database], Heard]:
    def listener(board: Database) -> Heard:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests' AND pid = ANY(%s)"
        )

        def kill() -> None:
            held = board.execute(
                "SELECT pid FROM pg_locks WHERE relation = 'hot'::regclass AND mode = %s AND granted",
                ["ShareRowExclusiveLock" if which == 0 else "AccessShareLock"],
            )
            pids = (
                [pid for (pid,) in held]
                if moment != VACUUM or which == 0
                else [
                    pid
                    for (pid,) in board.execute(
                        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                        "AND application_name = 'tests' "
                        "AND state = 'idle' AND query LIKE 'COMMIT%%' AND pid <> pg_backend_pid()"
                    )
                ]
            )
            assert pids
            board.execute(query, [pids])
            until_true(board, f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY(ARRAY{pids}))")

        return Heard({moment: kill})

    return listener


@pytest.mark.parametrize("moment", [WAIT_STARTS, "copied", "building", VACUUM])
@pytest.mark.parametrize("which", [0, 1], ids=["keeper", "worker"])
def test_a_killed_backend_leaves_the_table_as_it_was_and_the_next_time_works(
    board: Database, which: int, moment: str
) -> None:
    before, outline = checksum(board, "hot"), outlined(board, "hot")
    with pytest.raises((RunError, psycopg.Error)):
        partition(board, "hot", by=("board",), heard=_killed(which, moment)(board))
    assert (checksum(board, "hot"), outlined(board, "hot")) == (before, outline)
    left = in_the_end(board)
    is_behind = which == 1 and moment == VACUUM
    assert ("hot_unfinished_copy" in left) == is_behind, left
    done = partition(board, "hot", by=("board",))
    assert done.left_behind == ('"public"."hot_unfinished_copy"' if is_behind else None)
    assert checksum(board, "hot") == before
    assert in_the_end(board) == ["hot", "hot_default", "hot_main", "hot_side", "source"]


def test_somebody_elses_table_of_that_name_is_not_dropped(board: Database) -> None:
    board.execute("CREATE TABLE hot_unfinished_copy (mine int)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        partition(board, "hot", by=("board",))
    assert board.execute("SELECT count(*) FROM hot_unfinished_copy") == [(0,)]
    with board.connect() as connection:
        assert connection.info.transaction_status == TransactionStatus.IDLE


def test_two_at_a_time_do_it_once(board: Database) -> None:
    errors: list[BaseException] = []

    def other() -> None:
        try:
            partition(board, "hot", by=("board",))
        except RunError as error:
            errors.append(error)

    thread = threading.Thread(target=other)

    def start() -> None:
        thread.start()

    partition(board, "hot", by=("board",), heard=Heard({WAIT_STARTS: start}))
    thread.join()
    assert len(errors) == 1
    assert board.execute("SELECT count(*) FROM hot") == [(60000,)]
    assert in_the_end(board) == ["hot", "hot_default", "hot_main", "hot_side", "source"]
