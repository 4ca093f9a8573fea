"""`trending plan`: what a run would do, told beforehand, and nothing written."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.boards import NOW, QUERY, SLICE, with_board
from tests.postgres.plans import findings, plan, planned, write
from tests.postgres.runs import SCHEDULE, identity, ledger, own_target, report_of, run, spec_dict, start
from tests.postgres.server import ADMIN, OWNER, Database
from trending.api.spec import TrendingScheduleSpec

FILLED = """
    INSERT INTO hot (board, kind, post_id, score) SELECT 'main', 'a', i, i FROM generate_series(1, 10) AS i;
    INSERT INTO hot (board, kind, post_id, score) VALUES ('other', 'a', 1, 1);
    INSERT INTO source SELECT 'a', i, CASE WHEN i = 5 THEN 50 ELSE i END FROM generate_series(2, 12) AS i;
"""

# Everything of the user's that could have changed, less sequences of statistics.
CATALOG = """
    SELECT format('%s %s %s %s %s', c.relname, c.relfilenode, c.relkind, c.relpages, c.relispopulated)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL SELECT format('%s', nspname) FROM pg_namespace
    UNION ALL SELECT format('%s', d) FROM pg_depend AS d WHERE objid >= 16384
    UNION ALL SELECT format('%s', a) FROM pg_attribute AS a WHERE attrelid >= 16384
    UNION ALL SELECT format('%s', t) FROM pg_type AS t WHERE oid >= 16384
    ORDER BY 1
"""


@pytest.fixture
def board(database: Database) -> Database:
    """The table `hot`, of which a source would change twelve rows in three ways."""
    with_board(database).execute(FILLED)
    return database


def board_spec(**fields: Any) -> dict[str, Any]:
    own = {"slice": SLICE, "query": QUERY, **fields.pop("target", {})}
    return spec_dict(rewrite=[own_target(**own)], **fields)


def state(database: Database) -> list[Any]:
    """Checksums of the tables and the ledger, row places and versions included, and the whole catalog of the user's."""
    tables = ("hot", "source", "trending.run", "trending.freshness")
    sums = [
        database.execute(
            f"SELECT md5(string_agg(format('%s %s %s', t.ctid, t.xmin, t), ',' ORDER BY t.ctid)) FROM {table} AS t"
        )
        for table in tables
    ]
    return [*sums, database.execute(CATALOG, role=ADMIN)]


def test_a_plan_tells_the_rows_that_would_change_by_kind_and_the_run_after_it_changes_just_these(
    board: Database, tmp_path: Path
) -> None:
    answer = plan(board, tmp_path, board_spec())
    (planned,) = answer["rewrite"]
    assert planned["strategy"] == "Merge"
    assert planned["table"] == "public.hot"
    assert planned["slice"] == SLICE
    assert planned["due"] is True
    assert "Auto took Merge" in planned["why"]
    kinds = ("rowsInserted", "rowsUpdated", "rowsDeleted", "rowsUnchanged")
    assert [planned[kind] for kind in kinds] == [2, 1, 1, 8]
    (step,) = report_of(run(board, TrendingScheduleSpec.model_validate(board_spec()))).to_json_object()["steps"]
    assert [step[kind] for kind in kinds] == [planned[kind] for kind in kinds]
    assert step["strategy"] == planned["strategy"]


@pytest.mark.parametrize("strategy", ["Auto", "Merge", "DeleteInsert", "Upsert"])
def test_a_plan_writes_nothing(board: Database, strategy: str) -> None:
    board.execute(
        "CREATE MATERIALIZED VIEW totals AS SELECT post_id, score FROM source; CREATE UNIQUE INDEX ON totals (post_id)"
    )
    wanted = board_spec(refresh=[{"materializedView": "totals"}], target={"strategy": strategy})
    before = state(board)
    planned(board, wanted)
    assert state(board) == before


