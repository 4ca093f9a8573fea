"""Rows that take what other rows give up, under a unique index beyond the key's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.postgres.plans import findings, planned
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec, spec_dict
from tests.postgres.server import ADMIN, Database, PostgresServer
from trending.runner.rewrite import unique

RANKED = """
    DROP TABLE IF EXISTS hot, fan, source CASCADE;
    CREATE TABLE hot (
        board text, id int, rank int, score int, extra text DEFAULT 'default',
        number int GENERATED ALWAYS AS IDENTITY, double int GENERATED ALWAYS AS (rank * 2) STORED,
        PRIMARY KEY (board, id), {unique}
    ) {partitioned};
    {partitions}
    INSERT INTO hot (board, id, rank, score, extra)
        SELECT board, g, g, 0, 'kept ' || g FROM generate_series(1, 6) AS g, (VALUES ('main'), ('side')) AS b (board);
    CREATE TABLE source (id int, rank int, score int);
"""
UNIQUE = "CONSTRAINT one_rank UNIQUE (board, rank)"
PARTITIONS = """
    CREATE TABLE hot_main PARTITION OF hot FOR VALUES IN ('main') PARTITION BY LIST (board);
    CREATE TABLE hot_main_1 PARTITION OF hot_main FOR VALUES IN ('main');
    CREATE TABLE hot_side PARTITION OF hot FOR VALUES IN ('side');
