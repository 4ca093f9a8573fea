"""A table becomes one whose slices are whole partitions, and nothing else about it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.postgres.boards import QUERY, rows, target, with_board
from tests.postgres.partitions import HOSTILE, checksum, in_the_end, outlined, partition
from tests.postgres.runs import counts, ledger, own_target, report_of, run, spec
from tests.postgres.server import ADMIN, Database
from trending.runner.failure import ConfigurationError
from trending.runner.partition import Request, prepare

AUDIUS = spec(rewrite=[{"name": "tracks", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week", "month"]}}])
BY = ("type", "version", "time_range")


@pytest.fixture
def board(database: Database) -> Database:
    """`hot` with 400 rows of four slices; the source has the slice's rows, half of them with other scores."""
    with_board(database)
    database.execute(
        "INSERT INTO hot SELECT b, k, g, g, 'old', '2020-01-01', 'x' FROM generate_series(1, 100) AS g, "
        "(VALUES ('main', 'a'), ('main', 'b'), ('main', 'c'), ('side', 'a')) AS v (b, k);"
        "INSERT INTO source SELECT k, g, g + g % 2, 'old' FROM generate_series(1, 100) AS g, "
        "(VALUES ('a'), ('b')) AS v (k)"
    )
    return database


def test_every_row_is_there_and_every_slice_is_whole_partitions(board: Database) -> None:
    before = checksum(board, "hot")
    done = partition(board, "hot", specs=(target(),))
    assert checksum(board, "hot") == before
    assert done.task.by == ("board", "kind")
    assert board.execute("SELECT tableoid::regclass::text, count(*) FROM hot GROUP BY 1 ORDER BY 1") == [
        ("hot_main_a", 100),
        ("hot_main_b", 100),
        ("hot_main_c", 100),
        ("hot_side_a", 100),
    ]


@pytest.mark.parametrize("undo", [False, True])
def test_indexes_constraints_comments_grants_and_settings_stay_the_same(database: Database, undo: bool) -> None:
    database.execute("CREATE ROLE reader_of_rankings; CREATE ROLE chief_of_rankings", role=ADMIN)
    try:
        database.execute(
            "CREATE TABLE t (id bigserial, board text NOT NULL DEFAULT 'main' CHECK (board <> ''), "
            "score numeric(9, 2), twice numeric GENERATED ALWAYS AS (score * 2) STORED, note text, gone int, "
            "CONSTRAINT the_key PRIMARY KEY (id, board), CONSTRAINT big CHECK (score < 1000)) "
            "WITH (fillfactor = 80, autovacuum_enabled = off, toast.autovacuum_enabled = off);"
            "ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ALTER note SET STORAGE EXTERNAL;"
            "CREATE INDEX t_score ON t (board, score DESC NULLS LAST) INCLUDE (note) WHERE score > 0;"
            "CREATE INDEX t_lower ON t (lower(note) text_pattern_ops) WITH (fillfactor = 70);"
            "CREATE UNIQUE INDEX t_unique ON t (note, board) NULLS NOT DISTINCT;"
            "ALTER TABLE t ADD CONSTRAINT later UNIQUE (score, id, board) DEFERRABLE INITIALLY DEFERRED;"
            "CREATE STATISTICS t_both (ndistinct, mcv) ON board, score FROM t;"
            "CREATE STATISTICS t_e ON (score % 7) FROM t;"
            "ALTER STATISTICS t_both SET STATISTICS 500; ALTER TABLE t ALTER board SET STATISTICS 300;"
            "ALTER TABLE t ALTER note SET (n_distinct = 5);"
            "COMMENT ON TABLE t IS 'it''s'; COMMENT ON COLUMN t.score IS 'points'; COMMENT ON INDEX t_score IS 'i';"
            "COMMENT ON CONSTRAINT big ON t IS 'c'; COMMENT ON CONSTRAINT the_key ON t IS 'k';"
            "COMMENT ON STATISTICS t_e IS 's';"
            "GRANT SELECT ON t TO reader_of_rankings, PUBLIC; GRANT UPDATE (score, note) ON t TO reader_of_rankings;"
            "GRANT INSERT ON t TO chief_of_rankings WITH GRANT OPTION; REVOKE TRUNCATE ON t FROM CURRENT_USER;"
            "ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO chief_of_rankings;"
            "INSERT INTO t (board, score, note) SELECT 'b' || g % 3, g, g FROM generate_series(1, 300) AS g"
        )
        before, sum_before = outlined(database, "t"), checksum(database, "t")
        partition(database, "t", by=("board",))
        if undo:
            partition(database, "t", undo=True)
        assert outlined(database, "t") == before
        assert checksum(database, "t") == sum_before
        assert database.execute("INSERT INTO t (score) VALUES (0) RETURNING id") == [(301,)]
        database.execute("DROP TABLE t")
        assert database.execute("SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relname LIKE 't_%'") == [(0,)]
    finally:
        database.execute("DROP OWNED BY reader_of_rankings, chief_of_rankings", role=ADMIN)
        database.execute("DROP ROLE reader_of_rankings; DROP ROLE chief_of_rankings", role=ADMIN)


