"""Two schedules that write the same rows are told of each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.postgres.runs import identity, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from trending.runner.ledger import RunIdentity

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE, THERE = "5f0c1a52-0000-4000-8000-000000000000", "77777777-0000-4000-8000-000000000000"


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id))")
    ledger(database)
    return database


def note(database: Database, boards: list[str], who: RunIdentity, now: datetime) -> str:
    query = f"SELECT board, 1 AS id, 1 AS score FROM unnest(ARRAY{boards}) AS board"
    wanted = spec(rewrite=[own_target(slice={"board": boards}, query=query)])
    return step_of(report_of(run(database, wanted, who=who, now=now)), "own").note or ""


def of(schedule: str, *, namespace: str = "discovery", uid: str = HERE) -> RunIdentity:
    return replace(
        identity(f"{uid}/{schedule}-{datetime.now(UTC).timestamp()}", schedule=schedule), namespace=namespace
    )


def test_another_schedule_on_an_overlapping_slice_is_named(hot: Database) -> None:
    note(hot, ["a", "b"], of("one"), NOW)
    said = note(hot, ["b", "c"], of("two"), NOW + HOUR)
    assert "warning: rows of this slice are written by target own of schedule discovery/one" in said
    assert "(slice {'board': ['a', 'b']}), at 2026-11-23T18:00:00Z too" in said
    assert "schedule discovery/two" in note(hot, ["a", "b"], of("one"), NOW + 2 * HOUR), "both hear of it"


def test_another_one_on_the_same_slice_is_named(hot: Database) -> None:
    note(hot, ["a"], of("one"), NOW)
    assert "schedule elsewhere/one, at" not in note(hot, ["a"], of("one"), NOW + HOUR)
    note(hot, ["a"], of("one", namespace="elsewhere"), NOW + 2 * HOUR)
    assert "schedule elsewhere/one, at 2026-11-23T20:00:00Z too" in note(hot, ["a"], of("one"), NOW + 3 * HOUR)


def test_one_of_the_same_name_in_another_cluster_is_named(hot: Database) -> None:
    note(hot, ["a"], of("one"), NOW)
    assert "warning" in note(hot, ["a"], of("one", uid=THERE), NOW + HOUR)


def test_who_has_stopped_writing_is_named_no_more(hot: Database) -> None:
    note(hot, ["a", "b"], of("one"), NOW)
    assert "warning" in note(hot, ["b"], of("two"), NOW + HOUR)
    assert "warning" not in note(hot, ["b"], of("two"), NOW + 2 * HOUR)


def test_what_was_written_weeks_ago_is_no_trouble(hot: Database) -> None:
    note(hot, ["a", "b"], of("one"), NOW - timedelta(days=8))
    assert "warning" not in note(hot, ["b"], of("two"), NOW)


def test_slices_with_no_row_in_common_are_not_named(hot: Database) -> None:
    note(hot, ["a"], of("one"), NOW)
    assert "warning" not in note(hot, ["b"], of("two"), NOW)


def test_a_schedule_s_own_former_slices_and_runs_by_hand_are_not_named(hot: Database) -> None:
    note(hot, ["a", "b"], of("one"), NOW)
    assert "warning" not in note(hot, ["b"], of("one"), NOW + HOUR)
    by_hand = replace(of("one"), run_id="local/1", namespace=None, trigger="Manual")
    assert "warning" not in note(hot, ["b"], by_hand, NOW + 2 * HOUR)
    assert "warning" not in note(hot, ["b"], of("one"), NOW + 3 * HOUR)


def test_a_data_timestamp_of_long_ago_is_no_trouble(hot: Database) -> None:
    note(hot, ["a", "b"], of("one"), NOW)
    assert "warning" in note(hot, ["b"], of("two"), datetime(1, 1, 2, tzinfo=UTC))


def test_another_one_on_a_partition_is_named_and_so_is_one_on_the_table(hot: Database) -> None:
    hot.execute(
        "DROP TABLE hot; CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id)) "
        "PARTITION BY LIST (board); CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
        "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b')"
    )
    note(hot, ["a"], of("one"), NOW)
    wanted = spec(rewrite=[own_target(table="hot_a", query="SELECT 'a' AS board, 1 AS id, 1 AS score")])
    said = step_of(report_of(run(hot, wanted, who=of("two"), now=NOW + HOUR)), "own").note or ""
    assert "schedule discovery/one (slice {'board': ['a']} of public.hot), at 2026-11-23T18:00:00Z too" in said
    assert "schedule discovery/two (slice {} of public.hot_a), at" in note(hot, ["a"], of("one"), NOW + 2 * HOUR)
    assert "warning" not in note(hot, ["b"], of("three"), NOW + 2 * HOUR)
