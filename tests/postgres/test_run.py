"""A run from beginning to end on the presets' ranking, against the exact model and a real server."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.audius.model import differences, expected_scores
from tests.audius.tables import read_tables
from tests.postgres.runs import counts, identity, ledger, report_of, run, spec, step_of
from tests.postgres.server import ADMIN, Database, PostgresServer
from trending.presets.sample import sample_statements

VIEWS = ("aggregate_interval_plays", "trending_params")
REFRESH = [{"materializedView": view} for view in VIEWS]
TRACKS = {"name": "tracks", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week", "month", "allTime"]}}
HOURLY = spec(refresh=REFRESH, rewrite=[TRACKS])


@pytest.fixture(scope="module")
def sample_template(server: PostgresServer) -> Iterator[str]:
    """Sample data that keep an hour's distance from every edge in time, and the ledger."""

    def build(database: Database) -> None:
        with database.connect(autocommit=True) as connection:
            for statement in sample_statements(tracks=1_500, plays=30_000):
                connection.execute(statement.encode())
        ledger(database)

    with server.template(build) as name:
        yield name


@pytest.fixture
def sample(server: PostgresServer, sample_template: str) -> Iterator[Database]:
    with server.database(template=sample_template) as database:
        yield database


def scores(database: Database) -> list[tuple[int, str, str, float]]:
    return [
        (row[0], row[1], row[2], row[3])
        for row in database.execute(
            "SELECT track_id, genre, time_range, score FROM track_trending_scores WHERE type = 'TRACKS'"
        )
    ]


@contextmanager
def reading(database: Database) -> Iterator[list[int]]:
    """Read both views and the scores over and over, in transactions that stay open for a while."""
    reads: list[int] = []
    over = threading.Event()

    def read() -> None:
        with database.connect() as connection:
            while not over.wait(0.01):
                for table in (*VIEWS, "track_trending_scores"):
                    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
                    reads.extend(count for (count,) in connection.execute(query))
                if len(reads) % 30 == 0:
                    connection.commit()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield reads
    finally:
        over.set()
        reader.join()


def test_every_score_of_a_first_run_equals_the_exact_model(sample: Database) -> None:
    report = report_of(run(sample, HOURLY))
    assert report.data_timestamp is not None
    with sample.connect() as connection:
        expected = expected_scores(read_tables(connection), report.data_timestamp.replace(tzinfo=None))
    written = scores(sample)
    assert differences(expected, written) == []
    assert counts(report, "tracks") == (len(written), 0, 0, 0)
    assert sample.execute("SELECT DISTINCT created_at FROM track_trending_scores") == [
        (report.data_timestamp.replace(tzinfo=None),)
    ]


def test_a_first_run_reports_what_the_status_shows(sample: Database) -> None:
    before = datetime.now(UTC)
    report = report_of(run(sample, HOURLY))
    assert (report.result, report.reason) == ("Succeeded", "RunSucceeded")
    assert [(step.action, step.name) for step in report.steps] == [
        *(("Refresh", view) for view in VIEWS),
        ("Rewrite", "tracks"),
    ]
    assert report.strategies in ("Merge", "DeleteInsert")
    assert all(step.seconds is not None and step.wal_bytes for step in report.steps)
    assert f"Auto took {report.strategies}" in (step_of(report, "tracks").note or "")
    (target,) = report.targets
    assert target.rows == len(scores(sample))
    assert target.data_timestamp == report.data_timestamp
    assert report.data_timestamp is not None
    assert before - timedelta(seconds=1) < report.data_timestamp < datetime.now(UTC)


def test_a_second_run_changes_no_row_and_prunes_those_of_a_deleted_track(sample: Database) -> None:
    report_of(run(sample, HOURLY))
    written = len(scores(sample))
    stamps = sample.execute(
        "SELECT track_id, time_range, created_at, xmin::text FROM track_trending_scores ORDER BY 1, 2"
    )
    second = report_of(run(sample, HOURLY))
    assert counts(second, "tracks") == (0, 0, 0, written)
    assert (
        sample.execute("SELECT track_id, time_range, created_at, xmin::text FROM track_trending_scores ORDER BY 1, 2")
        == stamps
    )
    assert second.targets[0].data_timestamp == second.data_timestamp, "unchanged rows are fresh rows"
    (track,) = sample.execute("SELECT track_id FROM track_trending_scores GROUP BY 1 HAVING count(*) = 3 LIMIT 1")[0]
    sample.execute("UPDATE tracks SET is_delete = true WHERE track_id = %s", [track])
    third = report_of(run(sample, HOURLY))
    assert counts(third, "tracks") == (0, 0, 3, written - 3)
    assert third.targets[0].rows == written - 3
    assert track not in {row[0] for row in scores(sample)}