def test_the_audius_table_is_partitioned_by_what_its_preset_says(audius_populated: Database) -> None:
    database = audius_populated
    ledger(database)
    report_of(run(database, AUDIUS))
    before, outline = checksum(database, "track_trending_scores"), outlined(database, "track_trending_scores")
    assert partition(database, "track_trending_scores").task.by == BY, "the ledger knows the slices by now"
    assert checksum(database, "track_trending_scores") == before
    assert outlined(database, "track_trending_scores") == outline
    report = report_of(run(database, AUDIUS))
    assert counts(report, "tracks")[3], "a run finds its rows"
    partition(database, "track_trending_scores", undo=True)
    assert outlined(database, "track_trending_scores") == outline


@pytest.mark.parametrize("strategy", ["Merge", "DeleteInsert"])
@pytest.mark.parametrize("undo", [False, True])
def test_runs_go_on_as_before(board: Database, strategy: str, undo: bool) -> None:
    others = "SELECT * FROM hot WHERE (board, kind) IN (('main', 'c'), ('side', 'a')) ORDER BY 1, 2, 3"
    before = board.execute(others)
    partition(board, "hot", specs=(target(),))
    if undo:
        partition(board, "hot", undo=True)
    board.execute("INSERT INTO source VALUES ('a', 500, 5, 'new'); DELETE FROM source WHERE kind = 'b' AND post_id = 7")
    report = report_of(run(board, target(strategy)))
    assert rows(board) == board.execute("SELECT * FROM source ORDER BY kind, post_id")
    assert board.execute(others) == before
    if strategy == "Merge":
        assert counts(report, "own") == (1, 99, 1, 100)


def test_a_value_that_is_new_goes_to_a_default_partition(board: Database) -> None:
    partition(board, "hot", by=("board", "kind"))
    board.execute("INSERT INTO hot (board, kind, post_id) VALUES ('new', 'a', 1), ('main', 'new', 1)")
    found = board.execute("SELECT tableoid::regclass::text FROM hot WHERE 'new' IN (board, kind) ORDER BY 1")
    assert found == [("hot_default",), ("hot_main_default",)]


def test_slices_without_rows_have_partitions_too(board: Database) -> None:
    wanted = spec(rewrite=[own_target(slice={"board": ["empty"], "kind": ["a"]}, query=QUERY)])
    partition(board, "hot", specs=(wanted,))
    board.execute("INSERT INTO hot (board, kind, post_id) VALUES ('empty', 'a', 1)")
    assert board.execute("SELECT tableoid::regclass::text FROM hot WHERE board = 'empty'") == [("hot_empty_a",)]


def test_null_has_a_partition_and_values_that_are_equal_share_one(database: Database) -> None:
    database.execute("CREATE TABLE t (n numeric, id int); INSERT INTO t VALUES (1.0, 1), (1.00, 2), (NULL, 3), (2, 4)")
    partition(database, "t", by=("n",))
    assert database.execute(
        "SELECT tableoid::regclass::text, array_agg(id ORDER BY id) FROM t GROUP BY 1 ORDER BY 2"
    ) == [("t_1_0_" + _hash_of(database), [1, 2]), ("t_null", [3]), ("t_2", [4])]


def _hash_of(database: Database) -> str:
    found = database.execute("SELECT relname FROM pg_class WHERE relname LIKE 't_1_0_%'")
    return str(found[0][0])[-8:]


