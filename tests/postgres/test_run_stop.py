"""A run that is stopped, by a signal or by its deadline, cancels what the database does, rolls back and says so."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.runs import Pod, ledger, own_target, report_of, run, spec, spec_dict, step_of
from tests.postgres.server import Database
from tests.waiting import until

SLOW = "SELECT 2 AS id, 0.5 AS score FROM (SELECT pg_sleep(60) OFFSET 0) AS slow WHERE slow IS NOT NULL"


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8); INSERT INTO hot VALUES (1, 1)")
    ledger(database)
    return database


def activity(database: Database, *, state: str = "active") -> list[str]:
    """The statements that runs are at."""
    rows = database.execute(
        "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'trending/%%' AND state = %s",
        [state],
        role="postgres",
    )
    return [query for (query,) in rows]


def wait_until_active(database: Database, part: str) -> None:
    """Wait until a run is at a statement with this in it; poll, as the server has no event for it."""
    until(lambda: any(part in query for query in activity(database)), what=f"a run comes to {part!r}", pause=0.05)


@contextmanager
def running(pod: Pod) -> Iterator[subprocess.Popen[str]]:
    process = pod.start()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def rows(database: Database) -> list[Any]:
    return database.execute("SELECT * FROM hot")


def freshness(database: Database) -> list[Any]:
    return database.execute("SELECT target FROM trending.freshness WHERE data_timestamp IS NOT NULL")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_statement_ends_the_run_within_seconds_with_a_report(
    hot: Database, tmp_path: Path, number: signal.Signals
) -> None:
    pod = Pod.prepare(tmp_path, spec_dict(rewrite=[own_target(query=SLOW)]), uri=hot.uri)
    with running(pod) as process:
        wait_until_active(hot, "pg_sleep(60)")
        process.send_signal(number)
        code, _ = pod.ended(process)  # the statement itself would have gone on for a minute
    report = pod.report()
    assert (code, report.result, report.reason) == (1, "Failed", "RunFailed")
    assert report.message == f"target own: the run was stopped by {number.name}"
    assert report.steps[0].note == f"failed: the run was stopped by {number.name}"
    assert rows(hot) == [(1, 1)]
    assert freshness(hot) == []
    assert activity(hot) == []
    assert hot.execute("SELECT result, message FROM trending.run") == [("Failed", report.message)]


def test_targets_after_the_signal_are_told_as_not_done(hot: Database, tmp_path: Path) -> None:
    targets = [
        own_target(name="done", slice={"id": ["1"]}, query="SELECT 7 AS score"),
        own_target(name="cut", slice={"id": ["2"]}, query=SLOW),
        own_target(name="later", slice={"id": ["3"]}, query="SELECT 9 AS score"),
    ]
    pod = Pod.prepare(tmp_path, spec_dict(rewrite=targets), uri=hot.uri)
    with running(pod) as process:
        wait_until_active(hot, "pg_sleep(60)")
        process.terminate()
        assert pod.ended(process)[0] == 1
    report = pod.report()
    assert step_of(report, "done").rows_updated == 1
    assert step_of(report, "later").note == "not done"
    assert report.message.count("SIGTERM") == 1
    assert rows(hot) == [(1, 7)]
    assert [target.name for target in report.targets if target.data_timestamp] == ["done"]


def test_the_deadline_stops_a_run_in_the_middle_of_a_statement(hot: Database) -> None:
    report = report_of(run(hot, spec(rewrite=[own_target(query=SLOW)]), seconds=6), exit_code=1)
    assert (report.result, report.reason) == ("DeadlineExceeded", "DeadlineExceeded")
    assert "target own: the run's time was over at" in report.message
    assert rows(hot) == [(1, 1)]
    assert hot.execute("SELECT result FROM trending.run") == [("DeadlineExceeded",)]


def test_a_deadline_that_has_passed_stops_a_run_before_it_begins(hot: Database) -> None:
    report = report_of(
        run(hot, spec(rewrite=[own_target(query="SELECT 1 AS id, 2 AS score")]), seconds=-1), exit_code=1
    )
    assert report.result == "DeadlineExceeded"
    assert rows(hot) == [(1, 1)]


def test_a_deadline_during_a_refresh_leaves_the_view_as_it_was(hot: Database) -> None:
    hot.execute("CREATE MATERIALIZED VIEW slow AS SELECT 1 AS id, pg_sleep(60)::text WITH NO DATA")
    wanted = spec(refresh=[{"materializedView": "slow"}], rewrite=[own_target(query="SELECT 1 AS id")])
    report = report_of(run(hot, wanted, seconds=6), exit_code=1)
    assert report.message.startswith("materialized view slow: the run's time was over")
    assert "waiting" not in report.message
    assert step_of(report, "own").note == "not done"
    assert hot.execute("SELECT relispopulated FROM pg_class WHERE relname = 'slow'") == [(False,)]


def test_a_server_that_does_not_heed_a_cancellation_is_left(hot: Database, tmp_path: Path) -> None:
    """A backend stopped dead stands for a node that is gone: the connection is cut after a while."""
    pod = Pod.prepare(tmp_path, spec_dict(rewrite=[own_target(query=SLOW)]), uri=hot.uri)
    with running(pod) as process:
        wait_until_active(hot, "pg_sleep(60)")
        ((backend,),) = hot.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'", role="postgres")
        os.kill(backend, signal.SIGSTOP)
        try:
            process.terminate()
            code, _ = pod.ended(process)
        finally:
            os.kill(backend, signal.SIGCONT)
    assert code == 1
    assert "stopped by SIGTERM" in pod.report().message


def test_a_killed_runner_leaves_no_lock_no_stage_and_no_half_slice(hot: Database, tmp_path: Path) -> None:
    pod = Pod.prepare(tmp_path, spec_dict(rewrite=[own_target(query=SLOW)]), uri=hot.uri)
    with running(pod) as process:
        wait_until_active(hot, "pg_sleep(60)")
        process.kill()
        process.wait()
        # client_connection_check_interval has the server look for its client in the middle of a statement.
        sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'trending/%%'"
        until(lambda: not hot.execute(sessions), what="its sessions end", seconds=60)
    assert hot.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert hot.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'trending_stage%%'") == [(0,)]
    assert rows(hot) == [(1, 1)]
    other = own_target(query="SELECT 5 AS id, 5 AS score", maxDeletePercent=100)
    report = report_of(run(hot, spec(rewrite=[other])))
    assert report.result == "Succeeded"


def test_a_retry_after_a_kill_skips_what_was_committed(hot: Database, tmp_path: Path) -> None:
    hot.execute(
        "CREATE MATERIALIZED VIEW seen AS SELECT clock_timestamp() AS at WITH NO DATA;"
        "CREATE TABLE gate (open bool); INSERT INTO gate VALUES (false)"
    )
    gated = (
        "SELECT 2 AS id, 2 AS score "
        "FROM (SELECT CASE WHEN open THEN 'x' ELSE pg_sleep(60)::text END AS x FROM gate) AS g"
    )
    targets = [
        own_target(name="done", slice={"id": ["1"]}, query="SELECT extract(epoch FROM clock_timestamp()) AS score"),
        own_target(name="cut", slice={"id": ["2"]}, query=f"{gated} WHERE x IS NOT NULL"),
    ]
    wanted = spec_dict(refresh=[{"materializedView": "seen"}], rewrite=targets)
    pod = Pod.prepare(tmp_path, wanted, uri=hot.uri)
    with running(pod) as process:
        wait_until_active(hot, "pg_sleep(60)")
        process.kill()
        process.wait()
    before = hot.execute("SELECT id, score, (SELECT at FROM seen) FROM hot WHERE id = 1")
    hot.execute("UPDATE gate SET open = true")
    code, said = pod.run()
    assert code == 0, said
    report = pod.report()
    assert report.attempts == 2
    assert hot.execute("SELECT id, score, (SELECT at FROM seen) FROM hot WHERE id = 1") == before
    assert hot.execute("SELECT count(*) FROM hot WHERE id = 2") == [(1,)]
    # The steps of both attempts are told, and all is of the first one's `:now`.
    assert step_of(report, "seen").mode == "Blocking"
    assert step_of(report, "done").rows_updated == 1
    assert step_of(report, "cut").rows_inserted == 1
    assert {target.data_timestamp for target in report.targets} == {report.data_timestamp}
    assert hot.execute("SELECT count(DISTINCT data_timestamp), count(*) FROM trending.freshness") == [(1, 2)]


def test_a_lost_connection_fails_its_target_and_the_others_go_on(hot: Database) -> None:
    dies = "SELECT 2 AS id, 2 AS score FROM (SELECT pg_terminate_backend(pg_backend_pid()) AS x) AS d WHERE x"
    targets = [
        own_target(name="dies", slice={"id": ["2"]}, query=dies),
        own_target(name="lives", slice={"id": ["3"]}, query="SELECT 3 AS score"),
    ]
    report = report_of(run(hot, spec(rewrite=targets)), exit_code=1)
    assert report.reason == "ConnectionError"
    assert report.message.startswith("target dies: spec.rewrite[0].query: ")
    assert step_of(report, "lives").rows_inserted == 1


def test_when_every_session_is_ended_the_target_fails_with_that(hot: Database) -> None:
    dies = (
        "SELECT 2 AS id, count(pg_terminate_backend(pid)) AS score FROM pg_stat_activity "
        "WHERE application_name LIKE 'trending/%'"
    )
    report = report_of(run(hot, spec(rewrite=[own_target(query=dies)])), exit_code=1)
    assert report.reason == "ConnectionError"
    assert rows(hot) == [(1, 1)]
