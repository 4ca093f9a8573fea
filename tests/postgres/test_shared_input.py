"""Targets that are made of the same input read it once, and hold the same rows as if each had read for itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.postgres.runs import Heard, counts, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database
from trending.runner.goal import Goal, resolve, wish
from trending.runner.shared import grouped

OWN = own_target(table="plain", query="SELECT 1 AS id")


def of_preset(name: str, *time_ranges: str) -> dict[str, Any]:
    return {"name": name, "preset": {"name": f"audius/{name}", "timeRanges": list(time_ranges)}}


PNAGD = of_preset("tracks-pnagD", "week", "month")
ANLGE = of_preset("tracks-AnlGe", "week", "month")
UNDERGROUND = of_preset("underground-tracks-pnagD", "week", "month")


@pytest.fixture
def audius_with_ledger(audius_populated: Database) -> Database:
    audius_populated.execute("CREATE TABLE plain (id int PRIMARY KEY)")
    ledger(audius_populated)
    return audius_populated


def goals(database: Database, *targets: dict[str, Any]) -> list[Goal]:
    with database.connect(autocommit=True) as connection:
        wanted = spec(rewrite=list(targets)).rewrite
        return [resolve(connection, wish(target, f"spec.rewrite[{at}]")) for at, target in enumerate(wanted)]


def names(database: Database, *targets: dict[str, Any]) -> list[tuple[list[str], int]]:
    """The groups by their targets' names, each with its number of inputs."""
    groups = grouped(goals(database, *targets))
    return [([goal.name for goal in group.goals], len(group.inputs)) for group in groups]


def test_targets_with_an_input_in_common_are_one_group_where_the_first_of_them_stands(
    audius_with_ledger: Database,
) -> None:
    assert names(audius_with_ledger, OWN, PNAGD, of_preset("playlists-pnagD", "week"), ANLGE, UNDERGROUND) == [
        (["own"], 0),
        (["tracks-pnagD", "tracks-AnlGe", "underground-tracks-pnagD"], 1),
        (["playlists-pnagD"], 0),
    ]


def test_a_target_alone_reads_for_itself(audius_with_ledger: Database) -> None:
    assert names(audius_with_ledger, PNAGD) == [(["tracks-pnagD"], 0)]
    all_time = of_preset("tracks-AnlGe", "allTime")
    assert names(audius_with_ledger, PNAGD, all_time) == [(["tracks-pnagD"], 0), (["tracks-AnlGe"], 0)]


def test_a_target_one_of_whose_inputs_nobody_else_reads_reads_for_itself(audius_with_ledger: Database) -> None:
    both = of_preset("tracks-pnagD", "week", "allTime")
    assert names(audius_with_ledger, both, ANLGE) == [(["tracks-pnagD"], 0), (["tracks-AnlGe"], 0)]
    assert names(audius_with_ledger, both, ANLGE, UNDERGROUND) == [
        (["tracks-pnagD"], 0),
        (["tracks-AnlGe", "underground-tracks-pnagD"], 1),
    ]
    too = of_preset("tracks-AnlGe", "month", "allTime")
    assert names(audius_with_ledger, both, too) == [(["tracks-pnagD", "tracks-AnlGe"], 2)]


@pytest.mark.parametrize("parallelism", [1, 3])
def test_the_rows_are_the_same_and_the_steps_say_that_the_input_was_read_once(
    audius_with_ledger: Database, parallelism: int
) -> None:
    now = datetime.now(UTC)
    for target in (PNAGD, ANLGE, UNDERGROUND):
        alone = report_of(run(audius_with_ledger, spec(rewrite=[target]), now=now))
        assert "input read once" not in (step_of(alone, target["name"]).note or "")
    wanted = spec(rewrite=[PNAGD, ANLGE, UNDERGROUND, OWN], database={"parallelism": parallelism})
    report = report_of(run(audius_with_ledger, wanted, now=now))
    for target in (PNAGD, ANLGE, UNDERGROUND):
        inserted, updated, deleted, unchanged = counts(report, target["name"])
        assert (inserted, updated, deleted) == (0, 0, 0)
        assert unchanged
        assert "input read once for 3 targets, in " in (step_of(report, target["name"]).note or "")
    assert counts(report, "own") == (1, 0, 0, 0)


def test_a_target_whose_connection_was_lost_leaves_the_others_to_read_for_themselves(
    audius_with_ledger: Database,
) -> None:
    """The input went with the session."""
    audius_with_ledger.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE TRIGGER die BEFORE INSERT ON track_trending_scores FOR EACH ROW WHEN (new.version = 'AnlGe') "
        "EXECUTE FUNCTION die()"
    )
    report = report_of(run(audius_with_ledger, spec(rewrite=[ANLGE, PNAGD])), exit_code=1)
    assert report.reason == "ConnectionError"
    step = step_of(report, "tracks-pnagD")
    assert step.rows_inserted
    assert "input read once" not in (step.note or "")


def test_where_the_input_cannot_be_computed_each_target_tells_what_is_wrong(audius_with_ledger: Database) -> None:
    audius_with_ledger.execute("DROP MATERIALIZED VIEW trending_params")
    heard = Heard()
    report = report_of(run(audius_with_ledger, spec(rewrite=[PNAGD, ANLGE, OWN]), heard=heard), exit_code=2)
    assert any("tracks-pnagD, tracks-AnlGe read for themselves" in line for line in heard.lines)
    assert "target tracks-pnagD: spec.rewrite[0].query: relation" in report.message
    assert "target tracks-AnlGe: spec.rewrite[1].query: relation" in report.message
    assert counts(report, "own") == (1, 0, 0, 0)


def test_the_deadline_while_the_input_is_computed_ends_the_run(audius_with_ledger: Database) -> None:
    with audius_with_ledger.connect() as other:
        other.execute("REFRESH MATERIALIZED VIEW trending_params")
        report = report_of(run(audius_with_ledger, spec(rewrite=[PNAGD, ANLGE]), seconds=6), exit_code=1)
    assert report.result == "DeadlineExceeded"
    assert {step.note for step in report.steps} == {"not done"}