def test_hostile_names_and_values_are_only_names_and_values(database: Database) -> None:
    long = "l" * 60
    database.execute(
        f'CREATE SCHEMA "s; --"; CREATE TABLE "s; --"."{HOSTILE}" ("{HOSTILE}" text, "%s {{}}" text, id int, '
        f'PRIMARY KEY ("{HOSTILE}", "%s {{}}", id)); CREATE INDEX "i{HOSTILE}" ON "s; --"."{HOSTILE}" (id);'
    )
    name = f'"s; --"."{HOSTILE}"'
    values = ["", "a b", "a_b", "a\\'b", "default", "null", "%s", "{}", '";drop', long + "1", long + "2", "ä€"]
    query = f"INSERT INTO {name} SELECT v, x, 1 FROM unnest(%s::text[]) AS v, LATERAL (VALUES ('x'), (v)) AS w (x)"
    database.execute(query.replace(HOSTILE, HOSTILE.replace("%", "%%")), [values])
    before, outline = checksum(database, name), outlined(database, name)
    done = partition(database, name, by=(HOSTILE.replace('""', '"'), "%s {}"))
    assert checksum(database, name) == before
    assert outlined(database, name) == outline
    assert done.task.shape is not None
    names = [part.name for part in done.task.shape.parts]
    assert len(set(names)) == len(names)
    assert max(len(each.encode()) for each in names) <= 63
    partition(database, name, undo=True)
    assert checksum(database, name) == before
    assert outlined(database, name) == outline


def test_names_of_partitions_avoid_tables_that_are_there(board: Database) -> None:
    board.execute("CREATE TABLE hot_main_a (i int); CREATE TYPE hot_side_a AS (i int)")
    partition(board, "hot", by=("board", "kind"))
    assert board.execute("SELECT count(*) FROM hot_main_a") == [(0,)]
    assert board.execute("SELECT count(*) FROM hot") == [(400,)]


def test_asked_again_it_says_that_it_is_done(board: Database) -> None:
    partition(board, "hot", specs=(target(),))
    with board.connect(autocommit=True) as connection:
        assert prepare(connection, Request(table="hot", specs=(target(),))).is_done
        assert prepare(connection, Request(table="hot", by=("board", "kind"))).is_done
        with pytest.raises(ConfigurationError, match="partitioned already, by board, kind"):
            prepare(connection, Request(table="hot", by=("kind",)))
    partition(board, "hot", undo=True)
    with board.connect(autocommit=True) as connection:
        assert prepare(connection, Request(table="hot", undo=True)).is_done


def test_the_old_table_can_be_kept(board: Database) -> None:
    before = outlined(board, "hot")
    partition(board, "hot", by=("board",), keep_old=True)
    assert outlined(board, "hot") == before
    assert board.execute("SELECT count(*) FROM hot_before_partition") == [(400,)]
    with board.connect(autocommit=True) as connection:
        task = prepare(connection, Request(table="hot", undo=True, keep_old=True))
    assert task.kept == "hot_before_partition"
    assert "drop it, or go without --keep-old" in task.obstacles[0]
    board.execute("DROP TABLE hot_before_partition")
    partition(board, "hot", undo=True, keep_old=True)
    assert outlined(board, "hot") == before
    board.execute("DROP TABLE hot_before_partition")
    assert in_the_end(board) == ["hot", "source"]


def test_nothing_else_is_left(board: Database) -> None:
    partition(board, "hot", by=("board",))
    partition(board, "hot", undo=True)
    assert in_the_end(board) == ["hot", "source"]


def test_other_columns_of_slices_are_told(board: Database) -> None:
    with board.connect(autocommit=True) as connection:
        task = prepare(connection, Request(table="hot", by=("board",), specs=(target(),)))
    assert [dict(each.values) for each in task.not_whole] == [{"board": ("main",), "kind": ("a", "b")}]


def test_a_plan_writes_nothing(board: Database) -> None:
    with board.connect(autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        task = prepare(connection, Request(table="hot", specs=(target(),)))
    assert task.rows == 400


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"table": "nowhere"}, "there is no table nowhere"),
        ({"table": "hot", "by": ("board", "board")}, "names a column twice"),
        ({"table": "hot", "by": ("none",)}, "has no column 'none'"),
        ({"table": "hot"}, "no slice of public.hot is known that names a column"),
        ({"table": "many", "by": ("id",)}, "more than 1000 combinations"),
        ({"table": "many", "by": ("doc",)}, "cannot be partitioned by doc"),
    ],
)
def test_what_cannot_be_meant_is_told(board: Database, request_: dict[str, Any], sentence: str) -> None:
    board.execute("CREATE TABLE many AS SELECT id, '{}'::json AS doc FROM generate_series(1, 2000) AS id")
    with board.connect(autocommit=True) as connection, pytest.raises(ConfigurationError, match=sentence):
        prepare(connection, Request(**request_))


def test_a_run_after_the_exchange_supersedes_as_ever(board: Database) -> None:
    now = datetime.now(UTC)
    report_of(run(board, target(), now=now))
    partition(board, "hot")
    report = report_of(run(board, target(), now=now - timedelta(hours=1)))
    assert report.result == "Superseded"
