"""`trending bench` on a real database: it measures, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.runs import ledger, start
from tests.postgres.server import Database
from tests.waiting import until
from trending.bench.campaign import Campaign
from trending.bench.measure import Bench, Measured
from trending.bench.work import work
from trending.bench.yard import Size, Yard
from trending.runner.access import from_uri

SMALL = ("--rows", "2000", "--slices", "2", "--rounds", "1", "--shares", "0,50")
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'trending%' ORDER BY nspname"


def bench(database: Database, *arguments: str) -> tuple[int, str, str]:
    process = start("bench", *arguments, TRENDING_DATABASE_URI=database.uri)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def measured(database: Database, *arguments: str) -> dict[str, Any]:
    code, out, err = bench(database, "-o", "json", *SMALL, *arguments)
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


class Silent:
    """Hears everything and says nothing."""

    def says(self, text: str) -> None:
        """Hear it."""

    def measured(self, result: Measured) -> None:
        """Hear it."""


@pytest.fixture
def with_ledger(database: Database) -> Database:
    ledger(database)
    return database


def test_every_strategy_is_measured_on_both_kinds_of_tables(with_ledger: Database) -> None:
    result = measured(with_ledger)
    assert {(run["kind"], run["strategy"]) for run in result["runs"]} == {
        *(("plain", each) for each in ("Merge", "DeleteInsert", "Upsert", "Auto")),
        *(("partitioned", each) for each in ("Merge", "Swap", "DeleteInsert", "Upsert", "Auto")),
    }
    assert all(run["ran"] == run["strategy"] for run in result["runs"] if run["strategy"] != "Auto")
    assert result["machine"]["is_local"]
    assert all(run["cpu"] is not None and run["wall"] > 0 for run in result["runs"])


def test_merge_writes_the_share_that_was_asked_for(with_ledger: Database) -> None:
    runs = measured(with_ledger, "--strategy", "Merge", "--kind", "plain")["runs"]
    assert [run["share"] for run in runs] == [0.0, 0.5]
    assert runs[0]["changed"] == 0
    assert runs[1]["changed"] == pytest.approx(1000, abs=150)


def test_nothing_of_it_stays_in_the_database(with_ledger: Database) -> None:
    with_ledger.execute("CREATE TABLE track_trending_scores (score float8)")
    measured(with_ledger, "--strategy", "Merge", "--kind", "partitioned")
    assert with_ledger.execute(SCHEMAS) == [("trending",)]
    assert with_ledger.execute("SELECT count(*) FROM trending.run") == [(0,)]
    assert with_ledger.execute("SELECT count(*) FROM trending.freshness") == [(0,)]


def test_a_ledger_that_was_not_there_is_taken_away_again(database: Database) -> None:
    measured(database, "--strategy", "Merge", "--kind", "plain")
    assert database.execute(SCHEMAS) == []


def test_thresholds_are_stored_where_auto_reads_them(with_ledger: Database) -> None:
    result = measured(with_ledger, "--strategy", "Merge", "--strategy", "DeleteInsert", "--kind", "plain", "--store")
    ((name, value, measured_by),) = with_ledger.execute("SELECT name, value, measured_by FROM trending.threshold")
    assert name == "merge_below/plain"
    assert value == pytest.approx(result["mergeBelow"]["plain"])
    assert 0 <= value <= 1
    assert "2000 rows a slice" in measured_by


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_bench_that_is_stopped_drops_its_schema(with_ledger: Database, number: signal.Signals) -> None:
    process = start("bench", "--rows", "20000", "--rounds", "50", TRENDING_DATABASE_URI=with_ledger.uri)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("  plain"):  # the first result
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert number.name in err
    assert "plain table" in out  # what was measured until then is told
    assert with_ledger.execute(SCHEMAS) == [("trending",)]
    assert with_ledger.execute("SELECT count(*) FROM trending.run") == [(0,)]


def test_an_interruption_between_a_statement_and_its_answer_ends_it_in_order_too(
    with_ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_campaign: Campaign, _bench: Bench, yard: Yard, **_: Any) -> bool:
        yard.lay_out()
        connection = yard._connection
        connection.pgconn.send_query(f"LOCK {yard.schema}.source; SELECT pg_sleep(600)".encode())
        busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LOCK %' AND wait_event = 'PgSleep'"
        until(lambda: with_ledger.execute(busy) == [(1,)], what="the statement is at work")
        raise KeyboardInterrupt("it was stopped")

    monkeypatch.setattr("trending.bench.work.carry_out", interrupted)
    bout = work(
        Campaign(kinds=["plain"], strategies=["Merge"], shares=[0.0], rounds=1),
        Size(rows=10, slices=1),
        access=from_uri(with_ledger.uri, origin="the test"),
        connect=lambda: with_ledger.connect(autocommit=True),
        settings={},
        storing=False,
        listener=Silent(),
    )
    assert (bout.ended, bout.was_interrupted) == ("it was stopped", True)
    assert with_ledger.execute(SCHEMAS) == [("trending",)]


def test_people_get_tables_a_plot_and_a_picture(with_ledger: Database, tmp_path: Path) -> None:
    picture, file = tmp_path / "bench.png", tmp_path / "bench.json"
    code, out, err = bench(
        with_ledger, *SMALL, "--strategy", "Merge", "--kind", "plain", "--plot", str(picture), "--json", str(file)
    )
    assert code == 0, err
    assert "PostgreSQL 1" in out
    assert "x best" in out
    assert "█" in out
    assert picture.stat().st_size > 1000
    assert json.loads(file.read_text())["runs"]
    assert with_ledger.password not in out + err


def test_what_makes_no_sense_is_refused(database: Database) -> None:
    assert bench(database, "--kind", "plain", "--strategy", "Swap")[0] == 2
    assert bench(database, "--shares", "0,200")[0] == 2
    assert bench(database, "--setting", "work_mem")[0] == 2
    assert "no database is given" in start("bench").communicate()[1]


def test_when_the_time_is_over_there_is_what_was_measured_by_then(with_ledger: Database) -> None:
    result = measured(with_ledger, "--strategy", "Merge", "--minutes", "0")
    assert result["runs"] == []
    assert result["ended"] is None
    assert "minutes were over" in result["note"]
    assert with_ledger.execute(SCHEMAS) == [("trending",)]
