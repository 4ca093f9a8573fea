"""A Swap that is killed anywhere leaves the old slice or the new one, and what else it leaves the next run drops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.postgres.crashes import recovered_from
from tests.postgres.server import OWNER, Database, PostgresServer, running_server
from tests.postgres.swaps import SCORES, built, put, ranking, slice_of, swapped, wait
from trending.runner.failure import RunError
from trending.runner.rewrite.swap import ChangedError, Partitions, discard, drop_leftovers, exchange, find_partitions

SUM = "SELECT sum(score) FROM scores WHERE version = 'v1' AND span = 'week'"
BUILT = "SELECT relname FROM pg_class WHERE relname LIKE 'trending_swap%' AND relkind IN ('r', 'i') ORDER BY 1"
NAMES = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


class Mortal(psycopg.Connection[Any]):
    """A session whose backend is ended before its statement of a given number."""

    end: Callable[[int], object]
    left: int
    said: list[str]

    def execute(self, *args: Any, **others: Any) -> Any:
        self.said.append(sql.as_string(args[0], self))
        self.left -= 1
        if self.left == 0:
            self.end(self.info.backend_pid)
        return super().execute(*args, **others)


def swap_until_killed(database: Database, statement: int, end: Callable[[int], object]) -> bool:
    """Swap, the session being ended before this statement; whether it came so far."""
    with mortal(database, statement, end) as connection:
        try:
            swapped(connection, ranking(2))
        except psycopg.OperationalError:
            return True
    return False


@contextmanager
def mortal(database: Database, statement: int, end: Callable[[int], object]) -> Iterator[Mortal]:
    server = database.server
    connection = Mortal.connect(
        host=str(server.folder), port=server.port, dbname=database.name, user=OWNER, autocommit=True
    )
    assert isinstance(connection, Mortal)
    connection.end, connection.left, connection.said = end, statement, []
    try:
        yield connection
    finally:
        connection.close()


def test_whichever_statement_a_session_dies_before_the_next_run_is_right(scores: Database) -> None:
    names = scores.execute(NAMES)
    statement = left = 0

    def terminate(pid: int) -> None:
        scores.execute("SELECT pg_terminate_backend(%s, 180000)", [pid])

    with scores.connect(autocommit=True) as connection:
        slice_ = slice_of(connection)
        while swap_until_killed(scores, statement := statement + 1, terminate):
            assert connection.execute(SUM).fetchone() == (5050,), f"killed before statement {statement}"
            dropped = drop_leftovers(connection, slice_)
            left += len(dropped)
            now = connection.execute(NAMES).fetchall()
            assert now == names, f"killed before statement {statement}, then dropped {dropped}"
    assert statement > 40, "the loop ended early"
    assert left > 3, "no killed run left anything, so that nothing was tried"
    assert scores.execute(SUM) == [(10100,)]
    assert scores.execute(NAMES) == names


def test_a_leftover_is_only_that_of_its_slice(scores: Database) -> None:
    month = {"version": ["v1"], "span": ["month"]}
    with scores.connect(autocommit=True) as connection:
        built(connection, ranking(2))
        built(connection, ranking(2, values="('v1', 'month')"), month)
        scores.execute("CREATE TABLE trending_swap_of_mine (id int)")
        (name,) = drop_leftovers(connection, slice_of(connection, month))
        assert scores.execute(BUILT)[0] != (name,)
        assert drop_leftovers(connection, slice_of(connection, month)) == []
        assert len(drop_leftovers(connection, slice_of(connection))) == 1
    assert scores.execute(BUILT) == [("trending_swap_of_mine",)]


def test_the_next_build_does_not_mind_what_is_left(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection:
        built(connection, ranking(2))
        swapped(connection, ranking(3))
        assert len(scores.execute(BUILT)) > 1
        drop_leftovers(connection, slice_of(connection))
    assert scores.execute(SUM) == [(15150,)]
    assert scores.execute(BUILT) == []


def test_what_was_built_can_be_discarded_and_what_was_exchanged_stays(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection:
        discard(connection, built(connection, ranking(2)))
        assert scores.execute(BUILT) == []
        discard(connection, swapped(connection, ranking(3)))
    assert scores.execute(SUM) == [(15150,)]


def test_an_exchange_that_is_rolled_back_can_be_tried_again(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2))
        connection.execute("BEGIN")
        exchange(connection, made, lock_seconds=0.05)
        assert connection.execute(SUM).fetchone() == (10100,)
        connection.execute("ROLLBACK")
        assert scores.execute(SUM) == [(5050,)]
        put(connection, made)
    assert scores.execute(SUM) == [(10100,)]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("CREATE INDEX ON scores (track_id)", "were changed while new ones were built"),
        ("ALTER TABLE scores ADD COLUMN more int", "were changed while new ones were built"),
        ("GRANT SELECT ON scores_v1_week TO PUBLIC", "were changed while new ones were built"),
        ("ALTER TABLE scores ALTER extra SET DEFAULT 'x'", "were changed while new ones were built"),
        ("CREATE VIEW v AS SELECT * FROM scores_v1_week", "can no longer be swapped: view v depends on"),
        ("DROP TABLE scores_v1_week", "can no longer be swapped: public.scores_v1 has no partition"),
        (
            "DROP TABLE scores_v1_week; CREATE TABLE scores_v1_week PARTITION OF scores_v1 FOR VALUES IN ('week')",
            "were changed while new ones were built",
        ),
    ],
)
def test_a_partition_that_was_changed_meanwhile_is_not_exchanged(scores: Database, change: str, sentence: str) -> None:
    with scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2))
        scores.execute(change)
        names = scores.execute(NAMES)
        with connection.transaction():
            with pytest.raises(ChangedError, match=sentence):
                exchange(connection, made, lock_seconds=0.05)
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert scores.execute(NAMES) == names


@pytest.mark.parametrize(
    "change",
    [
        "CREATE INDEX ON scores_v1_week (extra)",
        "GRANT SELECT ON scores_v1_week TO PUBLIC",
        "ALTER TABLE scores_v1_week SET (fillfactor = 50)",
        "ALTER TABLE scores_v1_week ALTER extra SET STATISTICS 50",
        "CREATE STATISTICS more (ndistinct) ON track_id, score FROM scores_v1_week",
        "COMMENT ON TABLE scores_v1_week IS 'mine'",
    ],
)
def test_what_is_changed_between_the_last_look_and_the_lock_is_not_lost(scores: Database, change: str) -> None:
    """By what takes no lock that the look at the partitions, which keeps its own, is in the way of."""
    with mortal(scores, 0, lambda _: scores.execute(change)) as connection:
        made = built(connection, ranking(2))
        begun = len(connection.said)
        with connection.transaction(force_rollback=True):
            exchange(connection, made, lock_seconds=5)
        connection.left = next(at for at, text in enumerate(connection.said[begun:], start=1) if "LOCK TABLE" in text)
        with pytest.raises(ChangedError, match="were changed when they were to be exchanged"), connection.transaction():
            exchange(connection, made, lock_seconds=5)
        assert connection.left < 0, "nothing was changed"
    assert scores.execute(SUM) == [(5050,)]


def test_partitions_that_are_exchanged_while_they_are_looked_up_are_looked_up_again(scores: Database) -> None:
    """By the run of another schedule, on a slice that overlaps; whichever statement it comes between."""
    names = scores.execute(NAMES)
    statement, changed = 0, list[str]()

    def replace(_: int) -> None:
        with scores.connect(autocommit=True) as other:
            put(other, built(other, ranking(2)))

    while True:
        statement += 1
        with mortal(scores, statement, replace) as connection:
            try:
                assert isinstance(find_partitions(connection, slice_of(connection)), Partitions)
            except ChangedError as error:
                changed.append(str(error))
            if connection.left > 0:
                break
    assert len(changed) > 2
    assert [sentence for sentence in changed if "was dropped while it was looked up" not in sentence] == []
    assert scores.execute(NAMES) == names


def test_what_another_run_drops_at_whatever_statement_is_built_again(scores: Database) -> None:
    """As one may that has got the locks which this one has lost."""
    names = scores.execute(NAMES)
    changed: list[str] = []

    def drop(_: int) -> None:
        with scores.connect(autocommit=True) as other:
            drop_leftovers(other, slice_of(other))

    with mortal(scores, 0, drop) as connection:
        swapped(connection, ranking(2))
        statement = next(at for at, text in enumerate(connection.said) if text.startswith("VACUUM"))
    while True:
        statement += 1
        with mortal(scores, statement, drop) as connection:
            try:
                swapped(connection, ranking(2))
            except ChangedError as error:
                changed.append(str(error))
            if connection.left > 0:
                break
    assert len(changed) > 3
    assert any("while it was built" in sentence for sentence in changed)
    assert scores.execute(SUM) == [(10100,)]
    assert scores.execute(NAMES) == names


def test_slices_of_one_table_are_swapped_side_by_side(scores: Database) -> None:
    """Their exchanges want the same lock; in a REPEATABLE READ transaction that began before the other's commit."""
    errors: list[BaseException] = []

    def swap_often(span: str) -> None:
        values = {"version": ["v1"], "span": [span]}
        pause = threading.Event()
        try:
            with scores.connect(autocommit=True) as connection:
                for factor in range(2, 12):
                    made = built(connection, ranking(factor, values=f"('v1', '{span}')"), values)
                    assert wait(connection, made)
                    while True:
                        try:
                            with connection.transaction():
                                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                                connection.execute("SELECT count(*) FROM pg_class")
                                pause.wait(0.03)
                                exchange(connection, made, lock_seconds=0.05)
                            break
                        except psycopg.errors.LockNotAvailable:
                            pause.wait(0.02)
        except (psycopg.Error, RunError, AssertionError) as error:
            errors.append(error)

    names = scores.execute(NAMES)
    threads = [threading.Thread(target=swap_often, args=(span,)) for span in ("week", "month")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert scores.execute(NAMES) == names
    assert scores.execute("SELECT span, sum(score) FROM scores WHERE version = 'v1' GROUP BY 1 ORDER BY 1") == [
        ("month", 11 * 5050),
        ("week", 11 * 5050),
    ]


def test_a_backend_that_is_killed_outright_leaves_the_old_slice_after_recovery(server: PostgresServer) -> None:
    with running_server(server.version) as own, own.database() as database:
        # What has been committed must be there after the crash, as outside of tests.
        database.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = on")
        database.execute(SCORES)
        names = database.execute(NAMES)
        statement = 5
        while crashed_at(database, statement):
            assert database.execute(SUM) == [(5050,)], f"killed before statement {statement}"
            with database.connect(autocommit=True) as connection:
                drop_leftovers(connection, slice_of(connection))
            assert database.execute(NAMES) == names, f"killed before statement {statement}"
            statement += 15
        assert statement > 40, "the loop ended early"
        assert database.execute(SUM) == [(10100,)]


def crashed_at(database: Database, statement: int) -> bool:
    """Swap, the session being killed before this statement; whether it came so far. The server has recovered then."""
    crash = ExitStack()

    def kill(pid: int) -> None:
        crash.enter_context(recovered_from(database.server))
        os.kill(pid, signal.SIGKILL)

    with crash:
        return swap_until_killed(database, statement, kill)
