"""Auto: which strategy it takes for how much that changes, and what it says of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.postgres.runs import ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database

ROWS = 30_000
"""Enough for a sample to be taken."""
FEW = 5_000
"""Not enough."""
PLAIN = "CREATE TABLE hot (kind text, id int, score int, PRIMARY KEY (kind, id))"
PARTITIONED = (
    f"{PLAIN} PARTITION BY LIST (kind); CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
    "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b')"
)


def with_rows(database: Database, table: str = PLAIN, *, rows: int = ROWS) -> Database:
    database.execute(
        f"{table}; INSERT INTO hot SELECT k, g, g FROM generate_series(1, {rows}) AS g, "
        "(VALUES ('a'), ('b')) AS v (k); ANALYZE hot"
    )
    ledger(database)
    return database


def target(percent: int, *, rows: int = ROWS, **fields: Any) -> Any:
    """A target whose source differs in so many of a hundred of its rows."""
    query = (
        f"SELECT g AS id, CASE WHEN g % 100 < {percent} THEN -g ELSE g END AS score "
        f"FROM generate_series(1, {rows}) AS g"
    )
    wanted = own_target(**{"slice": {"kind": ["a"]}, "query": query, **fields})
    return spec(rewrite=[wanted], database={"maintenance": "Never"})


def told(database: Database, wanted: Any) -> tuple[str | None, str]:
    """Run it; the strategy, and what the step says. What the slice and the other hold has to be right in any case."""
    others = "SELECT *, ctid::text, xmin::text FROM hot WHERE kind = 'b'"
    before = database.execute(others)
    step = step_of(report_of(run(database, wanted)), "own")
    query = wanted.rewrite[0].query
    assert database.execute("SELECT id, score FROM hot WHERE kind = 'a' ORDER BY id") == database.execute(
        f"{query} ORDER BY 1"
    )
    assert database.execute(others) == before
    return step.strategy, step.note or ""


@pytest.mark.parametrize("table", [PLAIN, PARTITIONED])
@pytest.mark.parametrize("rows", [FEW, ROWS])
def test_where_nothing_or_little_changes_it_takes_merge(database: Database, table: str, rows: int) -> None:
    with_rows(database, table, rows=rows)
    above = "75 %" if table == PLAIN else "20 %"
    strategy, note = told(database, target(0, rows=rows))
    assert (strategy, note) == ("Merge", f"Auto took Merge: 0 % of {rows:,} rows change, not above {above}")
    strategy, note = told(database, target(2, rows=rows))
    assert (strategy, note) == ("Merge", f"Auto took Merge: 2 % of {rows:,} rows change, not above {above}")


def test_where_much_changes_in_whole_partitions_it_takes_swap_by_a_sample(database: Database) -> None:
    with_rows(database, PARTITIONED)
    strategy, note = told(database, target(60))
    assert strategy == "Swap"
    assert note.startswith("Auto took Swap: about ")
    assert "of 30,000 rows change (sample of " in note
    assert note.endswith("), above 20 %")


def test_where_much_changes_in_a_plain_table_it_takes_delete_insert(database: Database) -> None:
    with_rows(database)
    strategy, note = told(database, target(90))
    assert strategy == "DeleteInsert"
    assert note.startswith("Auto took DeleteInsert: about ")
    assert "above 75 %; Swap cannot be: public.hot is not partitioned" in note


def test_few_rows_are_all_compared_instead_of_a_sample(database: Database) -> None:
    with_rows(database, PARTITIONED, rows=FEW)
    assert told(database, target(60, rows=FEW)) == ("Swap", "Auto took Swap: 60 % of 5,000 rows change, above 20 %")


def test_a_handful_of_rows_is_merged_whatever_changes(database: Database) -> None:
    with_rows(database, PARTITIONED, rows=100)
    strategy, note = told(database, target(60, rows=100))
    assert (strategy, note) == ("Merge", "Auto took Merge: 60 % of 100 rows change, which are few")


def test_rows_that_go_count_as_changed(database: Database) -> None:
    with_rows(database, PARTITIONED)
    strategy, note = told(database, target(0, rows=ROWS * 7 // 10))
    assert strategy == "Swap", note
    assert "about 30 % of 30,000 rows change" in note


def test_a_slice_that_is_not_whole_partitions_is_not_swapped(database: Database) -> None:
    with_rows(
        database,
        f"{PLAIN} PARTITION BY LIST (kind); CREATE TABLE hot_all PARTITION OF hot FOR VALUES IN ('a', 'b')",
    )
    strategy, note = told(database, target(90))
    assert strategy == "DeleteInsert"
    assert "Swap cannot be: public.hot_all also holds rows whose kind is 'b'" in note
    assert "Swap" not in told(database, target(90))[1], "nothing changes any more"
    report = report_of(run(database, target(60, strategy="Swap")), exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "spec.rewrite[0]: strategy Swap cannot be: public.hot_all also holds rows" in report.message


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (
            "ALTER TABLE hot ADD COLUMN extra text DEFAULT 'x'",
            "the query does not return extra, which keep their values only so",
        ),
        (
            "CREATE TABLE fan (kind text, id int, FOREIGN KEY (kind, id) REFERENCES hot ON DELETE CASCADE)",
            "a foreign key of fan refers to the table",
        ),
        (
            "CREATE TRIGGER looks AFTER DELETE ON hot FOR EACH ROW EXECUTE FUNCTION look()",
            "trigger looks would see every row",
        ),
        ("CREATE PUBLICATION feed FOR TABLE hot", "publication feed would send every row"),
    ],
)
@pytest.mark.parametrize("parent", [PLAIN, PARTITIONED])
def test_where_other_things_hang_on_the_rows_it_merges_whatever_changes(
    database: Database, parent: str, table: str, why: str
) -> None:
    database.execute("CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    with_rows(database, f"{parent}; {table}")
    strategy, note = told(database, target(90))
    assert strategy == "Merge"
    assert note == f"Auto took Merge: 90 % of 30,000 rows change, and {why}"


def test_a_publication_of_the_table_above_would_send_every_row_too(database: Database) -> None:
    with_rows(database, PARTITIONED)
    database.execute("CREATE PUBLICATION feed FOR TABLE hot WITH (publish_via_partition_root)")
    strategy, note = told(database, target(90, table="hot_a"))
    assert (strategy, note) == (
        "Merge",
        "Auto took Merge: 90 % of 30,000 rows change, and publication feed would send every row",
    )


def test_thresholds_measured_on_this_database_count(database: Database) -> None:
    with_rows(database, PARTITIONED)
    database.execute("INSERT INTO trending.threshold (name, value) VALUES ('merge_below/partitioned', 0.7)")
    strategy, note = told(database, target(60))
    assert (strategy, note) == (
        "Merge",
        "Auto took Merge: 60 % of 30,000 rows change, not above 70 % as measured here",
    )


def test_thresholds_that_the_role_may_not_read_are_done_without(database: Database) -> None:
    with_rows(database)
    database.execute("REVOKE SELECT ON trending.threshold FROM discovery")
    assert told(database, target(2))[0] == "Merge"


def test_a_table_without_an_index_on_the_key_is_compared_as_a_whole(database: Database) -> None:
    with_rows(database, PLAIN.replace(", PRIMARY KEY (kind, id)", ""))
    strategy, note = told(database, target(90, key=["id"]))
    assert strategy == "DeleteInsert"
    assert note.startswith("Auto took DeleteInsert: 90 % of 30,000 rows change, above 75 %")


def test_an_empty_slice_of_a_plain_table_is_filled_by_merge(database: Database) -> None:
    with_rows(database)
    database.execute("DELETE FROM hot WHERE kind = 'a'")
    strategy, note = told(database, target(0))
    assert (strategy, note) == ("Merge", "Auto took Merge: 100 % of 30,000 rows change, into an empty slice")
