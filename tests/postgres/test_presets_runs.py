"""Runs that rewrite the presets' rankings: what the score tables hold afterwards is what the exact model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg import sql

from tests.audius.model import differences
from tests.audius.rankings import TIME_RANGES_OF, expected_of_preset
from tests.audius.tables import read_tables
from tests.postgres.runs import counts, ledger, report_of, run, spec, start
from tests.postgres.server import Database, PostgresServer
from trending.api.spec import TrendingScheduleSpec
from trending.presets import load_preset
from trending.presets.sample import sample_statements
from trending.report import Report

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"
REFRESH = [{"materializedView": "aggregate_interval_plays"}, {"materializedView": "trending_params"}]


@pytest.fixture(scope="module")
def sample_template(server: PostgresServer) -> Iterator[str]:
    """Sample data that keep an hour's distance from every edge in time, and the ledger."""

    def build(database: Database) -> None:
        with database.connect(autocommit=True) as connection:
            for statement in sample_statements(tracks=600, plays=8000):
                connection.execute(statement.encode())
        ledger(database)

    with server.template(build) as name:
        yield name


@pytest.fixture
def sample(server: PostgresServer, sample_template: str) -> Iterator[Database]:
    with server.database(template=sample_template) as database:
        yield database


def example(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))["spec"]
    return fields


def target(preset: str, *, persist: str = "all", **fields: Any) -> dict[str, Any]:
    """A target with all time ranges of the preset."""
    wanted = {"name": preset, "timeRanges": list(TIME_RANGES_OF[preset]), "persist": persist}
    return {"name": "ranking", "preset": wanted, **fields}


def wrong(database: Database, report: Report, wanted: Mapping[str, Any]) -> list[str]:
    """What the table holds of a target's slice that the model does not expect."""
    name, time_ranges, persist = wanted["name"], wanted["timeRanges"], wanted.get("persist", "all")
    preset = load_preset(name, time_ranges)
    [now] = {each.data_timestamp for each in report.targets}
    assert now is not None
    query = sql.SQL(
        "SELECT {}, {}, time_range, score FROM {} WHERE type = {} AND version = {} AND time_range = ANY({})"
    )
    id_, genre = (sql.Identifier(preset.key[0]), sql.SQL("genre" if "tracks" in name else "NULL::text"))
    table, [type_], [version] = sql.Identifier(preset.table), preset.slice["type"], preset.slice["version"]
    with database.connect() as connection:
        rows = connection.execute(query.format(id_, genre, table, type_, version, list(time_ranges))).fetchall()
        tables = read_tables(connection)
    expected = expected_of_preset(name, tables, now.replace(tzinfo=None), time_ranges, persist=persist)
    assert expected
    return differences(expected, rows)


def rows(database: Database) -> int:
    [(count,)] = database.execute("SELECT count(*) FROM track_trending_scores")
    return int(count)


def test_the_examples_together_rewrite_every_ranking_of_the_presets(sample: Database) -> None:
    seen = set()
    for file in ("audius-hourly.yaml", "audius-more.yaml"):
        fields = example(file)
        report = report_of(run(sample, TrendingScheduleSpec.model_validate(fields)))
        for each in fields["rewrite"]:
            assert wrong(sample, report, each["preset"]) == []
            seen |= {(each["preset"]["name"], time_range) for time_range in each["preset"]["timeRanges"]}
    assert seen == {(name, time_range) for name, ranges in TIME_RANGES_OF.items() for time_range in ranges}


def test_the_examples_may_start_at_the_same_moment_on_views_that_were_never_populated(sample: Database) -> None:
    files = [str(EXAMPLES / name) for name in ("audius-hourly.yaml", "audius-more.yaml")]
    running = [start("run", "-f", file, "-o", "json", TRENDING_DATABASE_URI=sample.uri) for file in files]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0], ended
    versions = sample.execute("SELECT DISTINCT type, version FROM track_trending_scores ORDER BY 1, 2")
    assert versions == [("TRACKS", "AnlGe"), ("TRACKS", "pnagD"), ("UNDERGROUND_TRACKS", "pnagD")]


@pytest.mark.parametrize("persist", ["all", "positive"])
@pytest.mark.parametrize("preset", TIME_RANGES_OF)
def test_a_target_s_slice_holds_what_the_model_says_and_a_second_run_changes_nothing(
    sample: Database, preset: str, persist: str
) -> None:
    wanted = target(preset, persist=persist)
    report = report_of(run(sample, spec(refresh=REFRESH, rewrite=[wanted])))
    assert wrong(sample, report, wanted["preset"]) == []
    inserted, updated, deleted, _ = counts(report, "ranking")
    again = report_of(run(sample, spec(refresh=REFRESH, rewrite=[wanted])))
    assert (updated, deleted) == (0, 0)
    assert counts(again, "ranking") == (0, 0, 0, inserted)


def test_zeros_stored_before_only_go_where_the_target_may_delete_that_many(sample: Database) -> None:
    preset = "audius/tracks-pnagD"
    first = report_of(run(sample, spec(refresh=REFRESH, rewrite=[target(preset)])))
    positive = target(preset, persist="positive")
    refused = report_of(run(sample, spec(rewrite=[positive])), exit_code=2)
    assert "maxDeletePercent" in refused.message
    assert wrong(sample, first, target(preset)["preset"]) == []
    before = rows(sample)

    allowed = report_of(run(sample, spec(refresh=REFRESH, rewrite=[{**positive, "maxDeletePercent": 100}])))
    assert wrong(sample, allowed, positive["preset"]) == []
    assert 0 < rows(sample) < before / 2
    # From then on the default is enough, and a score that falls to zero goes with its row.
    kept = rows(sample)
    sample.execute(
        """
        UPDATE aggregate_user SET follower_count = 2
        WHERE user_id = (
            SELECT owner_id FROM track_trending_scores JOIN tracks USING (track_id)
            WHERE is_current ORDER BY score DESC LIMIT 1
        )
        """
    )
    after = report_of(run(sample, spec(refresh=REFRESH, rewrite=[positive])))
    assert wrong(sample, after, positive["preset"]) == []
    assert rows(sample) < kept
