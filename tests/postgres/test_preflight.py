"""The preflight: what would keep a run from working, or make it dear, each told with what to do."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from psycopg import sql

from tests.postgres.boards import NOW, QUERY, SLICE, with_board
from tests.postgres.plans import Answer, findings, planned
from tests.postgres.runs import NAMESPACE, identity, own_target, report_of, run, spec_dict
from tests.postgres.server import ADMIN, BINARIES, OWNER, Database, PostgresServer, _as, _system_user, running_server
from trending.api.spec import TrendingScheduleSpec


@pytest.fixture
def board(database: Database) -> Database:
    """The table `hot` with some rows, their source, and a materialized view on it."""
    with_board(database).execute(
        "INSERT INTO hot (board, kind, post_id, score) SELECT 'main', 'a', i, i FROM generate_series(1, 10) AS i;"
        "INSERT INTO source SELECT 'a', i, i FROM generate_series(1, 10) AS i;"
        "CREATE MATERIALIZED VIEW totals AS SELECT post_id AS id, score FROM source"
    )
    return database


def board_spec(**fields: Any) -> dict[str, Any]:
    own = {"slice": SLICE, "query": QUERY, **fields.pop("target", {})}
    return spec_dict(rewrite=[own_target(**own)], **fields)


def errors(database: Database, **fields: Any) -> list[str]:
    return findings(planned(database, board_spec(**fields), exit_code=2), "error")


def warnings(database: Database, **fields: Any) -> list[str]:
    return findings(planned(database, board_spec(**fields)), "warning")


def totals(mode: str = "Auto", view: str = "totals") -> list[dict[str, str]]:
    return [{"materializedView": view, "mode": mode}]


def only(told: list[str]) -> str:
    assert len(told) == 1, told
    return told[0]


def test_what_is_as_it_should_be_is_said_too_and_nothing_else(board: Database) -> None:
    board.execute("CREATE UNIQUE INDEX ON totals (id)")
    answer = planned(board, board_spec(refresh=totals()))
    assert {each["level"] for each in answer["preflight"]} == {"ok"}
    places = {each["where"] for each in answer["preflight"]}
    assert places == {"database", "spec.database.parallelism", "ledger", "spec.refresh[0]", "spec.rewrite[0]"}


# The server and the ledger


def test_a_database_without_a_ledger_is_told_what_makes_one(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score int)")
    wanted = spec_dict(rewrite=[own_target(query="SELECT 1 AS id, 2 AS score")])
    told = only(findings(planned(database, wanted, exit_code=2), "error"))
    assert told == (
        "ledger: the database has no ledger (schema trending): run `trending migrate` on it once, as the owner of the "
        "database"
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("ALTER TABLE trending.freshness DROP COLUMN step", "table trending.freshness lacks column step"),
        ("DROP TABLE trending.threshold", "table trending.threshold is not there"),
    ],
)
def test_a_ledger_of_another_version_is_told(board: Database, change: str, what: str) -> None:
    board.execute(change)
    assert f"the ledger is not of this version: {what}" in only(errors(board))


@pytest.mark.parametrize(
    ("settings", "place", "what"),
    [
        ({"work_mem": "lots"}, "spec.database.settings.work_mem", "the server refuses it"),
        ({"no_such_thing": "on"}, "spec.database.settings.no_such_thing", "the server refuses it"),
        ({"log_statement": "all"}, "spec.database.settings.log_statement", "the role discovery may not set it"),
    ],
)
def test_a_setting_that_the_session_would_not_take_is_told_and_the_rest_is_planned(
    board: Database, settings: dict[str, str], place: str, what: str
) -> None:
    answer = planned(board, board_spec(database={"settings": {**settings, "jit": "off"}}), exit_code=2)
    told = only(findings(answer, "error"))
    assert told.startswith(f"{place}: {what}")
    assert answer["rewrite"][0]["rowsUnchanged"] == 10


def test_a_standby_is_told_before_anything_is_tried_on_it() -> None:
    with running_server() as server, server.database() as database:
        with_board(database)
        signal = server.folder / "data" / "standby.signal"
        signal.touch()
        restart(server)
        told = only(findings(planned(database, board_spec(), exit_code=2), "error"))
        assert "is a standby that cannot be written to: give the primary's URI" in told
        signal.unlink()
        restart(server)  # the database is dropped at the end


def restart(server: PostgresServer) -> None:
    command = [str(BINARIES / "pg_ctl"), "--silent", "--wait", "-D", str(server.folder / "data"), "-m", "fast"]
    command += ["-l", str(server.folder / "log"), "-o", f"-p {server.port}", "restart"]
    subprocess.run(command, check=True, **_as(_system_user()))


def test_too_few_connections_for_a_run_are_told(board: Database) -> None:
    board.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 3").format(sql.Identifier(board.name)), role=ADMIN)
    many = planned(board, board_spec(database={"parallelism": 4}), exit_code=2)
    told = only(findings(many, "error"))
    assert "a run opens 5 connections, and the database's CONNECTION LIMIT allows 3" in told
    assert not warnings(board)
    with board.connect(), board.connect():
        told = only(warnings(board))
    assert told.startswith(
        "spec.database.parallelism: a run opens 2 connections, and of the database's CONNECTION LIMIT"
    )


# The views


@pytest.mark.parametrize(
    ("view", "what"),
    [
        ("nowhere", "there is no materialized view nowhere"),
        ("hot", "hot is no materialized view"),
        (
            "secret.totals",
            "the role discovery may not use the schema secret: GRANT USAGE ON SCHEMA secret TO discovery",
        ),
    ],
)
def test_a_view_that_is_none_is_told(board: Database, view: str, what: str) -> None:
    board.execute("CREATE SCHEMA secret; CREATE MATERIALIZED VIEW secret.totals AS SELECT 1 AS id", role=ADMIN)
    answer = planned(board, board_spec(refresh=totals(view=view)), exit_code=2)
    assert only(findings(answer, "error")).startswith(f"spec.refresh[0]: {what}")
    assert answer["refresh"][0]["mode"] is None


def test_a_view_that_can_only_be_refreshed_blocking_is_told_with_the_cure(board: Database) -> None:
    told = only(warnings(board, refresh=totals()))
    assert "locks its readers out while it lasts, since it has no unique index on plain columns" in told
    assert "make a unique index" in told
    assert not warnings(board, refresh=totals("Blocking"))
    told = only(errors(board, refresh=totals("Concurrently")))
    assert told.startswith(
        "spec.refresh[0].mode: totals cannot be refreshed CONCURRENTLY, since it has no unique index"
    )


def test_nulls_in_any_unique_index_are_counted_since_each_concurrent_refresh_rewrites_their_rows(
    board: Database,
) -> None:
    board.execute(
        "UPDATE source SET score = NULL WHERE post_id <= 3; REFRESH MATERIALIZED VIEW totals;"
        "CREATE UNIQUE INDEX ON totals (id); CREATE UNIQUE INDEX ON totals (id, score)"
    )
    told = only(warnings(board, refresh=totals()))
    assert "3 of the 10 rows of totals have a null in a column of its unique index (id, score)" in told
    # That it is so: nothing has changed, and these rows are other versions after a refresh.
    before = dict(board.execute("SELECT id, xmin::text FROM totals"))
    report_of(run(board, TrendingScheduleSpec.model_validate(board_spec(refresh=totals()))))
    after = dict(board.execute("SELECT id, xmin::text FROM totals"))
    assert {id_ for id_ in before if before[id_] != after[id_]} == {1, 2, 3}


def test_a_column_of_a_unique_index_without_nulls_is_no_matter_though_no_views_column_is_not_null(
    board: Database,
) -> None:
    board.execute("CREATE UNIQUE INDEX ON totals (id) INCLUDE (score); UPDATE source SET score = NULL")
    board.execute("REFRESH MATERIALIZED VIEW totals")  # the column beside the key may be null
    assert not warnings(board, refresh=totals())


def test_a_view_behind_the_view_that_was_never_populated_is_told_unless_it_is_refreshed_before(
    board: Database,
) -> None:
    board.execute(
        "CREATE MATERIALIZED VIEW deep AS SELECT post_id FROM source WITH NO DATA; CREATE VIEW between AS TABLE deep;"
        "CREATE MATERIALIZED VIEW outer_one AS SELECT count(*) AS id FROM between WITH NO DATA"
    )
    told = only(errors(board, refresh=totals("Blocking", "outer_one")))
    assert "outer_one reads public.deep, which was never populated: put that one before it in spec.refresh" in told
    in_order = [*totals("Blocking", "deep"), *totals("Blocking", "outer_one")]
    assert not findings(planned(board, board_spec(refresh=in_order)), "error")
    report_of(run(board, TrendingScheduleSpec.model_validate(board_spec(refresh=in_order))))


def test_what_the_owner_of_a_view_may_not_read_any_more_is_told(board: Database) -> None:
    board.execute(f"ALTER TABLE source OWNER TO postgres; GRANT SELECT ON source TO {OWNER}", role=ADMIN)
    assert not findings(planned(board, board_spec(refresh=totals("Blocking"))), "error")
    board.execute(f"REVOKE SELECT ON source FROM {OWNER}", role=ADMIN)
    told = errors(board, refresh=totals("Blocking"))
    assert any(
        "a refresh reads public.source as the view's owner, who may not: GRANT SELECT ON public.source TO discovery"
        in each
        for each in told
    )


# The targets


def test_a_key_that_does_not_tell_the_rows_apart_is_told_with_an_example(board: Database) -> None:
    board.execute("ALTER TABLE hot DROP CONSTRAINT hot_pkey")
    target: dict[str, Any] = {"key": ["kind", "post_id"]}
    told = only(warnings(board, target=target))
    assert told.startswith(
        "spec.rewrite[0].key: no unique index of public.hot holds the key (kind, post_id) to be unique"
    )
    board.execute("INSERT INTO hot (board, kind, post_id) VALUES ('main', 'a', 7)")
    told = only(errors(board, target=target))
    assert "2 of them have kind=a, post_id=7; name more columns in key, or use strategy DeleteInsert" in told
    run_told = run(board, TrendingScheduleSpec.model_validate(board_spec(target=target)))
    assert run_told.exit_code == 2


def test_columns_of_the_key_that_may_be_null_are_told_with_the_rows_that_have_one(board: Database) -> None:
    board.execute(
        "ALTER TABLE hot DROP CONSTRAINT hot_pkey;"
        "ALTER TABLE hot ALTER kind DROP NOT NULL, ALTER post_id DROP NOT NULL;"
        "CREATE UNIQUE INDEX ON hot (board, kind, post_id); INSERT INTO hot (board, kind) VALUES ('main', 'a')"
    )
    told = only(warnings(board, target={"key": ["kind", "post_id"]}))
    assert "columns of the key may be null (kind, post_id), and 1 rows of the slice have one" in told
    assert 'ALTER TABLE "public"."hot" ALTER COLUMN "kind" SET NOT NULL, ALTER COLUMN "post_id" SET NOT NULL' in told


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (
            "score::text",
            "it returns score as text, and the column of public.hot is double precision, which that is not",
        ),
        ("ARRAY[score]", "it returns score as double precision[], and the column of public.hot is double precision"),
    ],
)
def test_a_type_that_the_column_does_not_take_is_told_with_the_cast(board: Database, column: str, what: str) -> None:
    query = f"SELECT kind, post_id, {column} AS score FROM source"
    told = only(errors(board, target={"query": query}))
    assert told.startswith(f"spec.rewrite[0].query: {what}")
    assert told.endswith("write score::double precision")
    assert run(board, TrendingScheduleSpec.model_validate(board_spec(target={"query": query}))).exit_code == 2


@pytest.mark.parametrize("column", ["score::numeric", "1", "score::real", "NULL::float8"])
def test_a_type_that_loses_nothing_is_fine(board: Database, column: str) -> None:
    query = f"SELECT kind, post_id, {column} AS score FROM source"
    assert not warnings(board, target={"query": query, "maxDeletePercent": 100})


def test_a_type_that_may_lose_something_is_told(board: Database) -> None:
    query = "SELECT kind, post_id::float8 AS post_id, score FROM source"
    told = only(warnings(board, target={"query": query}))
    assert "it returns post_id as double precision, and the column of public.hot is integer: values are rounded" in told


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT kind, post_id, similarity(kind, 'x') AS score FROM source", "or the extension that has it"),
        ("SELECT kind, post_id FROM nowhere", "create it, or correct its name"),
        ("SELECT kind, post_id, scoer AS score FROM source", "correct the name of the column"),
        ("SELECT kind, post_id, NULL::geometry AS score FROM source", "create the type, or the extension that has it"),
        ("SELECT kind, FROM", "correct the query"),
        ("DELETE FROM source RETURNING kind, post_id, score", "correct the query"),
        (
            "WITH gone AS (DELETE FROM source RETURNING *) SELECT kind, post_id FROM gone",
            "the server cannot plan it",
        ),
    ],
)
def test_a_query_that_cannot_be_planned_is_told_with_what_is_missing(board: Database, query: str, what: str) -> None:
    told = only(errors(board, target={"query": query}))
    assert told.startswith("spec.rewrite[0].query: the server cannot plan it")
    assert what in told
    assert board.execute("SELECT count(*) FROM source") == [(10,)]
    assert run(board, TrendingScheduleSpec.model_validate(board_spec(target={"query": query}))).exit_code != 0


def test_columns_that_the_query_has_to_return_and_does_not_are_told(board: Database) -> None:
    board.execute("ALTER TABLE hot ADD COLUMN author int NOT NULL DEFAULT 1; ALTER TABLE hot ALTER author DROP DEFAULT")
    told = only(errors(board))
    assert "it does not return 'author', which is NOT NULL in public.hot and has no default" in told


def test_a_default_of_the_columns_type_is_one(board: Database) -> None:
    board.execute("CREATE DOMAIN mood AS text DEFAULT 'fine'; ALTER TABLE hot ADD COLUMN mood mood NOT NULL")
    board.execute("INSERT INTO source VALUES ('a', 11, 11)")
    assert planned(board, board_spec())["rewrite"][0]["rowsInserted"] == 1
    report_of(run(board, TrendingScheduleSpec.model_validate(board_spec())))
    assert board.execute("SELECT mood FROM hot WHERE post_id = 11") == [("fine",)]


def test_a_table_slice_or_key_that_is_not_there_is_told_as_a_run_tells_it(board: Database) -> None:
    for target, what in (
        ({"table": "nowhere"}, "spec.rewrite[0].table: there is no table nowhere"),
        ({"slice": {"bord": ["main"]}}, "spec.rewrite[0].slice.bord: table public.hot has no column 'bord'"),
        ({"key": ["id"]}, "spec.rewrite[0].key: table public.hot has no column 'id'"),
    ):
        answer = planned(board, board_spec(target=target), exit_code=2)
        assert only(findings(answer, "error")).startswith(what)
        assert answer["rewrite"][0]["error"] == "it cannot be had: see the preflight"


def test_row_security_that_hides_rows_from_the_runs_role_is_told(board: Database) -> None:
    board.execute("ALTER TABLE hot ENABLE ROW LEVEL SECURITY")
    assert not warnings(board)  # the owner sees all
    board.execute("ALTER TABLE hot FORCE ROW LEVEL SECURITY; CREATE POLICY all_rows ON hot USING (true)")
    assert "row security hides rows of public.hot from the role discovery" in only(warnings(board))


def test_delete_insert_does_with_a_key_that_repeats(board: Database) -> None:
    board.execute(
        "ALTER TABLE hot DROP CONSTRAINT hot_pkey; INSERT INTO hot (board, kind, post_id) VALUES ('main', 'a', 7)"
    )
    wanted = board_spec(target={"key": ["kind", "post_id"], "strategy": "DeleteInsert"})
    answer = planned(board, wanted)
    assert only(findings(answer, "warning")).endswith("DeleteInsert replaces them all the same")
    report_of(run(board, TrendingScheduleSpec.model_validate(wanted)))


def test_a_sequence_that_new_rows_need_and_the_role_may_not_use_is_told(board: Database) -> None:
    board.execute("ALTER TABLE hot ADD COLUMN number serial; ALTER TABLE hot ALTER number DROP NOT NULL")
    board.execute(
        f"ALTER SEQUENCE hot_number_seq OWNED BY NONE; ALTER SEQUENCE hot_number_seq OWNER TO {ADMIN}", role=ADMIN
    )
    told = only(errors(board))
    assert "GRANT USAGE ON SEQUENCE hot_number_seq TO discovery" in told


# Who else writes there


def written_by(board: Database, *, schedule: str, slice_: dict[str, list[str]]) -> None:
    wanted = TrendingScheduleSpec.model_validate(board_spec(target={"slice": slice_, "maxDeletePercent": 100}))
    report_of(run(board, wanted, now=NOW, who=identity(schedule=schedule)))


def told_of_others(answer: Answer) -> list[str]:
    return [each for each in findings(answer, "warning") if "undo each other's work" in each]


def test_another_schedule_on_the_same_or_overlapping_rows_is_told(board: Database) -> None:
    written_by(board, schedule="other", slice_=SLICE)
    told = only(told_of_others(planned(board, board_spec())))
    assert (
        f"target own of schedule {NAMESPACE}/other has written this slice of public.hot at 2026-11-23T18:00:00Z" in told
    )
    overlapping = board_spec(target={"slice": {"board": ["main", "side"], "kind": ["a"]}, "maxDeletePercent": 100})
    overlapping["rewrite"][0]["query"] = "SELECT 'main' AS board, post_id, score FROM source"
    assert "has written rows of this slice" in only(told_of_others(planned(board, overlapping)))


def test_ones_own_slices_and_those_that_share_no_row_are_no_others(board: Database) -> None:
    written_by(board, schedule="hourly", slice_=SLICE)
    assert not told_of_others(planned(board, board_spec()))
    elsewhere = board_spec(target={"slice": {"board": ["side"], "kind": ["a", "b"]}})
    assert not told_of_others(planned(board, elsewhere, schedule="other"))
    assert told_of_others(planned(board, board_spec(), schedule="other"))


def test_one_on_a_table_that_inherits_is_one_on_the_same_rows(board: Database) -> None:
    written_by(board, schedule="other", slice_=SLICE)
    board.execute("CREATE TABLE more (PRIMARY KEY (board, kind, post_id)) INHERITS (hot)")
    told = only(told_of_others(planned(board, board_spec(target={"table": "more"}))))
    assert f"target own of schedule {NAMESPACE}/other has written rows of this slice of public.more at" in told


def test_runs_that_come_by_turns_from_two_clusters_are_told(board: Database) -> None:
    wanted = TrendingScheduleSpec.model_validate(board_spec())
    for uid in ("one", "two"):
        report_of(run(board, wanted, who=identity(f"{uid}/hourly-1")))
    # A new object of the same name after an old one is no second cluster.
    assert not [each for each in warnings(board) if "two clusters" in each]
    report_of(run(board, wanted, who=identity("one/hourly-2")))
    assert "(uids one and two)" in only([each for each in warnings(board) if "two clusters" in each])


def test_targets_of_one_file_on_the_same_rows_are_told(board: Database) -> None:
    own = own_target(slice=SLICE, query=QUERY)
    wanted = spec_dict(rewrite=[own, {**own, "name": "again", "slice": {"board": ["main"]}}])
    told = findings(planned(board, wanted, exit_code=2), "error")
    assert any(each.startswith("spec.rewrite: targets own and again both rewrite rows of public.hot") for each in told)
