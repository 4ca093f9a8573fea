"""Targets with an `every` of their own: which runs rewrite them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.postgres.runs import identity, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from tests.postgres.sides import Side, at_the_gate, gate
from trending.api.document import Trigger
from trending.report import Report

SLOT = datetime(2026, 11, 23, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURLY = own_target(name="hourly", slice={"id": ["1"]}, query="SELECT extract(epoch FROM :now) AS score")
DAILY = own_target(name="daily", slice={"id": ["2"]}, query="SELECT extract(epoch FROM :now) AS score", every="24h")


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    database.execute("CREATE MATERIALIZED VIEW seen AS SELECT clock_timestamp() AS at")
    ledger(database)
    return database


def at_slot(
    database: Database, slot: datetime, *targets: dict[str, Any], trigger: Trigger = "Schedule", **fields: Any
) -> Report:
    """Do a run whose data are of a minute after its slot."""
    who = replace(identity(), scheduled_time=slot, trigger=trigger)
    wanted = spec(rewrite=list(targets or (HOURLY, DAILY)), **fields)
    return report_of(run(database, wanted, who=who, now=slot + timedelta(minutes=1)))


def data_of(report: Report) -> dict[str, datetime | None]:
    return {target.name: target.data_timestamp for target in report.targets}


def test_a_target_is_rewritten_when_every_has_passed_since_the_slot_of_its_last_write(hot: Database) -> None:
    written = {}
    for hours in (0, 1, 23, 24, 25, 48):
        report = at_slot(hot, SLOT + hours * HOUR)
        written[hours] = step_of(report, "daily").seconds is not None
        assert step_of(report, "hourly").seconds is not None
    assert written == {0: True, 1: False, 23: False, 24: True, 25: False, 48: True}


def test_a_target_that_is_not_due_says_when_it_will_be_and_repeats_its_timestamp(hot: Database) -> None:
    at_slot(hot, SLOT)
    report = at_slot(hot, SLOT + HOUR)
    step = step_of(report, "daily")
    assert step.note == (
        "not due before 2026-11-24T06:00:00Z: every 24h, last written for the slot of 2026-11-23T06:00:00Z"
    )
    assert (step.strategy, step.rows_inserted, step.rows_unchanged) == (None, None, None)
    assert report.message == "rewrote 1 target: 1 row updated, 0 unchanged; not due: daily"
    minute = timedelta(minutes=1)
    assert data_of(report) == {"hourly": SLOT + HOUR + minute, "daily": SLOT + minute}


def test_a_run_by_hand_rewrites_all_and_does_not_move_what_every_counts_from(hot: Database) -> None:
    at_slot(hot, SLOT)
    by_hand = at_slot(hot, SLOT + 20 * HOUR, trigger="Manual")
    assert step_of(by_hand, "daily").rows_updated == 1
    assert step_of(at_slot(hot, SLOT + 23 * HOUR), "daily").seconds is None
    assert step_of(at_slot(hot, SLOT + 24 * HOUR), "daily").rows_updated == 1
    ((slot,),) = hot.execute('SELECT scheduled_time FROM trending.freshness WHERE slice = \'{"id": ["2"]}\'')
    assert slot == SLOT + DAY


def test_a_target_that_only_runs_by_hand_have_written_is_due(hot: Database) -> None:
    at_slot(hot, SLOT, trigger="Manual")
    assert hot.execute("SELECT DISTINCT scheduled_time FROM trending.freshness") == [(None,)]
    assert step_of(at_slot(hot, SLOT + HOUR), "daily").rows_updated == 1


def test_a_late_start_does_not_move_the_rhythm(hot: Database) -> None:
    late = replace(identity(), scheduled_time=SLOT)
    report_of(run(hot, spec(rewrite=[DAILY]), who=late, now=SLOT + 5 * HOUR))
    assert step_of(at_slot(hot, SLOT + DAY, DAILY), "daily").rows_updated == 1


def test_where_no_target_is_due_nothing_is_refreshed_and_the_run_succeeds(hot: Database) -> None:
    refresh = [{"materializedView": "seen"}]
    at_slot(hot, SLOT, DAILY, refresh=refresh)
    seen = hot.execute("SELECT at FROM seen")
    report = at_slot(hot, SLOT + HOUR, DAILY, refresh=refresh)
    assert report.result == "Succeeded"
    assert report.message.startswith("nothing was to be done: daily is not due before 2026-11-24T06:00:00Z")
    assert step_of(report, "seen").note == "not done: no target is due"
    assert hot.execute("SELECT at FROM seen") == seen
    assert data_of(report) == {"daily": SLOT + timedelta(minutes=1)}


def test_where_one_target_is_due_the_views_are_refreshed(hot: Database) -> None:
    refresh = [{"materializedView": "seen"}]
    at_slot(hot, SLOT, refresh=refresh)
    assert step_of(at_slot(hot, SLOT + HOUR, refresh=refresh), "seen").seconds is not None


def test_a_further_attempt_takes_over_what_an_earlier_one_has_written(hot: Database) -> None:
    who = replace(identity(), scheduled_time=SLOT)
    first = report_of(run(hot, spec(rewrite=[DAILY]), who=who))
    second = report_of(run(hot, spec(rewrite=[DAILY]), who=who))
    assert second.steps == first.steps
    assert step_of(second, "daily").rows_inserted == 1


def test_a_target_that_failed_is_due_at_the_next_slot(hot: Database) -> None:
    at_slot(hot, SLOT)
    broken = {**DAILY, "query": "SELECT 1/0 AS score"}
    who = replace(identity(), scheduled_time=SLOT + DAY)
    report_of(run(hot, spec(rewrite=[broken]), who=who, now=SLOT + DAY), exit_code=2)
    assert step_of(at_slot(hot, SLOT + DAY + HOUR), "daily").rows_updated == 1


def test_a_target_without_every_is_due_at_every_slot(hot: Database) -> None:
    at_slot(hot, SLOT)
    whenever = {name: value for name, value in DAILY.items() if name != "every"}
    assert step_of(at_slot(hot, SLOT + timedelta(minutes=1), whenever), "daily").rows_updated == 1


def test_of_two_runs_at_once_the_second_finds_it_is_not_due_any_more(hot: Database) -> None:
    with gate(hot) as opened:
        slow = {**DAILY, "query": "SELECT gate() AS score"}
        first = Side(hot, spec(rewrite=[slow]), now=SLOT, who=replace(identity(), scheduled_time=SLOT))
        at_the_gate(hot)
        later = replace(identity(), scheduled_time=SLOT + HOUR)
        second = Side(hot, spec(rewrite=[HOURLY, DAILY]), now=SLOT + HOUR, who=later)
        second.heard.wait_for("waiting for slice")
        opened.set()
        assert step_of(first.report(), "daily").rows_inserted == 1
        report = second.report()
    assert "not due before 2026-11-24T06:00:00Z" in (step_of(report, "daily").note or "")
    assert data_of(report) == {"hourly": SLOT + HOUR, "daily": SLOT}
    assert report.message == "rewrote 1 target: 1 row inserted, 0 unchanged; not due: daily"
