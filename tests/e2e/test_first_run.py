"""An applied schedule's first run: it completes, the status and the columns say so, and every score is right."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.audius.model import TIME_RANGES, differences, expected_scores
from tests.audius.tables import read_tables
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import audius_schedule
from trending.api.instant import parse_instant

SCORES = """
    SELECT track_id, genre, time_range, score FROM track_trending_scores WHERE type = 'TRACKS' AND version = 'pnagD'
"""
SECONDS = 180


@dataclass(frozen=True)
class FirstRun:
    namespace: Namespace
    database: Database
    status: dict[str, Any]
    now: datetime

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        return {step["name"]: step for step in self.status["lastRun"]["steps"]}


@pytest.fixture(scope="module")
def first(shared_namespace: Namespace, shared_database: Database, say: Callable[[str], None]) -> FirstRun:
    """The example of a music service, applied and run once."""
    shared_namespace.create_secret(shared_database.uri)
    begun = time.monotonic()
    shared_namespace.apply(audius_schedule())
    status = shared_namespace.until_run_ended("hourly", seconds=300)
    seconds = time.monotonic() - begun
    say(f"from `kubectl apply` to the first run's end in the status: {seconds:.1f} s of at most {SECONDS} s")
    now = shared_database.value("SELECT data_timestamp FROM trending.run")
    return FirstRun(shared_namespace, shared_database, status, now)


def test_the_first_run_succeeds_and_the_conditions_say_so(first: FirstRun) -> None:
    conditions = {each["type"]: (each["status"], each["reason"]) for each in first.status["conditions"]}
    assert conditions == {
        "Accepted": ("True", "Valid"),
        "Fresh": ("True", "UpToDate"),
        "Succeeded": ("True", "RunSucceeded"),
        "Progressing": ("False", "Idle"),
        "CadenceAtRisk": ("False", "WithinInterval"),
    }
    assert all(each["observedGeneration"] == 1 for each in first.status["conditions"])


def test_the_status_tells_when_the_data_are_of_and_when_they_go_stale(first: FirstRun) -> None:
    assert abs(datetime.now(UTC) - first.now) < timedelta(minutes=15)
    assert parse_instant(first.status["dataTimestamp"]) == first.now.replace(microsecond=0)
    assert parse_instant(first.status["staleTime"]) > first.now
    for target in first.status["targets"]:
        assert parse_instant(target["dataTimestamp"]) == first.now.replace(microsecond=0)
        assert parse_instant(target["staleTime"]) > first.now


def test_the_status_tells_the_rows_of_each_step(first: FirstRun) -> None:
    counted = dict(first.database.rows("SELECT time_range, count(*) FROM track_trending_scores GROUP BY 1"))
    window, all_time = counted["week"] + counted["month"], counted["allTime"]
    assert {name: step["action"] for name, step in first.steps.items()} == {
        "aggregate_interval_plays": "Refresh",
        "trending_params": "Refresh",
        "tracks-pnagD": "Rewrite",
        "tracks-pnagD-all-time": "Rewrite",
    }
    for name, rows in (("tracks-pnagD", window), ("tracks-pnagD-all-time", all_time)):
        step = first.steps[name]
        assert step["strategy"] == "Merge"
        assert [step[f"rows{word}"] for word in ("Inserted", "Updated", "Deleted", "Unchanged")] == [rows, 0, 0, 0]
        assert step["seconds"] > 0
    assert {target["name"]: target["rows"] for target in first.status["targets"]} == {
        "tracks-pnagD": window,
        "tracks-pnagD-all-time": all_time,
    }
    assert first.status["lastRun"]["rowsChanged"] == window + all_time


def test_the_status_tells_of_the_last_run(first: FirstRun) -> None:
    last = first.status["lastRun"]
    assert (last["result"], last["reason"], last["attempts"]) == ("Succeeded", "RunSucceeded", 1)
    assert last["message"].startswith("refreshed 2 views; rewrote 2 targets: ")
    created = parse_instant(first.namespace.schedule("hourly")["metadata"]["creationTimestamp"])
    minute = int(created.timestamp()) // 60
    assert last["job"] == f"hourly-{minute}"
    assert parse_instant(last["scheduledTime"]) == created
    assert created <= parse_instant(last["startTime"]) <= parse_instant(last["completionTime"])
    assert last["completionTime"] == first.status["lastSuccessfulTime"]
    assert first.status["lastScheduleTime"] == last["scheduledTime"]
    assert first.status["nextScheduleTime"].endswith("-02-29T00:00:00Z")
    assert (first.status["activeCount"], first.status["consecutiveFailures"]) == (0, 0)


def test_every_score_is_that_of_the_exact_model(first: FirstRun) -> None:
    """To a relative 1e-9, zero exactly, for week, month and all time, with the run's own `:now`."""
    with first.database.connect() as connection:
        tables = read_tables(connection)
        rows = connection.execute(SCORES).fetchall()
    expected = expected_scores(tables, first.now.replace(tzinfo=None))
    assert differences(expected, rows) == []
    for time_range in TIME_RANGES:
        scores = [score for _, _, of, score in rows if of == time_range]
        assert sum(score > 0 for score in scores) > 500
        assert sum(score == 0 for score in scores) > 5


