"""`trending partition` as a person calls it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.postgres.boards import target, with_board
from tests.postgres.partitions import checksum, in_the_end, outlined, partition
from tests.postgres.plans import write
from tests.postgres.runs import own_target, spec_dict, start
from tests.postgres.server import ADMIN, Database
from trending.runner.rewrite.swap import Partitions, find_partitions
from trending.runner.slices import canonical_slice
from trending.runner.table import look_up


@pytest.fixture
def board(database: Database) -> Database:
    with_board(database)
    database.execute(
        "INSERT INTO hot SELECT 'main', k, g, g, 'old', '2020-01-01', 'x' FROM generate_series(1, 50) AS g, "
        "(VALUES ('a'), ('b'), ('c')) AS v (k)"
    )
    return database


def command(database: Database, *arguments: str) -> tuple[int, str, str]:
    process = start("partition", *arguments, TRENDING_DATABASE_URI=database.uri)
    out, err = process.communicate(timeout=60)
    assert database.password not in out + err
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.fixture
def schedule(tmp_path: Path) -> str:
    return str(write(tmp_path, target().model_dump(mode="json", by_alias=True, exclude_unset=True)))


def test_it_says_what_it_is_going_to_do_and_does_it(board: Database, schedule: str) -> None:
    before = checksum(board, "hot")
    code, out, err = command(board, "hot", "-f", schedule, "--yes")
    assert code == 0, err
    assert "public.hot: 150 rows" in out
    assert "to be partitioned by board, kind, 5 partitions" in out
    assert "who waits: writers of public.hot and runs of its 1 known slices" in out
    assert "public.hot is 5 partitions now: 150 rows in" in out
    assert checksum(board, "hot") == before
    code, out, _ = command(board, "hot", "-f", schedule, "--yes")
    assert (code, out) == (0, "public.hot is partitioned by board, kind already: nothing to do.\n")
    code, out, err = command(board, "hot", "--undo", "--yes")
    assert code == 0, err
    assert "public.hot is one plain table now" in out
    assert command(board, "hot", "--undo")[:2] == (0, "public.hot is a plain table already: nothing to do.\n")


def test_a_dry_run_prints_sql_that_does_the_same_and_changes_nothing(board: Database) -> None:
    outline, before = outlined(board, "hot"), checksum(board, "hot")
    code, out, _ = command(board, "hot", "--by", "board,kind", "--dry-run")
    assert code == 0
    assert in_the_end(board) == ["hot", "source"]
    statements = out[out.index("CREATE TABLE") :].replace("SET LOCAL", "SET").split(";\n")
    for statement in filter(None, statements):
        board.execute(statement)
    assert outlined(board, "hot") == outline
    assert checksum(board, "hot") == before
    assert board.execute("SELECT relkind::text FROM pg_class WHERE oid = 'hot'::regclass") == [("p",)]


def test_json_tells_the_same(board: Database) -> None:
    code, out, _ = command(board, "hot", "--by", "kind", "--dry-run", "-o", "json")
    plan = json.loads(out)
    assert code == 0
    assert (plan["table"], plan["rows"], plan["done"], plan["by"]) == ("public.hot", 150, False, ["kind"])
    assert {"name": "hot_a", "values": ["a"], "rows": 50} in plan["partitions"]
    code, out, _ = command(board, "hot", "--by", "kind", "--yes", "-o", "json")
    assert (code, json.loads(out)["done"]) == (0, True)


def test_nobody_there_to_be_asked_is_told(board: Database) -> None:
    code, _, err = command(board, "hot", "--by", "kind")
    assert code == 2
    assert "write --yes" in err
    assert in_the_end(board) == ["hot", "source"]


def test_what_is_in_the_way_is_listed(board: Database) -> None:
    board.execute("CREATE VIEW v AS SELECT * FROM hot")
    code, _, err = command(board, "hot", "--by", "post_id", "--yes")
    assert code == 2
    assert "in the way:\n  - view public.v reads it: keep its definition" in err


@pytest.mark.parametrize(
    "arguments", [["nowhere", "--by", "a"], ["hot"], ["hot", "--by", "x"], ["hot", "-f", "none.yaml"]]
)
def test_what_cannot_be_meant_is_exit_2_with_a_sentence(board: Database, arguments: list[str]) -> None:
    code, _, err = command(board, *arguments, "--yes")
    assert code == 2
    assert err.startswith("Error: ")


def test_a_lock_that_cannot_be_had_is_exit_1_and_names_its_holder(board: Database) -> None:
    with board.connect() as writer:
        writer.execute("DELETE FROM hot WHERE false")
        code, _, err = command(board, "hot", "--by", "kind", "--yes", "--wait", "1")
        assert code == 1
        assert f"held by pid {writer.info.backend_pid}" in err
        assert "nothing has changed" in err


def test_ctrl_c_leaves_everything_as_it_was(board: Database) -> None:
    before = checksum(board, "hot")
    with board.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM source")
        process = start("partition", "hot", "--by", "kind", "--yes", TRENDING_DATABASE_URI=board.uri)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("waiting for 1 transactions"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "hot is as it was" in err
    assert checksum(board, "hot") == before
    assert in_the_end(board) == ["hot", "source"]


def test_swap_takes_its_slices(board: Database) -> None:
    partition(board, "hot", specs=(target(),))
    with board.connect() as connection:
        table = look_up(connection, "hot", where="here")
        for slice_, leaves in [
            ({"board": ["main"], "kind": ["a", "b"]}, ["hot_main_a", "hot_main_b"]),
            ({"board": ["main"], "kind": ["c"]}, ["hot_main_c"]),
        ]:
            found = find_partitions(connection, canonical_slice(connection, table, slice_, where="here"))
            assert isinstance(found, Partitions), found
            assert [leaf.node.name for leaf in found.leaves] == leaves


def test_the_slices_are_those_of_runs_whatever_the_roles_settings_make_of_values(
    database: Database, tmp_path: Path
) -> None:
    database.execute(
        "CREATE TABLE hot (day date, id int, PRIMARY KEY (day, id)); INSERT INTO hot VALUES ('2026-02-01', 1)"
    )
    with database.connect(autocommit=True) as connection:
        slice_ = canonical_slice(connection, look_up(connection, "hot", where=""), {"day": ["2026-02-01"]}, where="")
    for setting in ("DateStyle = 'SQL, DMY'", "quote_all_identifiers = on"):
        database.execute(f"ALTER ROLE discovery IN DATABASE {database.name} SET {setting}", role=ADMIN)
    own = own_target(slice={"day": ["2026-02-01"]}, query="SELECT 1 AS id")
    file = str(write(tmp_path, spec_dict(rewrite=[own])))
    with database.connect() as run:
        run.execute("SELECT pg_advisory_xact_lock(%s)", [slice_.lock_key])
        code, _, err = command(database, "hot", "-f", file, "--yes", "--wait", "1")
    assert code == 1
    assert f"slice {slice_} could not be had within 1 s" in err