"""
SLICE = {"board": ["main"]}
SIDE = "SELECT hot::text, ctid::text, xmin::text FROM hot WHERE board = 'side' ORDER BY id"
INDEXES = {
    "constraint": UNIQUE,
    "deferrable": "CONSTRAINT one_rank UNIQUE (board, rank) DEFERRABLE",
    "exclusion": "CONSTRAINT one_rank EXCLUDE USING btree (board WITH =, rank WITH =)",
    "expression": "CREATE UNIQUE INDEX one_rank ON hot (lower(board), (rank + 1))",
    "partial": "CREATE UNIQUE INDEX one_rank ON hot (board, rank) WHERE score >= 0",
    "generated": "CREATE UNIQUE INDEX one_rank ON hot (board, double)",
    "nulls alike": "CONSTRAINT one_rank UNIQUE NULLS NOT DISTINCT (board, rank)",
    "included": "CREATE UNIQUE INDEX one_rank ON hot (board, rank) INCLUDE (score, id)",
}
MOVES = {
    "two exchange": "(1, 2, 0), (2, 1, 0), (3, 3, 0), (4, 4, 0), (5, 5, 0), (6, 6, 0)",
    "all turn round": "(1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 5, 1), (5, 6, 1), (6, 1, 1)",
    "one takes what a deleted row had": "(1, 6, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0), (5, 5, 0)",
    "a new row takes what an updated one had": "(1, 7, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0), (5, 5, 5), (7, 1, 0)",
    "a null goes round": "(1, NULL, 0), (2, 1, 0), (3, 3, 0), (4, 4, 0), (5, 5, 0), (6, 6, 0)",
    "a chain with a new end and a new beginning": "(1, 7, 0), (2, 1, 0), (3, 2, 0), (4, 3, 0), (5, 4, 0), (7, 5, 0)",
}


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> Iterator[Database]:
    """One database for all: each test makes its tables anew."""
    with server.database() as database:
        ledger(database)
        yield database


def ranked(database: Database, index: str = UNIQUE, *, in_partitions: bool = False) -> Database:
    is_index = index.startswith("CREATE")
    database.execute(
        RANKED.format(
            unique="CHECK (true)" if is_index else index,
            partitioned="PARTITION BY LIST (board)" if in_partitions else "",
            partitions=PARTITIONS if in_partitions else "",
        )
    )
    if is_index:
        database.execute(index)
    return database


def wanted(strategy: str = "Merge") -> dict[str, Any]:
    query = "SELECT id, rank, score FROM source"
    return spec_dict(rewrite=[own_target(slice=SLICE, query=query, strategy=strategy)])


def rewrite(database: Database, values: str, *, strategy: str = "Merge", exit_code: int = 0) -> Any:
    database.execute(f"TRUNCATE source; INSERT INTO source VALUES {values}")
    return report_of(run(database, spec(**wanted(strategy))), exit_code=exit_code)


def check(database: Database, values: str) -> None:
    """Merge, and see that the slice is the source, other columns are kept, and other slices are untouched."""
    side = database.execute(SIDE)
    kept = dict(database.execute("SELECT id, number FROM hot WHERE board = 'main'"))
    report = rewrite(database, values)
    found = database.execute("SELECT id, rank, score FROM hot WHERE board = 'main' ORDER BY id")
    assert found == database.execute("SELECT * FROM source ORDER BY id")
    others = database.execute("SELECT id, extra, number, double, rank FROM hot WHERE board = 'main'")
    for id_, extra, number, double, rank in others:
        assert extra == (f"kept {id_}" if id_ in kept else "default")
        assert double == (rank and 2 * rank)
        assert kept.get(id_, number) == number
    assert database.execute(SIDE) == side
    new, gone = {row[0] for row in found} - kept.keys(), kept.keys() - {row[0] for row in found}
    inserted, updated, deleted, unchanged = counts(report, "own")
    assert (inserted, deleted) == (len(new), len(gone))
    assert (updated or 0) + (unchanged or 0) == len(found) - len(new)


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES.keys())
@pytest.mark.parametrize("in_partitions", [False, True], ids=["plain", "partitioned"])
def test_rows_may_take_what_others_give_up(database: Database, moves: str, in_partitions: bool) -> None:
    check(ranked(database, in_partitions=in_partitions), moves)


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_so_they_may_whatever_holds_the_entries_apart(database: Database, index: str) -> None:
    ranked(database, index)
    check(database, MOVES["a chain with a new end and a new beginning"])
    assert rewrite(database, "(1, 1, 0), (2, 7, 0), (3, 3, 0), (4, 2, 0), (5, 4, 0), (7, 5, 0)").rows_changed == 4


def writes(database: Database, values: str) -> str:
    """Rewrite; what the server has logged of it."""
    database.execute(f"ALTER ROLE discovery IN DATABASE {database.name} SET log_statement = 'mod'", role=ADMIN)
    before = len(database.log())
    rewrite(database, values)
    return database.log()[before:]


@pytest.mark.parametrize(
    ("index", "is_replaced"),
    [(UNIQUE, True), (INDEXES["deferrable"], False), ("CREATE UNIQUE INDEX ON hot (id, board)", False)],
    ids=["unique", "deferrable", "only on the key"],
)
def test_rows_are_replaced_only_where_an_update_could_fail(database: Database, index: str, is_replaced: bool) -> None:
    log = writes(ranked(database, index), MOVES["all turn round"])
    assert ("WITH gone AS" in log) is is_replaced
    assert ('UPDATE "public"."hot"' in log) is not is_replaced


def test_rows_whose_entries_stay_are_updated(database: Database) -> None:
    log = writes(ranked(database), "(1, 1, 5), (2, 2, 5), (3, 3, 5), (4, 4, 5), (5, 5, 5), (6, 6, 5)")
    assert 'UPDATE "public"."hot"' in log
    assert "WITH gone AS" not in log


def test_a_foreign_key_that_only_looks_finds_the_replaced_rows_again(database: Database) -> None:
    ranked(database).execute(
        "CREATE TABLE fan (board text, hot int, FOREIGN KEY (board, hot) REFERENCES hot);"
        "INSERT INTO fan VALUES ('main', 1), ('main', 6)"
    )
    check(database, MOVES["all turn round"])
    assert database.execute("SELECT count(*) FROM fan") == [(2,)]


OBSTACLES = {
    "CREATE TABLE fan (board text, id int, FOREIGN KEY (board, id) REFERENCES hot ON DELETE CASCADE)": (
        "a foreign key of fan acts on deleted rows"
    ),
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
    "CREATE TRIGGER see BEFORE UPDATE ON hot FOR EACH ROW EXECUTE FUNCTION f()": "trigger see would see that",
    "CREATE RULE see AS ON DELETE TO hot DO ALSO NOTHING": "rule see would see that",
    "CREATE TABLE child (more int) INHERITS (hot)": "rows of child, which inherits from it",
}


@pytest.mark.parametrize(("made", "sentence"), OBSTACLES.items(), ids=["foreign key", "trigger", "rule", "child"])
def test_where_deleted_rows_have_consequences_merge_says_which_and_writes_nothing(
    database: Database, made: str, sentence: str
) -> None:
    ranked(database).execute(made)
    before = database.execute("SELECT *, xmin::text FROM hot ORDER BY board, id")
    report = rewrite(database, MOVES["two exchange"], exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "is to take (board, rank) = (main, " in report.message
    assert "which the unique index one_rank forbids row by row; nothing was written" in report.message
    assert f"and {sentence}" in report.message
    assert "make that a constraint that is DEFERRABLE" in report.message
    assert database.execute("SELECT *, xmin::text FROM hot ORDER BY board, id") == before
    plan = planned(database, wanted(), exit_code=2)
    assert sentence in plan["rewrite"][0]["error"]
    assert any(sentence in warning for warning in findings(plan, "warning"))
    rewrite(database, "(1, 1, 5), (2, 2, 5), (3, 3, 5), (4, 4, 5), (5, 5, 5), (6, 8, 5)")


@pytest.mark.parametrize("moves", [MOVES["two exchange"], MOVES["a new row takes what an updated one had"]])
def test_upsert_says_which_entry_and_what_to_do_instead(database: Database, moves: str) -> None:
    ranked(database)
    report = rewrite(database, moves, strategy="Upsert", exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "is to take (board, rank) = (main, " in report.message
    assert "INSERT .. ON CONFLICT cannot do that; use strategy Merge" in report.message
    plan = planned(database, wanted("Upsert"), exit_code=2)
    assert "use strategy Merge" in plan["rewrite"][0]["error"]
    assert any("use strategy Merge" in warning for warning in findings(plan, "warning"))
    database.execute("ALTER TABLE hot DROP CONSTRAINT one_rank, ADD UNIQUE (board, rank) DEFERRABLE")
    rewrite(database, moves, strategy="Upsert")


@pytest.mark.parametrize("strategy", ["Auto", "Merge", "Upsert", "DeleteInsert"])
@pytest.mark.parametrize("index", [UNIQUE, INDEXES["expression"], INDEXES["partial"]])
def test_rows_of_the_source_that_an_index_does_not_allow_are_told_at_once(
    database: Database, strategy: str, index: str
) -> None:
    ranked(database, index)
    before = database.execute("SELECT *, xmin::text FROM hot ORDER BY board, id")
    report = rewrite(
        database, "(1, 2, 0), (2, 2, 0), (3, NULL, 0), (4, NULL, 0), (5, 5, 0)", strategy=strategy, exit_code=2
    )
    assert report.reason == "RunFailed"
    assert "spec.rewrite[0].query: 2 rows have the same (" in report.message
    assert "which the unique index one_rank of public.hot does not allow; nothing was written" in report.message
    assert database.execute("SELECT *, xmin::text FROM hot ORDER BY board, id") == before


def test_looking_at_the_indexes_is_no_work_that_the_server_compiles(database: Database) -> None:
    """JIT compiles what the planner holds to be dear: that takes seconds, for a query of a millisecond."""
    ranked(database, in_partitions=True)
    ((oid,),) = database.execute("SELECT 'hot'::regclass::oid")
    for query in (unique._INDEXES, unique._OBSTACLES):
        parameters = {"oid": oid, "events": unique._TRIGGERS_OF_ROWS}
        ((found,),) = database.execute(f"EXPLAIN (FORMAT JSON) {query}", parameters)
        assert found[0]["Plan"]["Total Cost"] < 50_000, "jit_above_cost is 100,000"
