"""`trending run|migrate|freshness` by hand: what people see, what programs read."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.postgres.runs import OPERATOR, Heard, ledger, own_target, report_of, run, spec, spec_dict, start
from tests.postgres.server import Database

MEASURED = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and tells the KiB it took. Small itself: to the kernel the peak of a process begins with the memory of
the one that started it."""


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    ledger(database)
    return database


def schedule(folder: Path, **fields: Any) -> str:
    wanted = {"rewrite": [own_target(query="SELECT 1 AS id, 0.5 AS score")], **fields}
    document = {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": "by-hand", "namespace": "here"},
        "spec": spec_dict(**wanted),
    }
    file = folder / "schedule.yaml"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def trending(*arguments: str, database: Database | None = None) -> tuple[int, str, str]:
    environment = {"TRENDING_DATABASE_URI": database.uri} if database else {}
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_people_get_tables_and_a_sentence(hot: Database, tmp_path: Path) -> None:
    code, out, err = trending("run", "-f", schedule(tmp_path), database=hot)
    assert code == 0
    assert "rewrite own" in out
    assert "+1 ~0 -0 =0" in out
    assert re.search(r"Succeeded in \d+s: rewrote 1 target: 1 row inserted, 0 unchanged", out)
    assert "rewrite own: Merge" in err
    assert hot.password not in out + err


def test_programs_get_json_alone_under_the_names_of_the_status(hot: Database, tmp_path: Path) -> None:
    code, out, _ = trending("run", "-f", schedule(tmp_path), "-o", "json", database=hot)
    assert code == 0
    report = json.loads(out)
    assert report["result"] == "Succeeded"
    assert report["job"] == "local"
    assert report["rowsChanged"] == 1
    assert report["strategies"] == "Merge"
    assert set(report) >= {"scheduledTime", "startTime", "completionTime", "duration", "attempts", "reason", "message"}
    assert report["steps"][0]["rowsInserted"] == 1
    assert report["targets"] == [{"name": "own", "dataTimestamp": report["dataTimestamp"], "rows": 1}]


def test_now_may_be_given(hot: Database, tmp_path: Path) -> None:
    arguments = ("run", "-f", schedule(tmp_path), "-o", "json", "--now", "2026-11-23T20:00:00+02:00")
    code, out, _ = trending(*arguments, "--database", hot.uri)
    assert code == 0
    assert json.loads(out)["dataTimestamp"] == "2026-11-23T18:00:00.000000Z"


def test_a_now_in_the_future_is_warned_of_since_other_runs_would_go_back_behind_it(hot: Database) -> None:
    heard = Heard()
    later = datetime(3026, 1, 1, tzinfo=UTC)
    report_of(run(hot, spec(rewrite=[own_target(query="SELECT 1 AS id, 2 AS score")]), now=later, heard=heard))
    warned = "the data timestamp 3026-01-01T00:00:00.000000Z is later than the database's clock"
    assert any(line.startswith(warned) for line in heard.lines)


@pytest.mark.parametrize("now", ["yesterday", "2026-11-23T18:00:00"])
def test_a_now_that_is_none_is_told(hot: Database, tmp_path: Path, now: str) -> None:
    code, out, _ = trending("run", "-f", schedule(tmp_path), "-o", "json", "--now", now, database=hot)
    assert code == 2
    assert json.loads(out)["message"].startswith("--now: ")


def test_a_file_that_is_none_is_told_to_people_and_programs(tmp_path: Path) -> None:
    file = schedule(tmp_path, rewrite=[])
    code, out, err = trending("run", "-f", file)
    assert (code, out) == (2, "")
    assert "spec.rewrite needs at least one target" in err
    code, out, _ = trending("run", "-f", file, "-o", "json")
    assert code == 2
    assert "spec.rewrite needs at least one target" in json.loads(out)["message"]


def test_a_run_by_hand_is_told_apart_in_the_ledger(hot: Database, tmp_path: Path) -> None:
    trending("run", "-f", schedule(tmp_path), database=hot)
    assert hot.execute("SELECT namespace, schedule, job, trigger, left(run_id, 6) FROM trending.run") == [
        ("here", "by-hand", None, "Manual", "local/")
    ]


def test_on_a_terminal_the_steps_are_drawn_live(hot: Database, tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trending", "run", "-f", schedule(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(OPERATOR), "TRENDING_DATABASE_URI": hot.uri, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
    )
    os.close(end)
    drawn = bytearray()
    try:
        while chunk := os.read(terminal, 4096):
            drawn += chunk
    except OSError:
        pass  # how Linux says that the other end of a terminal was closed
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 0
    assert "rewrite own" in drawn.decode()
    assert "Succeeded" in out


def test_migrate_makes_the_ledger_once_and_a_dry_run_only_tells(database: Database, tmp_path: Path) -> None:
    code, out, _ = trending("migrate", "--dry-run", database=database)
    assert code == 0
    assert "CREATE TABLE IF NOT EXISTS trending.run" in out
    assert database.execute("SELECT to_regclass('trending.run')") == [(None,)]
    assert trending("migrate", database=database)[0] == 0
    assert "nothing to do" in trending("migrate", database=database)[1]
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    assert trending("run", "-f", schedule(tmp_path), database=database)[0] == 0


def test_migrate_says_what_is_missing(database: Database) -> None:
    code, _, err = trending("migrate", "--preset", "audius", database=database)
    assert code == 2
    assert err.startswith("Error: ")
    wrong = database.uri.replace(database.name, "nowhere")
    code, _, err = trending("migrate", "--database", wrong)
    assert code == 1
    assert 'database "nowhere" does not exist' in err
    assert database.password not in err
    code, _, err = trending("migrate", "--database", "postgresql://u:sEcR@et@h/d")
    assert code == 2
    assert "sEcR" not in err


def test_freshness_tells_how_old_each_slice_is(hot: Database, tmp_path: Path) -> None:
    assert json.loads(trending("freshness", "-o", "json", database=hot)[1]) == []
    trending("run", "-f", schedule(tmp_path), "--now", "2026-11-23T18:00:00Z", database=hot)
    (row,) = json.loads(trending("freshness", "-o", "json", database=hot)[1])
    assert row.pop("scheduledTime") is None, "a run by hand has no slot"
    assert row == {
        "name": "own",
        "namespace": "here",
        "schedule": "by-hand",
        "table": "public.hot",
        "slice": {},
        "dataTimestamp": "2026-11-23T18:00:00.000000Z",
        "rows": 1,
    }
    # In a pipe each slice is a line, with nothing cut off.
    _, line = trending("freshness", database=hot)[1].splitlines()
    assert "public.hot" in line
    assert row["dataTimestamp"] in line


def test_freshness_without_a_ledger_says_which_command_makes_one(database: Database) -> None:
    code, _, err = trending("freshness", database=database)
    assert code == 2
    assert "run `trending migrate` once" in err


def test_rows_never_come_through_the_runner(hot: Database, tmp_path: Path) -> None:
    """Its memory stays the same, however many rows there are."""
    query = "SELECT g AS id, g AS score FROM generate_series(1, 400000) AS g"
    target = own_target(query=query)
    command = [sys.executable, "-m", "trending", "run", "-f", schedule(tmp_path, rewrite=[target]), "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        env={**os.environ, "PYTHONPATH": str(OPERATOR), "TRENDING_DATABASE_URI": hot.uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) < 100 * 1024
