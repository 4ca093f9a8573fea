"""What only newer versions of PostgreSQL can do, and what a run makes of it."""

from __future__ import annotations

import pytest

from tests.postgres.runs import ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import ADMIN, OWNER, Database


@pytest.mark.parametrize("strategy", ["Merge", "DeleteInsert", "Upsert", "Auto"])
def test_a_virtual_generated_column_is_left_to_the_server(newest_database: Database, strategy: str) -> None:
    newest_database.execute(
        "CREATE TABLE hot (id int PRIMARY KEY, score float8, twice float8 GENERATED ALWAYS AS (score * 2), "
        "thrice float8 GENERATED ALWAYS AS (score * 3) STORED)"
    )
    kinds = newest_database.execute(
        "SELECT attgenerated::text FROM pg_attribute WHERE attrelid = 'hot'::regclass AND attnum > 2"
    )
    assert kinds == [("v",), ("s",)]
    ledger(newest_database)
    for score in (1, 1, 5):
        query = f"SELECT n AS id, n + {score}::float8 AS score FROM generate_series(1, 3) AS n"
        report_of(run(newest_database, spec(rewrite=[own_target(query=query, strategy=strategy)])))
        wanted = [(n, n + score, 2 * (n + score), 3 * (n + score)) for n in (1, 2, 3)]
        assert newest_database.execute("SELECT * FROM hot ORDER BY id") == wanted


def test_the_right_to_maintain_a_view_is_enough_to_refresh_it(newest_database: Database) -> None:
    newest_database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    newest_database.execute(
        "CREATE MATERIALIZED VIEW public.totals AS SELECT 1 AS id, 0.5::float8 AS score WITH NO DATA; "
        "CREATE UNIQUE INDEX ON totals (id); ALTER MATERIALIZED VIEW totals OWNER TO postgres;"
        f'GRANT SELECT, MAINTAIN ON totals TO "{OWNER}"',
        role=ADMIN,
    )
    ledger(newest_database)
    wanted = spec(refresh=[{"materializedView": "totals"}], rewrite=[own_target(query="SELECT id, score FROM totals")])
    modes = [step_of(report_of(run(newest_database, wanted)), "totals").mode for _ in range(2)]
    assert modes == ["Blocking", "Concurrent"]
