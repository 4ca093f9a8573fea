"""The ledger: what it keeps of a run, and what an attempt takes over from an earlier one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.postgres.runs import identity, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database

NOW = datetime(2026, 11, 23, 18, 0, 0, 5, tzinfo=UTC)


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    ledger(database)
    return database


def scoring(score: str, **fields: Any) -> Any:
    return spec(rewrite=[own_target(query=f"SELECT 1 AS id, {score} AS score", **fields)])


def test_anyone_may_ask_how_fresh_a_slice_is(hot: Database) -> None:
    who = identity()
    report_of(run(hot, scoring("1", slice={"id": ["2", "01"]}), who=who, now=NOW))
    assert hot.execute(
        "SELECT table_name, slice, namespace, schedule, target, data_timestamp, scheduled_time, run_id, rows, "
        "step ->> 'rowsInserted' FROM trending.freshness"
    ) == [("public.hot", {"id": ["1", "2"]}, "discovery", "hourly", "own", NOW, who.scheduled_time, who.run_id, 1, "1")]


def test_now_is_the_databases_clock_before_the_first_refresh(hot: Database) -> None:
    hot.execute("CREATE MATERIALIZED VIEW seen AS SELECT now() AS at WITH NO DATA")
    wanted = spec(refresh=[{"materializedView": "seen"}], rewrite=[own_target(query="SELECT 1 AS id")])
    report = report_of(run(hot, wanted))
    ((at,),) = hot.execute("SELECT at FROM seen")
    assert report.data_timestamp is not None
    assert report.data_timestamp < at < report.data_timestamp + timedelta(seconds=20)


def test_a_later_attempt_uses_the_now_of_the_first_and_is_counted(hot: Database) -> None:
    who = identity()
    stamped = scoring("extract(epoch FROM :now)")
    broken = scoring("1/0")
    first = report_of(run(hot, broken, who=who, now=NOW), exit_code=2)
    second = report_of(run(hot, stamped, who=who))
    assert (first.attempts, second.attempts) == (1, 2)
    assert second.data_timestamp == first.data_timestamp == NOW
    assert second.start_time == first.start_time
    assert hot.execute("SELECT score FROM hot") == [(NOW.timestamp(),)]
    assert hot.execute("SELECT attempts, result FROM trending.run") == [(2, "Succeeded")]


def test_an_attempt_after_success_writes_nothing_and_tells_the_same(hot: Database) -> None:
    who = identity()
    wanted = scoring("extract(epoch FROM clock_timestamp())")
    first = report_of(run(hot, wanted, who=who))
    rows = hot.execute("SELECT *, xmin::text FROM hot")
    second = report_of(run(hot, wanted, who=who))
    assert second.steps == first.steps
    assert second.targets == first.targets
    assert hot.execute("SELECT *, xmin::text FROM hot") == rows


def test_a_target_renamed_between_two_attempts_is_written_again(hot: Database) -> None:
    who = identity()
    report_of(run(hot, scoring("1"), who=who))
    assert step_of(report_of(run(hot, scoring("2", name="new"), who=who)), "new").rows_updated == 1


def test_a_target_reports_what_the_ledger_knows_whoever_wrote_it(hot: Database) -> None:
    report_of(run(hot, scoring("1"), who=identity(schedule="other"), now=NOW))
    report = report_of(run(hot, scoring("1/0")), exit_code=2)
    assert [(target.name, target.data_timestamp, target.rows) for target in report.targets] == [("own", NOW, 1)]


def test_a_run_that_was_superseded_is_kept_as_such(hot: Database) -> None:
    report_of(run(hot, scoring("1"), now=NOW))
    report_of(run(hot, scoring("2"), now=NOW - timedelta(days=1)))
    assert hot.execute("SELECT result FROM trending.run ORDER BY started_at") == [("Succeeded",), ("Superseded",)]


def test_times_do_not_depend_on_the_zone_of_server_or_role(hot: Database) -> None:
    hot.execute(f"ALTER ROLE discovery IN DATABASE {hot.name} SET timezone = 'Asia/Kathmandu'", role="postgres")
    hot.execute("ALTER TABLE hot ADD COLUMN created_at timestamp")
    report_of(run(hot, scoring("1"), now=NOW))
    assert hot.execute("SELECT created_at FROM hot") == [(NOW.replace(tzinfo=None),)]


def test_the_date_style_of_a_role_changes_no_slice(hot: Database) -> None:
    hot.execute("CREATE TABLE daily (day date, id int, PRIMARY KEY (day, id))")
    hot.execute(f"ALTER ROLE discovery IN DATABASE {hot.name} SET datestyle = 'German, DMY'", role="postgres")
    target = own_target(table="daily", slice={"day": ["03.02.2026"]}, query="SELECT 1 AS id")
    report_of(run(hot, spec(rewrite=[target])))
    assert hot.execute("SELECT slice FROM trending.freshness") == [({"day": ["2026-02-03"]},)]
    assert hot.execute("SELECT day FROM daily WHERE id = 1") == [(date(2026, 2, 3),)]
