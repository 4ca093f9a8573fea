"""Two writers of a slice never overlap, and the older one gives way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.postgres.runs import ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from tests.postgres.sides import Side, at_the_gate, gate
from tests.waiting import until

ONE = spec(rewrite=[own_target(query="SELECT 1 AS id, 1 AS score")])
TWO = spec(rewrite=[own_target(query="SELECT 1 AS id, 2 AS score")])
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    ledger(database)
    return database


def test_a_second_writer_waits_for_the_first_and_is_right(hot: Database) -> None:
    with gate(hot) as opened:
        first = Side(hot, spec(rewrite=[own_target(query="SELECT gate() AS id, 1 AS score")]))
        at_the_gate(hot)
        second = Side(hot, TWO)
        second.heard.wait_for("waiting for slice public.hot {}, held by pid")
        assert hot.execute("SELECT count(*) FROM hot") == [(0,)]
        opened.set()
        assert first.report().result == "Succeeded"
        assert second.report().result == "Succeeded"
    assert hot.execute("SELECT * FROM hot") == [(1, 2)]


def test_a_second_writer_with_older_data_is_superseded(hot: Database) -> None:
    with gate(hot) as opened:
        first = Side(hot, spec(rewrite=[own_target(query="SELECT gate() AS id, 1 AS score")]), now=NOW)
        at_the_gate(hot)
        second = Side(hot, TWO, now=NOW - timedelta(microseconds=1))
        second.heard.wait_for("waiting for slice")
        opened.set()
        first.report()
        report = second.report()
    assert report.result == "Superseded"
    assert "superseded: the slice holds data of 2026-11-23T18:00:00.000000Z" in (step_of(report, "own").note or "")
    assert report.targets[0].data_timestamp == NOW
    assert hot.execute("SELECT * FROM hot") == [(1, 1)]


def test_one_superseded_target_does_not_keep_the_others_from_being_written(hot: Database) -> None:
    a = own_target(name="a", slice={"id": ["1"]}, query="SELECT 1 AS score")
    b = own_target(name="b", slice={"id": ["2"]}, query="SELECT 1 AS score")
    report_of(run(hot, spec(rewrite=[a]), now=NOW))
    report = report_of(run(hot, spec(rewrite=[a, b]), now=NOW - timedelta(hours=1)))
    assert report.result == "Succeeded"
    assert "superseded by newer data: a" in report.message
    assert {target.name: target.data_timestamp for target in report.targets} == {
        "a": NOW,
        "b": NOW - timedelta(hours=1),
    }


def test_data_of_the_same_instant_are_written(hot: Database) -> None:
    report_of(run(hot, ONE, now=NOW))
    report_of(run(hot, TWO, now=NOW))
    assert hot.execute("SELECT * FROM hot") == [(1, 2)]


def test_slices_are_the_same_however_they_are_written(hot: Database) -> None:
    one_way = spec(rewrite=[own_target(slice={"id": ["1", "2"]}, query="SELECT gate() AS id, 1 AS score")])
    other = spec(rewrite=[own_target(slice={"id": ["02", "1", "+1"]}, query="SELECT 1 AS id, 2 AS score")])
    with gate(hot) as opened:
        first = Side(hot, one_way)
        at_the_gate(hot)
        second = Side(hot, other)
        second.heard.wait_for('waiting for slice public.hot {"id":["1","2"]}')
        opened.set()
        first.report()
        second.report()
    assert hot.execute("SELECT count(*) FROM trending.freshness") == [(1,)]


def test_other_slices_are_not_waited_for(hot: Database) -> None:
    with gate(hot):
        first = Side(hot, spec(rewrite=[own_target(slice={"id": ["1"]}, query="SELECT gate() AS id, 1 AS score")]))
        at_the_gate(hot)
        report_of(run(hot, spec(rewrite=[own_target(slice={"id": ["2"]}, query="SELECT 2 AS score")])))
        assert hot.execute("SELECT * FROM hot") == [(2, 2)]
    first.report()


def test_two_runs_with_the_same_slices_in_another_order_do_not_block_each_other_for_good(hot: Database) -> None:
    targets = [own_target(name=f"t{at}", slice={"id": [str(at)]}, query="SELECT 1 AS score") for at in range(8)]
    sides = [Side(hot, spec(rewrite=order)) for order in (targets, targets[::-1]) for _ in range(2)]
    for side in sides:
        assert side.report().result in ("Succeeded", "Superseded")
    assert "deadlock" not in hot.log()


def test_on_giving_up_the_holder_of_the_slice_is_named(hot: Database) -> None:
    with gate(hot) as opened:
        first = Side(hot, spec(rewrite=[own_target(query="SELECT gate() AS id, 1 AS score")]))
        at_the_gate(hot)
        report = report_of(run(hot, TWO, seconds=6), exit_code=1)
        opened.set()
        first.report()
    assert report.result == "DeadlineExceeded"
    assert re.search(
        r"while waiting for slice public.hot {}, held by pid \d+ \(user discovery, application trending/hourly, "
        r"transaction open for \d+ s\)",
        report.message,
    )


def test_a_lost_lock_session_has_the_target_begun_again(hot: Database) -> None:
    with gate(hot) as opened:
        first = Side(hot, spec(rewrite=[own_target(query="SELECT gate() AS id, 1 AS score")]))
        at_the_gate(hot)
        killed = hot.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND objid <> 1 AND application_name = 'trending/hourly'",
            role="postgres",
        )
        assert killed == [(True,)]
        opened.set()
        report = first.report()
    assert "target own: begun again, since the session that held the locks of the slices was lost" in first.heard.lines
    assert step_of(report, "own").rows_inserted == 1
    assert "begun again 1 times" in (step_of(report, "own").note or "")


def test_a_query_cannot_release_the_locks(hot: Database) -> None:
    with gate(hot) as opened:
        query = "SELECT gate() AS id, 1 AS score FROM (SELECT pg_advisory_unlock_all() OFFSET 0) AS u"
        first = Side(hot, spec(rewrite=[own_target(query=query)]))
        at_the_gate(hot)
        second = Side(hot, TWO)
        second.heard.wait_for("waiting for slice")
        opened.set()
        first.report()
        second.report()


def test_a_locked_table_is_waited_for_before_the_source_is_read(hot: Database) -> None:
    with hot.connect() as ddl:
        ddl.execute("ALTER TABLE hot ADD COLUMN more int")
        side = Side(hot, ONE)
        side.heard.wait_for("waiting for a lock on public.hot, held by pid")
        ddl.commit()
        assert side.report().result == "Succeeded"


def test_the_settings_of_a_role_do_not_end_the_lock_session(hot: Database) -> None:
    hot.execute(
        f"ALTER ROLE discovery IN DATABASE {hot.name} SET idle_in_transaction_session_timeout = '300ms';"
        f"ALTER ROLE discovery IN DATABASE {hot.name} SET statement_timeout = '5s';"
        f"ALTER ROLE discovery IN DATABASE {hot.name} SET default_transaction_read_only = on;"
        f"ALTER ROLE discovery IN DATABASE {hot.name} SET default_transaction_isolation = 'serializable'",
        role="postgres",
    )
    slow = spec(rewrite=[own_target(query="SELECT 1 AS id, length(pg_sleep(1)::text) AS score")])
    report = report_of(run(hot, slow))
    assert "begun again" not in (step_of(report, "own").note or "")


def test_nor_do_they_end_a_session_that_waits_within_its_transaction(hot: Database) -> None:
    """Where a slice is whole partitions the table is locked once the source is staged."""
    hot.execute(
        "DROP TABLE hot; CREATE TABLE hot (kind text, id int, score float8, PRIMARY KEY (kind, id)) "
        "PARTITION BY LIST (kind); CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a')"
    )
    hot.execute(
        f"ALTER ROLE discovery IN DATABASE {hot.name} SET idle_in_transaction_session_timeout = '100ms'",
        role="postgres",
    )
    own = own_target(slice={"kind": ["a"]}, query="SELECT 1 AS id, 1 AS score", strategy="Auto")
    with hot.connect(role="postgres") as other:
        other.execute("SET idle_in_transaction_session_timeout = 0")
        other.execute("LOCK TABLE hot IN SHARE MODE")
        side = Side(hot, spec(rewrite=[own]))
        side.heard.wait_for("waiting for a lock on public.hot, held by pid")
        until(lambda: hot.execute(IDLE) or not side.is_alive(), what="a pause between two attempts", pause=0.02)
        other.commit()
        assert "begun again" not in (step_of(side.report(), "own").note or "")
    assert hot.execute("SELECT * FROM hot") == [("a", 1, 1)]


# The one that keeps the locks is idle all the time, and has no snapshot.
IDLE = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'trending/%'
    AND state = 'idle in transaction' AND backend_xmin IS NOT NULL AND clock_timestamp() - state_change > '150 ms'
"""
