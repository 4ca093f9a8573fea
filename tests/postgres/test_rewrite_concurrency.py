"""Others who write the same rows meanwhile, readers who see one state or the other, and rows that change places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.postgres.boards import IN_PLACE
from tests.postgres.runs import Heard, counts, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from tests.waiting import until

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture
def hot(database: Database) -> Database:
    """A table with ten rows; a query that reads the source can be made to wait at `gate()`."""
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int);"
        "INSERT INTO hot SELECT g, g FROM generate_series(1, 10) AS g;"
        "CREATE FUNCTION gate() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN 0; END $$"
    )
    ledger(database)
    return database


class Meanwhile:
    """Does something while a run is in the middle of its source query, each time it comes there."""

    def __init__(self, database: Database, *things: Callable[[psycopg.Connection[Any]], object]) -> None:
        self._database = database
        self._things = things

    def run(self, wanted: Any, heard: Heard) -> Any:
        done: list[Any] = []
        runner = threading.Thread(target=lambda: done.append(run(self._database, wanted, heard=heard)))
        with self._database.connect(autocommit=True) as keeper, self._database.connect(autocommit=True) as other:
            keeper.execute("SELECT pg_advisory_lock(1)")
            runner.start()
            for number, thing in enumerate(self._things, start=1):
                self._wait_at_gate(keeper)
                thing(other)
                keeper.execute("SELECT pg_advisory_unlock(1)")
                if number < len(self._things):
                    # Take it again before the next attempt comes: it waits for a moment first.
                    keeper.execute("SELECT pg_advisory_lock(1)")
            runner.join()
        return done[0]

    def _wait_at_gate(self, connection: psycopg.Connection[Any]) -> None:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
        until(lambda: connection.execute(query).fetchone() == (1,), what="the run's source query waits", pause=0.02)


def gated(strategy: str, query: str = "SELECT id, 100 + id + gate() AS score FROM generate_series(1, 10) AS id") -> Any:
    return spec(rewrite=[own_target(query=query, strategy=strategy, maxDeletePercent=100)])


def rows(database: Database) -> list[Any]:
    return database.execute("SELECT id, score FROM hot ORDER BY id")


WANTED = [(number, 100 + number) for number in range(1, 11)]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_a_row_that_another_session_changed_meanwhile_has_the_target_begun_again(hot: Database, strategy: str) -> None:
    heard = Heard()
    outcome = Meanwhile(hot, lambda other: other.execute("UPDATE hot SET score = -1 WHERE id = 5")).run(
        gated(strategy), heard
    )
    report = report_of(outcome)
    assert "target own: begun again, since another session wrote the same rows (SQLSTATE 40001)" in heard.lines
    assert "begun again 1 times" in (step_of(report, "own").note or "")
    assert rows(hot) == WANTED


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_a_key_that_another_session_inserted_meanwhile_has_the_target_begun_again(hot: Database, strategy: str) -> None:
    hot.execute("DELETE FROM hot WHERE id = 5")
    heard = Heard()
    outcome = Meanwhile(hot, lambda other: other.execute("INSERT INTO hot VALUES (5, -1)")).run(gated(strategy), heard)
    report_of(outcome)
    state = "40001" if strategy == "Upsert" else "23505"  # ON CONFLICT finds a row that its snapshot does not show
    assert any(f"(SQLSTATE {state})" in line for line in heard.lines)
    assert rows(hot) == WANTED


def test_the_source_is_read_again_with_the_same_now(hot: Database) -> None:
    hot.execute("CREATE TABLE source (value int); INSERT INTO source VALUES (1)")
    query = "SELECT 1 AS id, extract(epoch FROM :now)::int + value + gate() AS score FROM source"

    def change(other: psycopg.Connection[Any]) -> None:
        other.execute("UPDATE source SET value = 2; UPDATE hot SET score = -1 WHERE id = 1")

    report = report_of(Meanwhile(hot, change).run(gated("Merge", query), Heard()))
    assert report.data_timestamp is not None
    expected = hot.execute("SELECT extract(epoch FROM %s::timestamptz)::int + 2", [report.data_timestamp])
    assert hot.execute("SELECT score FROM hot") == expected


def test_who_is_disturbed_every_time_gives_up_after_three_new_beginnings(hot: Database) -> None:
    change = [lambda other: other.execute("UPDATE hot SET score = score - 1 WHERE id = 5")] * 4
    heard = Heard()
    report = report_of(Meanwhile(hot, *change).run(gated("Merge"), heard), exit_code=1)
    assert sum("begun again" in line for line in heard.lines) == 3
    assert "could not serialize access due to concurrent update (SQLSTATE 40001)" in report.message
    assert rows(hot) == [(n, n) if n != 5 else (5, 1) for n in range(1, 11)]


def test_a_row_of_another_slice_in_the_place_of_a_deleted_one_is_not_written(hot: Database) -> None:
    """The pitfall of ctid: a row found by its place may be another one by the time it is written."""
    hot.execute(
        "CREATE TABLE placed (kind text, id int, score int, PRIMARY KEY (kind, id)) WITH (autovacuum_enabled = off);"
        "INSERT INTO placed SELECT 'a', g, g FROM generate_series(1, 10) AS g"
    )

    def replace(other: psycopg.Connection[Any]) -> None:
        other.execute("DELETE FROM placed WHERE id = 10")
        other.execute("VACUUM placed")
        other.execute("INSERT INTO placed VALUES ('b', 10, -1)")

    query = "SELECT id, 100 + id + gate() AS score FROM generate_series(1, 9) AS id"
    wanted = spec(rewrite=[own_target(table="placed", slice={"kind": ["a"]}, query=query)])
    report_of(Meanwhile(hot, replace).run(wanted, Heard()))
    assert hot.execute("SELECT * FROM placed WHERE kind = 'b'") == [("b", 10, -1)]
    assert hot.execute("SELECT count(*) FROM placed WHERE kind = 'a' AND score > 100") == [(9,)]


@pytest.mark.parametrize("strategy", IN_PLACE)
def test_readers_see_the_old_slice_or_the_new_one_and_never_wait(database: Database, strategy: str) -> None:
    database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score int);"
        "INSERT INTO hot SELECT g, 0 FROM generate_series(1, 20000) AS g;"
        "CREATE INDEX ON hot (score)"
    )
    ledger(database)
    over = threading.Event()
    seen: list[tuple[int, int, int]] = []

    def read() -> None:
        with database.connect(autocommit=True) as connection:
            while not over.is_set():
                seen.extend(connection.execute("SELECT count(*), min(score), max(score) FROM hot").fetchall())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for value in (1, 2, 3):
            query = f"SELECT g AS id, {value} AS score FROM generate_series(1, 20000 + {value}) AS g"
            report = report_of(run(database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
    finally:
        over.set()
        reader.join()
    assert set(seen) <= {(20000, 0, 0), (20001, 1, 1), (20002, 2, 2), (20003, 3, 3)}
    assert len(seen) > 10
    assert step_of(report, "own").rows_inserted
    assert "still waiting" not in database.log()


def test_a_target_where_nothing_changed_locks_no_row(hot: Database) -> None:
    with hot.connect() as other:
        other.execute("SELECT * FROM hot FOR UPDATE")
        report = report_of(
            run(hot, spec(rewrite=[own_target(query="SELECT g AS id, g AS score FROM generate_series(1, 10) AS g")]))
        )
    assert counts(report, "own") == (0, 0, 0, 10)