def test_a_swap_is_planned_where_the_slice_is_a_partition_and_builds_none(database: Database) -> None:
    ledger(database)
    database.execute(
        "CREATE TABLE hot (board text, post_id int, score float8, PRIMARY KEY (board, post_id))"
        " PARTITION BY LIST (board);"
        "CREATE TABLE hot_main PARTITION OF hot FOR VALUES IN ('main');"
        "CREATE TABLE source AS SELECT i AS post_id, i::float8 AS score FROM generate_series(1, 10) AS i"
    )
    own = own_target(slice={"board": ["main"]}, query="SELECT post_id, score FROM source", strategy="Swap")
    before = state(database)
    (swap,) = planned(database, spec_dict(rewrite=[own]))["rewrite"]
    assert (swap["strategy"], swap["rowsInserted"]) == ("Swap", 10)
    assert state(database) == before
    database.execute("ALTER TABLE hot DETACH PARTITION hot_main; CREATE TABLE rest PARTITION OF hot DEFAULT")
    (swap,) = planned(database, spec_dict(rewrite=[own]), exit_code=2)["rewrite"]
    assert "strategy Swap cannot be" in swap["error"]


def test_all_that_a_plan_does_is_read_only_or_rolled_back(board: Database) -> None:
    # The server's own log is the witness: each statement of the command's sessions, in order.
    board.execute(f"ALTER ROLE {OWNER} IN DATABASE {board.name} SET log_statement = 'all'", role=ADMIN)
    planned(board, board_spec())
    log = board.log().replace("\n\t", " ")  # how the server goes on with an entry on the next line
    said = [line for line in log.splitlines() if f"app=trending/{SCHEDULE}/plan" in line]
    statements = [found[1].strip() for line in said if (found := re.search(r"(?:statement|execute [^:]*): (.*)", line))]
    assert any(statement.startswith("CREATE TEMPORARY TABLE") for statement in statements)
    assert not [statement for statement in statements if statement.upper().startswith(("COMMIT", "END", "PREPARE"))]
    assert not [statement for statement in statements if "pg_advisory" in statement]
    outside, is_open = [], False
    for statement in statements:
        if statement.startswith("BEGIN"):
            is_open = True
        elif statement == "ROLLBACK":
            is_open = False
        elif not is_open:
            outside.append(statement)
    # Both of its sessions: what tries the settings, and what plans.
    assert "SET default_transaction_read_only = on" in outside
    assert "$1 = 'default_transaction_read_only', $2 = 'on'" in log
    assert not [statement for statement in outside if not re.match(r"(?i)SELECT|SET|SHOW", statement)]


def test_a_plan_waits_for_no_run_and_no_run_for_a_plan(board: Database) -> None:
    wanted = board_spec()
    with board.connect() as other:
        # What a run holds while it writes: the table's lock, the ledger's row, and the rows.
        other.execute("LOCK TABLE hot IN ROW EXCLUSIVE MODE; UPDATE hot SET score = score + 1")
        other.execute("INSERT INTO trending.freshness (table_name, slice) VALUES ('public.hot', '{}')")
        assert planned(board, wanted)["rewrite"][0]["rowsUpdated"] == 1
        other.rollback()


def test_a_table_that_others_keep_readers_out_of_is_told_within_seconds_and_may_pass(board: Database) -> None:
    with board.connect() as other:
        other.execute("LOCK TABLE source IN ACCESS EXCLUSIVE MODE")
        begun = datetime.now(UTC)
        answer = planned(board, board_spec(), exit_code=1)
        assert datetime.now(UTC) - begun < timedelta(seconds=30)
        other.rollback()
    assert "55P03" in answer["rewrite"][0]["error"]


def test_time_and_wal_are_those_of_earlier_runs(board: Database) -> None:
    wanted = board_spec()
    fresh = planned(board, wanted)["rewrite"][0]
    assert (fresh["seconds"], fresh["walBytes"], fresh["runs"]) == (None, None, 0)
    for _ in range(3):
        report_of(run(board, TrendingScheduleSpec.model_validate(wanted)))
        board.execute("UPDATE source SET score = score + 1")
    known = planned(board, wanted)["rewrite"][0]
    assert known["runs"] == 3
    assert known["seconds"] > 0
    assert known["walBytes"] > 0


