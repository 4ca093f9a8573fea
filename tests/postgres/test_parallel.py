"""Targets rewritten side by side: on their own connections, with one snapshot and one fate each."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.postgres.runs import Heard, Pod, identity, ledger, own_target, report_of, run, spec, spec_dict, step_of
from tests.postgres.server import Database
from tests.postgres.sides import Side, at_the_gate, gate
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import StepAction

KILL_LOCK_SESSION = """
    SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objid <> 1 AND application_name = 'trending/hourly'
    ) AS holders
"""
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8); CREATE TABLE source (score float8)")
    database.execute("INSERT INTO source VALUES (1)")
    ledger(database)
    return database


def side_by_side(count: int, *queries: str, parallelism: int = 8) -> TrendingScheduleSpec:
    """Targets t0, t1, .. of one row each; the last query is that of all that follow."""
    targets = [
        own_target(name=f"t{at}", slice={"id": [str(at)]}, query=queries[min(at, len(queries) - 1)], strategy="Merge")
        for at in range(count)
    ]
    return spec(rewrite=targets, database={"parallelism": parallelism})


def sessions(database: Database) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'trending/%%'"
    return int(database.execute(query, role="postgres")[0][0])


@pytest.mark.parametrize(("targets", "parallelism", "working"), [(5, 3, 3), (2, 8, 2), (3, 1, 1)])
def test_no_more_connections_than_asked_for_or_than_targets(
    hot: Database, targets: int, parallelism: int, working: int
) -> None:
    with gate(hot) as opened:
        side = Side(hot, side_by_side(targets, "SELECT gate() AS score", parallelism=parallelism))
        at_the_gate(hot, runs=working)
        assert sessions(hot) == working + 1, "and the one that holds the locks"
        opened.set()
        report = side.report()
    assert [step.rows_inserted for step in report.steps] == [1] * targets
    assert [step.name for step in report.steps] == [f"t{at}" for at in range(targets)], "in the order of the spec"


def test_one_that_begins_late_sees_what_was_there_when_the_last_lock_was_had(hot: Database) -> None:
    with gate(hot) as opened:
        side = Side(
            hot, side_by_side(3, "SELECT gate() AS score", "SELECT gate() AS score", "TABLE source", parallelism=2)
        )
        at_the_gate(hot, runs=2)
        hot.execute("UPDATE source SET score = 2")
        opened.set()
        side.report()
    assert hot.execute("SELECT score FROM hot WHERE id = 2") == [(1,)]


def test_one_that_meets_another_writer_is_begun_again_on_a_new_snapshot(hot: Database) -> None:
    hot.execute("INSERT INTO hot VALUES (1, 0)")
    with gate(hot) as opened:
        gated = "SELECT gate() AS score"
        side = Side(hot, side_by_side(2, gated, "SELECT s.score FROM source AS s, (SELECT gate() OFFSET 0) AS g"))
        at_the_gate(hot, runs=2)
        hot.execute("UPDATE hot SET score = 7 WHERE id = 1; UPDATE source SET score = 2")
        opened.set()
        report = side.report()
    assert "begun again 1 times" in (step_of(report, "t1").note or "")
    assert hot.execute("SELECT * FROM hot ORDER BY id") == [(0, 1), (1, 2)]


def test_one_that_fails_does_not_stop_the_others(hot: Database) -> None:
    report = report_of(run(hot, side_by_side(5, "SELECT 1/0 AS score", "TABLE source", parallelism=2)), exit_code=2)
    assert report.message.startswith("target t0: spec.rewrite[0].query: division by zero")
    assert [step.rows_inserted for step in report.steps[1:]] == [1] * 4
    assert {target.name for target in report.targets} == {"t1", "t2", "t3", "t4"}


def test_one_whose_connection_is_lost_fails_alone_and_its_connection_is_replaced(hot: Database) -> None:
    dies = "SELECT 2 AS score FROM (SELECT pg_terminate_backend(pg_backend_pid()) AS x OFFSET 0) AS d WHERE x"
    report = report_of(run(hot, side_by_side(6, dies, dies, "TABLE source", parallelism=2)), exit_code=1)
    assert report.reason == "ConnectionError"
    assert [step.rows_inserted for step in report.steps] == [None, None, 1, 1, 1, 1]


def test_a_lost_lock_session_has_all_begun_again_under_new_locks(hot: Database) -> None:
    with gate(hot) as opened:
        side = Side(hot, side_by_side(3, "SELECT gate() AS score", parallelism=3))
        at_the_gate(hot, runs=3)
        assert hot.execute(KILL_LOCK_SESSION, role="postgres") == [(1,)]
        opened.set()
        report = side.report()
    assert [step.rows_inserted for step in report.steps] == [1, 1, 1]
    assert hot.execute("SELECT count(*) FROM hot") == [(3,)]
    begun_again = [step.name for step in report.steps if "begun again" in (step.note or "")]
    assert begun_again == ["t0", "t1", "t2"], "none committed what it wrote without a lock"


class SecondHeldBack(Heard):
    """Holds the target `t1` back, whose transaction has not begun yet, until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def starts(self, action: StepAction, name: str) -> None:
        super().starts(action, name)
        if name == "t1":
            self.may.wait(30)


