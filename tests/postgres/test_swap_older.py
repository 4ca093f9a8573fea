"""Whose snapshot is older than a build, and so is waited for; and whose is not, though its transaction is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.postgres.server import ADMIN, Database
from tests.postgres.swaps import SCORES, built, put, ranking, wait
from tests.waiting import SECONDS, until
from trending.runner.rewrite.swap import Built, wait_for_older
from trending.runner.stop import Stop

SUM = "SELECT sum(score) FROM scores WHERE version = 'v1' AND span = 'week'"
OLD, NEW = (5050,), (10100,)
A_MOMENT = 0.3
"""Seconds after which whoever is waited for at all is taken to be waited for."""

Connection = psycopg.Connection[Any]


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


@pytest.fixture
def swapping(scores: Database) -> Iterator[Connection]:
    with scores.connect(autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(scores: Database) -> Iterator[Connection]:
    with scores.connect(autocommit=True) as connection:
        yield connection


@pytest.fixture
def third(scores: Database) -> Iterator[Connection]:
    with scores.connect(autocommit=True) as connection:
        yield connection


def made(connection: Connection) -> Built:
    return built(connection, ranking(2))


def test_a_session_that_only_keeps_an_advisory_lock_is_not_waited_for(swapping: Connection, other: Connection) -> None:
    """As the one of another run that holds its slices, or waits for them."""
    other.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SELECT pg_advisory_xact_lock(7)")
    build = made(swapping)
    assert wait(swapping, build)
    put(swapping, build)
    assert other.execute(SUM).fetchone() == NEW


def test_not_even_that_of_a_role_of_which_one_may_know_nothing(scores: Database, swapping: Connection) -> None:
    with scores.connect(role=ADMIN, autocommit=True) as other:
        other.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SELECT pg_advisory_xact_lock(7)")
        assert wait(swapping, made(swapping))


def test_the_snapshot_of_such_a_role_is_seen_nevertheless(scores: Database, swapping: Connection) -> None:
    with scores.connect(role=ADMIN, autocommit=True) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_advisory_xact_lock(7)")
        assert not wait(swapping, made(swapping), seconds=A_MOMENT)


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_one_that_keeps_its_snapshot_is_waited_for(swapping: Connection, other: Connection, isolation: str) -> None:
    other.execute(f"BEGIN ISOLATION LEVEL {isolation}; SELECT pg_advisory_xact_lock(7)")
    build = made(swapping)
    assert not wait(swapping, build, seconds=A_MOMENT)
    assert other.execute(SUM).fetchone() == OLD
    other.execute("COMMIT")
    assert wait(swapping, build)


def test_one_that_reads_by_a_cursor_is_waited_for(swapping: Connection, other: Connection) -> None:
    other.execute("BEGIN; SELECT pg_advisory_xact_lock(7); DECLARE c CURSOR FOR SELECT relname FROM pg_class")
    build = made(swapping)
    assert not wait(swapping, build, seconds=A_MOMENT)
    other.execute("CLOSE c")
    assert wait(swapping, build)


def test_one_that_has_exported_its_snapshot_is_waited_for(swapping: Connection, other: Connection) -> None:
    """Other writers of its run may still adopt it, and read the slice."""
    other.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SELECT pg_advisory_xact_lock(7)")
    other.execute("SELECT pg_export_snapshot()")
    build = made(swapping)
    assert not wait(swapping, build, seconds=A_MOMENT)
    other.execute("COMMIT")
    assert wait(swapping, build)


def test_a_statement_that_waits_for_an_advisory_lock_is_waited_for_and_its_transaction_is_not(
    scores: Database, swapping: Connection, other: Connection, third: Connection
) -> None:
    """The statement's snapshot is of its beginning; nobody knows what else it is going to read."""
    third.execute("SELECT pg_advisory_lock(7)")
    other.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
    waiting = threading.Thread(target=other.execute, args=["SELECT pg_advisory_xact_lock(7)"])
    waiting.start()
    _wait_for_waiter(scores)
    build = made(swapping)
    assert not wait(swapping, build, seconds=A_MOMENT)
    third.execute("SELECT pg_advisory_unlock(7)")
    waiting.join()
    assert wait(swapping, build)


def test_a_transaction_that_has_done_nothing_yet_is_waited_for(swapping: Connection, other: Connection) -> None:
    """It may be one of the run's own, about to adopt the snapshot that the run shares."""
    other.execute("BEGIN")
    build = made(swapping)
    assert not wait(swapping, build, seconds=A_MOMENT)
    other.execute("COMMIT")
    assert wait(swapping, build)


def test_who_adopts_an_older_snapshot_after_the_build_is_waited_for(
    swapping: Connection, other: Connection, third: Connection
) -> None:
    """Its transaction is younger than the build, and would find the slice empty."""
    other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    (name,) = other.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    build = made(swapping)
    third.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    third.execute(f"SET TRANSACTION SNAPSHOT '{name}'")
    other.execute("COMMIT")
    assert not wait(swapping, build, seconds=A_MOMENT)
    assert third.execute(SUM).fetchone() == OLD
    third.execute("COMMIT")
    assert wait(swapping, build)
    put(swapping, build)
    assert third.execute(SUM).fetchone() == NEW


class Told(Stop):
    """Says when it is first waited."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC) + timedelta(minutes=5))
        self.waited = threading.Event()

    def wait(self, seconds: float) -> None:
        self.waited.set()
        super().wait(seconds)


def test_who_adopts_it_while_its_owner_is_waited_for_is_waited_for_too(
    swapping: Connection, other: Connection, third: Connection
) -> None:
    other.execute("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7)")
    (name,) = other.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    build, stop, done = made(swapping), Told(), list[bool]()
    waiting = threading.Thread(
        target=lambda: done.append(wait_for_older(swapping, build, own=(), stop=stop, seconds=4 * A_MOMENT))
    )
    waiting.start()
    assert stop.waited.wait(SECONDS)
    third.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    third.execute(f"SET TRANSACTION SNAPSHOT '{name}'")
    other.execute("COMMIT")
    waiting.join()
    assert done == [False]
    third.execute("COMMIT")
    assert wait(swapping, build)


def test_a_writer_of_another_database_is_not_waited_for(scores: Database, swapping: Connection) -> None:
    """Though no snapshot is newer than the build then, by the oldest transaction that runs in it."""
    with scores.server.database() as elsewhere, elsewhere.connect() as writer:
        writer.execute("CREATE TABLE written (id int)")
        build = made(swapping)
        assert wait(swapping, build)


def _wait_for_waiter(database: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
    until(lambda: database.execute(query) == [(1,)], what="somebody waits for the lock", pause=0.02)