def test_a_refresh_is_planned_in_the_mode_that_the_run_takes(board: Database) -> None:
    board.execute("CREATE MATERIALIZED VIEW totals AS SELECT post_id FROM source WITH NO DATA")
    wanted = board_spec(refresh=[{"materializedView": "totals"}])
    refresh = planned(board, wanted)["refresh"][0]
    assert (refresh["mode"], refresh["why"]) == ("Blocking", "it had never been populated")
    board.execute("REFRESH MATERIALIZED VIEW totals; CREATE UNIQUE INDEX ON totals (post_id)")
    assert planned(board, wanted)["refresh"][0]["mode"] == "Concurrent"


def test_rows_that_read_an_unpopulated_view_are_unknown_and_the_run_would_work(board: Database) -> None:
    board.execute("CREATE MATERIALIZED VIEW totals AS SELECT kind, post_id, score FROM source WITH NO DATA")
    target = {"query": "SELECT kind, post_id, score FROM totals"}
    answer = planned(board, board_spec(refresh=[{"materializedView": "totals"}], target=target))
    assert answer["rewrite"][0]["rowsInserted"] is None
    assert "not known before the views that it reads are populated" in answer["rewrite"][0]["note"]
    assert any(
        "totals, which was never populated; a run refreshes it first" in each for each in findings(answer, "warning")
    )


def test_a_source_that_a_run_would_refuse_fails_the_plan_with_the_same_sentence(board: Database) -> None:
    wanted = board_spec(target={"query": f"{QUERY} WHERE false"})
    refused = planned(board, wanted, exit_code=2)["rewrite"][0]["error"]
    outcome = run(board, TrendingScheduleSpec.model_validate(wanted))
    assert outcome.exit_code == 2
    assert refused in outcome.report.message
    board.execute("INSERT INTO source VALUES ('a', 2, 1)")
    assert "have the same key" in planned(board, board_spec(), exit_code=2)["rewrite"][0]["error"]


def test_a_target_whose_every_has_not_passed_is_not_due(board: Database) -> None:
    wanted = board_spec(target={"every": "24h"})
    report_of(run(board, TrendingScheduleSpec.model_validate(wanted), who=identity()))
    slot = datetime.now(UTC)
    held = planned(board, wanted)["rewrite"][0]
    assert held["due"] is False
    assert held["note"].startswith("not due before ")
    later = slot + timedelta(hours=25)
    assert planned(board, wanted, now=later)["rewrite"][0]["due"] is True


def test_an_older_now_than_the_slices_data_would_be_superseded(board: Database) -> None:
    report_of(run(board, TrendingScheduleSpec.model_validate(board_spec()), now=NOW))
    before = NOW - timedelta(hours=1)
    assert "superseded" in planned(board, board_spec(), now=before)["rewrite"][0]["note"]


def test_a_database_that_cannot_be_reached_is_exit_code_1_without_the_password(tmp_path: Path) -> None:
    uri = "postgresql://discovery:very-secret-word@127.0.0.1:1/nowhere"
    process = start("plan", "-f", str(write(tmp_path, board_spec())), "-o", "json", TRENDING_DATABASE_URI=uri)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot connect to database nowhere" in json.loads(out)["preflight"][0]["sentence"]
    assert "very-secret-word" not in out + err


def test_what_the_controller_would_not_accept_is_told_too(board: Database, tmp_path: Path) -> None:
    answer = plan(board, tmp_path, {**board_spec(), "timeZone": "Europe/Berlim"}, exit_code=2)
    assert [each for each in findings(answer, "error") if each.startswith("spec.timeZone: ") and "Berlim" in each]


def test_people_get_a_table_and_a_verdict(board: Database, tmp_path: Path) -> None:
    process = start("plan", "-f", str(write(tmp_path, board_spec())), TRENDING_DATABASE_URI=board.uri)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "+2 ~1 -1 =8" in out
    assert "A run would work." in out


def test_the_audius_preset_is_planned_as_it_is_run(audius_populated: Database, tmp_path: Path) -> None:
    ledger(audius_populated, preset="audius")
    views = [{"materializedView": "aggregate_interval_plays"}, {"materializedView": "trending_params"}]
    target = {"name": "tracks", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week", "month"]}}
    answer = plan(audius_populated, tmp_path, spec_dict(refresh=views, rewrite=[target]))
    assert not findings(answer, "error")
    assert [each["mode"] for each in answer["refresh"]] == ["Concurrent", "Concurrent"]
    assert answer["rewrite"][0]["rowsInserted"] > 0
