"""Swap's three steps as a run takes them: what it waits for, what it does when refused, what it leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.postgres.boards import NOW
from tests.postgres.runs import Heard, counts, identity, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from tests.waiting import until
from trending.runner import three_steps

ROWS = 3000
QUERY = f"SELECT g AS id, -g AS score FROM generate_series(1, {ROWS}) AS g"


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute(
        "CREATE TABLE hot (kind text, id int, score int, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);"
        "CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
        "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b');"
        f"INSERT INTO hot SELECT k, g, g FROM generate_series(1, {ROWS}) AS g, (VALUES ('a'), ('b')) AS v (k)"
    )
    ledger(database)
    return database


def target(*, strategy: str = "Swap", query: str = QUERY, **fields: Any) -> Any:
    own = own_target(slice={"kind": ["a"]}, query=query, strategy=strategy, **fields)
    return spec(rewrite=[own], database={"maintenance": "Never"})


def written(database: Database) -> bool:
    query = "SELECT count(*), count(*) FILTER (WHERE score = -id) FROM hot WHERE kind = 'a'"
    return database.execute(query) == [(ROWS, ROWS)]


def tables(database: Database) -> list[str]:
    """All that could be left behind or missing: partitions, tables being built, stages."""
    query = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ 'hot|trending_|stage' ORDER BY 1"
    return [name for (name,) in database.execute(query)]


def test_the_step_says_what_was_swapped(hot: Database) -> None:
    report = report_of(run(hot, target(), now=NOW))
    step = step_of(report, "own")
    assert (step.strategy, step.note) == ("Swap", None)
    assert counts(report, "own") == (ROWS, 0, ROWS, 0)
    assert step.wal_bytes
    assert written(hot)
    assert tables(hot) == ["hot", "hot_a", "hot_b"]
    assert hot.execute("SELECT data_timestamp, rows, step->>'strategy' FROM trending.freshness") == [
        (NOW, ROWS, "Swap")
    ]


def test_a_later_target_of_the_run_finds_no_stage_of_an_earlier_one(hot: Database) -> None:
    hot.execute("CREATE TABLE seen (id int PRIMARY KEY, stages int)")
    count = "SELECT 1 AS id, (SELECT count(*)::int FROM pg_class WHERE relname ~ 'trending_stage') AS stages"
    broken = own_target(
        name="broken", slice={"kind": ["b"]}, query="SELECT 1 AS id, 1 AS score UNION ALL SELECT 1, 2", strategy="Swap"
    )
    first = own_target(name="first", slice={"kind": ["a"]}, query=QUERY, strategy="Swap")
    last = own_target(name="last", table="seen", query=count)
    report_of(run(hot, spec(rewrite=[first, broken, last])), exit_code=2)
    assert hot.execute("SELECT stages FROM seen") == [(1,)], "its own"


def test_a_transaction_that_would_see_an_empty_partition_is_waited_for(hot: Database) -> None:
    """It is open when the build commits, and ends while the run waits."""
    with hot.connect() as older:
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert older.execute("SELECT count(*) FROM trending.run").fetchone() == (0,)
        done: list[Any] = []
        runner = threading.Thread(target=lambda: done.append(run(hot, target())))
        runner.start()
        wait_for_build(hot)
        assert older.execute("SELECT min(score) FROM hot WHERE kind = 'a'").fetchone() == (1,)
        older.rollback()
        runner.join()
    assert step_of(report_of(done[0]), "own").strategy == "Swap"
    assert written(hot)


def test_where_that_takes_too_long_the_stage_is_merged_and_the_step_says_so(
    hot: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(three_steps, "_OLDER_SECONDS", 1.0)
    with hot.connect() as older:
        older.execute("SELECT 1")
        report = report_of(run(hot, target()))
    step = step_of(report, "own")
    assert step.strategy == "Merge"
    assert "Merge instead of Swap, since transactions that would have seen an empty partition" in (step.note or "")
    assert counts(report, "own") == (0, ROWS, 0, 0)
    assert written(hot)
    assert tables(hot) == ["hot", "hot_a", "hot_b"]


def test_where_readers_leave_no_gap_the_stage_is_merged_and_the_step_says_so(
    hot: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(three_steps, "_EXCHANGE_SECONDS", 1.0)
    with read_without_gap(hot):
        report = report_of(run(hot, target()))
    step = step_of(report, "own")
    assert step.strategy == "Merge"
    assert "Merge instead of Swap, since its lock was refused" in (step.note or "")
    assert "application tests" in (step.note or "")
    assert written(hot)
    assert tables(hot) == ["hot", "hot_a", "hot_b"]


def test_a_slice_that_got_newer_data_during_the_build_stays_as_it_is(hot: Database) -> None:
    """As after a pause of the whole process, in which its locks went to another run."""
    heard = Heard()
    with hot.connect() as older:
        older.execute("SELECT 1")
        done: list[Any] = []
        runner = threading.Thread(target=lambda: done.append(run(hot, target(), now=NOW, heard=heard)))
        runner.start()
        wait_for_build(hot)
        hot.execute("UPDATE trending.freshness SET data_timestamp = now(), run_id = 'other', rows = 5")
        older.rollback()
        runner.join()
    assert "target own: begun again, since another run has written the slice meanwhile" in heard.lines
    assert done[0].report.result == "Superseded"
    assert hot.execute("SELECT count(*) FROM hot WHERE kind = 'a' AND score = id") == [(ROWS,)]
    assert tables(hot) == ["hot", "hot_a", "hot_b"]


def test_a_table_that_is_altered_while_a_swap_waits_has_it_begun_again(hot: Database) -> None:
    heard = Heard()
    with hot.connect() as older:
        older.execute("SELECT 1")
        done: list[Any] = []
        runner = threading.Thread(target=lambda: done.append(run(hot, target(), heard=heard)))
        runner.start()
        wait_for_build(hot)
        hot.execute("ALTER TABLE hot ADD COLUMN more int DEFAULT 7; GRANT SELECT ON hot_a TO PUBLIC")
        older.rollback()
        runner.join()
    assert any(line.startswith("target own: begun again, since the partitions") for line in heard.lines)
    assert report_of(done[0]).result == "Succeeded"
    assert written(hot)
    assert hot.execute("SELECT DISTINCT more FROM hot WHERE kind = 'a'") == [(7,)]
    assert hot.execute("SELECT relacl::text ~ '=r/' FROM pg_class WHERE relname = 'hot_a'") == [(True,)]
    assert tables(hot) == ["hot", "hot_a", "hot_b"]


def test_a_run_that_has_swapped_does_not_do_so_again(hot: Database) -> None:
    who = identity("test/swapped")
    first = report_of(run(hot, target(), who=who))
    oid = hot.execute("SELECT 'hot_a'::regclass::oid")
    again = report_of(run(hot, target(), who=who))
    assert step_of(again, "own") == step_of(first, "own")
    assert hot.execute("SELECT 'hot_a'::regclass::oid") == oid


def test_what_a_killed_run_left_is_dropped_by_the_next_whatever_it_takes(hot: Database) -> None:
    with hot.connect() as older:
        older.execute("SELECT 1")
        done: list[Any] = []
        runner = threading.Thread(target=lambda: done.append(run(hot, target())))
        runner.start()
        wait_for_build(hot)
        hot.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'trending/%%'", []
        )
        runner.join()
    report_of(done[0], exit_code=1)
    assert len(tables(hot)) > 3, "what it has built, it could not drop"
    report = report_of(
        run(hot, target(strategy="Auto", query="SELECT g AS id, g AS score FROM generate_series(1, 3000) g"))
    )
    assert step_of(report, "own").strategy == "Merge"
    assert tables(hot) == ["hot", "hot_a", "hot_b"]


def wait_for_build(database: Database) -> None:
    """Wait until a new partition has been committed."""
    until(
        lambda: len([name for name in tables(database) if "stage" not in name]) > 3,
        what="a new partition is built",
        pause=0.02,
    )


@contextmanager
def read_without_gap(database: Database) -> Iterator[None]:
    """Have one reader's transaction or another hold its lock at any time, each of them for a moment only."""
    over = threading.Event()
    reads = threading.Event()

    def read() -> None:
        with database.connect() as one, database.connect() as other:
            while not over.is_set():
                one.execute("SELECT count(*) FROM hot")
                other.rollback()
                reads.set()
                over.wait(0.05)
                one, other = other, one

    reader = threading.Thread(target=read)
    reader.start()
    reads.wait()
    try:
        yield
    finally:
        over.set()
        reader.join()