def test_rows_that_changed_carry_the_data_timestamp(first: FirstRun) -> None:
    stamps = first.database.rows("SELECT DISTINCT created_at FROM track_trending_scores")
    assert stamps == [(first.now.replace(tzinfo=None),)]


def test_the_ledger_tells_how_fresh_each_slice_is(first: FirstRun) -> None:
    rows = first.database.rows("SELECT table_name, target, data_timestamp, schedule FROM trending.freshness ORDER BY 2")
    assert [(target, timestamp, schedule) for _, target, timestamp, schedule in rows] == [
        ("tracks-pnagD", first.now, "hourly"),
        ("tracks-pnagD-all-time", first.now, "hourly"),
    ]


def test_kubectl_get_ts_shows_the_columns(first: FirstRun) -> None:
    (row,) = table(first.namespace.run("get", "ts"))
    assert " ".join(row) == "NAME SCHEDULE SUSPEND ACTIVE FRESH DATA-AGE LAST-RUN RESULT NEXT AGE"
    ages = [row.pop(name) for name in ("DATA-AGE", "LAST-RUN", "AGE")]
    assert all(re.fullmatch(r"\d+[smh]\S*", age) for age in ages), ages
    assert row == {
        "NAME": "hourly",
        "SCHEDULE": "0 0 29 2 *",
        "SUSPEND": "false",
        "ACTIVE": "0",
        "FRESH": "True",
        "RESULT": "Succeeded",
        "NEXT": first.status["nextScheduleTime"],
    }


def test_kubectl_get_ts_wide_shows_duration_rows_strategy_and_failures(first: FirstRun) -> None:
    (row,) = table(first.namespace.run("get", "ts", "--output=wide"))
    assert list(row)[-4:] == ["DURATION", "ROWS", "STRATEGY", "FAILURES"]
    last = first.status["lastRun"]
    assert list(row.values())[-4:] == [last["duration"], str(last["rowsChanged"]), "Merge", "0"]


def test_the_run_sends_two_events_each_once(first: FirstRun) -> None:
    job, message = first.status["lastRun"]["job"], first.status["lastRun"]["message"]
    events = first.namespace.events("hourly")
    told = sorted((each["type"], each["reason"], each["message"], each["count"]) for each in events)
    assert told == [
        ("Normal", "DataFresh", condition_of(first.status, "Fresh")["message"], 1),
        ("Normal", "RunSucceeded", f"Job {job}: {message}", 1),
        ("Normal", "SuccessfulCreate", f"Created job {job}", 1),
    ]


def table(printed: str) -> list[dict[str, str]]:
    """Read what `kubectl get` prints: columns begin where their headings do."""
    heading, *lines = printed.splitlines()
    begins = [found.start() for found in re.finditer(r"\S+", heading)]
    ends = [*begins[1:], None]
    cells = [[line[begin:end].strip() for begin, end in zip(begins, ends, strict=True)] for line in (heading, *lines)]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