def test_locks_that_another_target_took_again_are_not_those_a_target_began_under(hot: Database) -> None:
    heard = SecondHeldBack()
    with gate(hot) as opened:
        side = Side(hot, side_by_side(2, "SELECT gate() AS score", "TABLE source", parallelism=2), heard=heard)
        at_the_gate(hot)
        assert hot.execute(KILL_LOCK_SESSION, role="postgres") == [(1,)]
        heard.may.set()
        heard.wait_for("ends Rewrite t1")
        opened.set()
        report = side.report()
    assert [step.rows_inserted for step in report.steps] == [1, 1]
    assert "begun again 1 times" in (step_of(report, "t0").note or ""), "its lock was lost for a while"


def test_at_the_deadline_all_are_cancelled_and_leave_nothing(hot: Database) -> None:
    with gate(hot):
        report = report_of(run(hot, side_by_side(4, "SELECT gate() AS score", parallelism=3), seconds=6), exit_code=1)
    assert report.result == "DeadlineExceeded"
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]
    assert [step.note for step in report.steps][3] == "not done"


def test_sigterm_ends_all_of_them_at_once(hot: Database, tmp_path: Path) -> None:
    with gate(hot):
        wanted = side_by_side(4, "SELECT gate() AS score", parallelism=3)
        pod = Pod.prepare(tmp_path, spec_dict(**wanted.to_json_object()), uri=hot.uri)
        process = pod.start()
        at_the_gate(hot, runs=3)
        process.terminate()
        code, _ = pod.ended(process)
    assert code == 1
    assert "stopped by SIGTERM" in pod.report().message
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]


def test_where_the_server_has_no_room_for_more_fewer_connections_do_it_all(hot: Database) -> None:
    hot.execute(f"ALTER DATABASE {hot.name} CONNECTION LIMIT 2", role="postgres")
    report = report_of(run(hot, side_by_side(3, "TABLE source", parallelism=3)))
    assert [step.rows_inserted for step in report.steps] == [1, 1, 1]


class ReaderLast(Heard):
    """Holds back the target `reader`, whose transaction has not begun yet, until the target `swap` is done."""

    def starts(self, action: StepAction, name: str) -> None:
        if name == "reader":
            self.wait_for("ends Rewrite swap", timeout=60)
        super().starts(action, name)


def test_one_that_begins_after_a_swap_sees_its_partition_full(database: Database) -> None:
    database.execute(
        "CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id)) PARTITION BY LIST (board);"
        "CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
        "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b');"
        "INSERT INTO hot SELECT 'a', g, 0 FROM generate_series(1, 100) AS g"
    )
    ledger(database)
    swap = "SELECT g AS id, 1 AS score FROM generate_series(1, 100) AS g"
    reader = "SELECT 1 AS id, count(*) AS score FROM hot WHERE board = 'a'"
    targets = [
        own_target(name="swap", slice={"board": ["a"]}, query=swap, strategy="Swap"),
        own_target(name="reader", slice={"board": ["b"]}, query=reader),
    ]
    report = report_of(run(database, spec(rewrite=targets, database={"parallelism": 2}), heard=ReaderLast()))
    assert step_of(report, "swap").strategy == "Swap"
    assert database.execute("SELECT score FROM hot WHERE board = 'b'") == [(100,)]


def test_superseded_targets_are_left_alone_side_by_side_too(hot: Database) -> None:
    wanted = side_by_side(3, "TABLE source")
    report_of(run(hot, wanted, now=NOW))
    late = datetime(2026, 11, 23, 17, tzinfo=UTC)
    report = report_of(run(hot, wanted, now=late, who=identity()))
    assert report.result == "Superseded"
    assert {target.data_timestamp for target in report.targets} == {NOW}
