"""Pitfalls of rewriting a table under others' eyes that have no better place.

Elsewhere are: rows changed or inserted meanwhile (test_rewrite_concurrency.py); a query that unlocks, or a snapshot
that is taken before a lock is had (test_session_locks.py); a snapshot that several share, or that fails for ever
(test_parallel.py); transactions older than a partition or a stage (test_swap_readers.py, test_auto_swap.py); a view
that was never populated behind another (test_refresh.py); nulls in the index of a concurrent refresh
(test_preflight.py); what only owners may do (test_database_roles.py, test_newest.py); what a failed connection quotes
(test_run_failures.py); a stage that the planner knows nothing of (test_rewrite_source.py).
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres.boards import NOW
from tests.postgres.runs import ledger, own_target, report_of, run, spec
from tests.postgres.server import ADMIN, Database
from trending.api.spec import Target
from trending.runner import stage
from trending.runner.goal import Goal, resolve, wish
from trending.runner.rewrite import Destination
from trending.runner.rewrite.merge import Merge

PLACED = """
    CREATE TABLE placed (kind text, id int, score int, rank int, PRIMARY KEY (kind, id))
        WITH (autovacuum_enabled = off);
    INSERT INTO placed SELECT 'a', g, g, g FROM generate_series(1, 5) AS g
"""


def goal_of(connection: psycopg.Connection[Any], query: str) -> Goal:
    target = own_target(table="placed", slice={"kind": ["a"]}, query=query)
    return resolve(connection, wish(Target.model_validate(target), "spec.rewrite[0]"))


@pytest.mark.parametrize("index", ["", "; ALTER TABLE placed ADD UNIQUE (kind, rank)"], ids=["update", "replace"])
@pytest.mark.parametrize("last", [5, 4], ids=["changed", "gone"])
def test_a_row_that_lies_where_another_one_was_found_is_not_written(database: Database, index: str, last: int) -> None:
    """Where each statement has a snapshot of its own nothing holds a place that was given up; hence key and slice."""
    database.execute(PLACED + index)
    query = f"SELECT g AS id, -g AS score, -g AS rank FROM generate_series(1, {last}) AS g"
    with database.connect() as deleting, database.connect(autocommit=True) as ours:
        deleting.execute("DELETE FROM placed WHERE id = 5")
        ours.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        goal = goal_of(ours, query)
        source = stage.fill(ours, goal, NOW)
        merge = Merge(ours)
        plan = merge.plan(Destination(slice=goal.slice, key=goal.key, now=NOW), source)
        ((place,),) = database.execute("SELECT ctid::text FROM placed WHERE id = 5")
        deleting.commit()
        database.execute("VACUUM placed")
        database.execute("INSERT INTO placed VALUES ('b', 5, 5, 5)")
        assert database.execute("SELECT ctid::text FROM placed WHERE kind = 'b'") == [(place,)], "the pitfall"
        merge.apply(plan)
        ours.execute("COMMIT")
    assert database.execute("SELECT * FROM placed ORDER BY kind, id") == [
        *(("a", number, -number, -number) for number in range(1, 5)),
        ("b", 5, 5, 5),
    ]


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score text)")
    ledger(database)
    return database


def rewrite(database: Database, query: str, exit_code: int) -> str:
    wanted = own_target(name="first", query=query)
    after = own_target(name="after", table="later", query="SELECT 1 AS id, current_user::text AS name")
    report = report_of(run(database, spec(rewrite=[wanted, after])), exit_code=exit_code)
    return report.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "pg_monitor"),
        ("search_path", "pg_temp, public, pg_catalog"),
        ("TimeZone", "Asia/Tokyo"),
        ("lock_timeout", "1h"),
        ("statement_timeout", "2h"),
    ],
)
@pytest.mark.parametrize("is_local", ["true", "false"])
def test_a_query_cannot_set_what_its_target_or_the_next_is_written_with(
    hot: Database, name: str, value: str, is_local: str
) -> None:
    hot.execute("GRANT pg_monitor TO discovery", role=ADMIN)
    hot.execute("CREATE TABLE later (id int PRIMARY KEY, name text)")
    message = rewrite(hot, f"SELECT 1 AS id, set_config('{name}', '{value}', {is_local}) AS score", exit_code=2)
    assert f"a source query only reads, and this one sets {name} to '{value}'" in message
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]
    assert hot.execute("SELECT name FROM later") == [("discovery",)]


@pytest.mark.parametrize(
    "statement", ["COMMIT", "ROLLBACK", "DISCARD ALL", "DISCARD TEMP", "SET TRANSACTION READ WRITE"]
)
def test_a_query_cannot_end_the_transaction_that_it_is_run_in(hot: Database, statement: str) -> None:
    hot.execute(
        "CREATE TABLE later (id int PRIMARY KEY, name text);"
        f"CREATE FUNCTION ends() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN 1; END $$"
    )
    message = rewrite(hot, "SELECT ends() AS id", exit_code=1)
    assert "target first: spec.rewrite[0].query: " in message
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]
    assert hot.execute("SELECT count(*) FROM later") == [(1,)]