def test_rows_of_other_slices_stay_as_they_are(sample: Database) -> None:
    sample.execute(
        "INSERT INTO track_trending_scores (track_id, type, genre, version, time_range, score, created_at) "
        "SELECT g, kind, 'x', version, 'week', 7, '2020-01-01' FROM generate_series(1, 50) AS g, "
        "(VALUES ('TRACKS', 'AnlGe'), ('UNDERGROUND_TRACKS', 'pnagD')) AS others (kind, version)"
    )
    others = (
        "SELECT md5(string_agg(t::text || xmin::text || ctid::text, ',' ORDER BY t::text)) "
        "FROM track_trending_scores AS t WHERE (type, version) <> ('TRACKS', 'pnagD')"
    )
    before = sample.execute(others)
    report_of(run(sample, HOURLY))
    sample.execute("UPDATE tracks SET is_delete = true WHERE track_id % 10 = 0")
    report_of(run(sample, HOURLY))
    assert sample.execute(others) == before


def test_week_and_month_may_be_one_target_and_all_time_another(sample: Database) -> None:
    hourly = {**TRACKS, "name": "hourly", "preset": {**TRACKS["preset"], "timeRanges": ["week", "month"]}}  # type: ignore[dict-item]
    daily = {**TRACKS, "name": "daily", "preset": {**TRACKS["preset"], "timeRanges": ["allTime"]}}  # type: ignore[dict-item]
    report = report_of(run(sample, spec(refresh=REFRESH, rewrite=[hourly, daily])))
    together = scores(sample)
    assert sum(target.rows or 0 for target in report.targets) == len(together)
    # The same rows as one target, although the slices are others: nothing is left to do.
    again = report_of(run(sample, HOURLY))
    assert counts(again, "tracks") == (0, 0, 0, len(together))


def test_unpopulated_views_and_views_without_a_unique_index_are_refreshed_blocking_and_the_step_says_why(
    sample: Database,
) -> None:
    first = report_of(run(sample, HOURLY))
    for view in VIEWS:
        step = step_of(first, view)
        assert step.mode == "Blocking"
        assert re.search(r"never been populated; readers were locked out for [\d.]+ s", step.note or "")
        assert "trending migrate --preset audius" in (step.note or "")
    second = report_of(run(sample, HOURLY))
    for view in VIEWS:
        step = step_of(second, view)
        assert step.mode == "Blocking"
        assert re.search(r"no unique index .*locked out for [\d.]+ s.*migrate --preset audius", step.note or "")


def test_after_the_migration_refreshes_are_concurrent_and_no_reader_waits(sample: Database) -> None:
    report_of(run(sample, HOURLY))
    ledger(sample, preset="audius")
    with reading(sample) as reads:
        report = report_of(run(sample, HOURLY))
    assert reads
    for view in VIEWS:
        assert (step_of(report, view).mode, step_of(report, view).note) == ("Concurrent", None)
    assert "still waiting" not in sample.log()


def test_now_by_hand_is_the_data_timestamp_of_all_that_is_written(sample: Database) -> None:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    report = report_of(run(sample, HOURLY, now=now))
    assert report.data_timestamp == now
    assert sample.execute("SELECT DISTINCT created_at FROM track_trending_scores") == [(now.replace(tzinfo=None),)]
    assert sample.execute("SELECT data_timestamp FROM trending.run") == [(now,)]


def test_a_run_without_a_ledger_says_which_command_makes_one(audius: Database) -> None:
    report = report_of(run(audius, HOURLY), exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "run `trending migrate`" in report.message
    assert audius.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'trending'") == [(0,)]
    assert {step.note for step in report.steps} == {"not done"}


def test_the_ledger_has_the_whole_run(sample: Database) -> None:
    who = identity()
    report = report_of(run(sample, HOURLY, who=who))
    ((row,),) = sample.execute(
        "SELECT jsonb_build_object('run_id', run_id, 'schedule', schedule, 'job', job, 'result', result, 'attempts', "
        "attempts, 'ended', completed_at > started_at, 'report', report) FROM trending.run"
    )
    assert row == {
        "run_id": who.run_id,
        "schedule": "hourly",
        "job": "hourly-1",
        "result": "Succeeded",
        "attempts": 1,
        "ended": True,
        "report": report.to_json_object(),
    }


def test_no_look_up_in_the_catalog_is_so_dear_that_the_server_compiles_it(sample: Database) -> None:
    """Which takes longer than all else of a small run; the planner's estimate decides (jit_above_cost, 100,000)."""
    if sample.server.version != 15:
        pytest.skip("auto_explain is of Debian's PostgreSQL alone")
    for name, value in (("session_preload_libraries", "auto_explain"), ("auto_explain.log_min_duration", "0")):
        sample.execute(f"ALTER DATABASE {sample.name} SET {name} = '{value}'", role=ADMIN)
    own = {"name": "own", "table": "playlist_trending_scores", "slice": {"type": ["X"], "version": ["v"]}}
    query = "SELECT 1 AS playlist_id, 'week' AS time_range, 1 AS score"
    report_of(run(sample, spec(rewrite=[{**own, "query": query}])))
    costs = re.findall(r"plan:\n\tQuery Text:.*?\n\t[A-Z][^\n]*?cost=[\d.]+\.\.([\d.]+)", sample.log(), re.DOTALL)
    assert len(costs) > 20
    assert max(map(float, costs)) < 50_000
