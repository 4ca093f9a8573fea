"""The examples that the demo does not run, on tables as their comments ask for."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.postgres.runs import ledger, report_of, run
from tests.postgres.server import Database
from trending.api.spec import TrendingScheduleSpec

MORE = Path(__file__).parents[2] / "manifests" / "examples" / "more"
LISTENS = """
    CREATE TABLE listens (country text, track_id bigint, weight float8, listened_at timestamptz);
    INSERT INTO listens
    SELECT (ARRAY['DE', 'FR', 'BE', 'NL', 'LU'])[1 + n % 5], n % 700, 1 + n % 13, now() - n * interval '1 minute'
    FROM generate_series(1, 5000) AS n
"""


def example(name: str) -> TrendingScheduleSpec:
    return TrendingScheduleSpec.model_validate(yaml.safe_load((MORE / name).read_text(encoding="utf-8"))["spec"])


def table_of(name: str) -> str:
    """The CREATE TABLE of an example's comment."""
    comment = re.sub(r"^# ?", "", (MORE / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = re.search(r"CREATE TABLE .*?^ *\);", comment, re.DOTALL | re.MULTILINE)
    assert found
    return found[0]


def test_many_targets_are_rewritten_side_by_side_and_rows_exchange_their_ranks(database: Database) -> None:
    ledger(database)
    database.execute(table_of("many-targets.yaml"))
    database.execute(LISTENS)
    wanted = example("many-targets.yaml")
    first = report_of(run(database, wanted))
    assert [step.rows_inserted for step in first.steps] == [140, 140, 420]
    database.execute("UPDATE listens SET weight = weight * (1 + track_id % 7)")
    again = report_of(run(database, wanted))
    assert all((step.rows_updated or 0) > 50 for step in again.steps)
    assert len({target.data_timestamp for target in again.targets}) == 1


def test_all_time_is_rewritten_once_a_day(audius_populated: Database) -> None:
    ledger(audius_populated)
    wanted = example("all-time-daily.yaml")
    done = [step.name for step in report_of(run(audius_populated, wanted)).steps if step.strategy]
    assert done == ["week-and-month", "all-time"]
