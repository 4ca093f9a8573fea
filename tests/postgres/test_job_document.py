"""`trending plan` and `trending migrate` as a Job's pod calls them: with the document and the secrets of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.postgres.runs import Pod, ledger, own_target, spec_dict, start
from tests.postgres.server import Database
from trending.cli.plan_view import print_plan
from trending.runner.planned import RunPlan

WANTED = spec_dict(rewrite=[own_target(query="SELECT 1 AS id, 0.5 AS score")])


def called(folder: Path, database: Database | None, command: str, *arguments: str) -> tuple[int, str, str]:
    pod = Pod.prepare(folder, WANTED, uri=database.uri if database else None)
    process = start(command, "--document", str(pod.folder / "run.json"), *arguments)
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def test_a_plan_is_one_line_that_is_read_back_whole(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
    ledger(database)
    code, out, err = called(tmp_path, database, "plan", "-o", "json")
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    told: dict[str, Any] = json.loads(line)
    plan = RunPlan.from_json_object(told)
    assert plan.to_json_object() == told
    assert plan.rewrite[0].rows_inserted == 1
    assert plan.preflight[0].sentence == "the controller would accept it"
    print_plan(plan)


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, out, _ = called(tmp_path, None, "plan", "-o", "json")
    assert code == 2
    (finding,) = RunPlan.from_json_object(json.loads(out)).preflight
    assert "Secret discovery-db with key uri does not exist" in finding.sentence
    code, out, err = called(tmp_path, None, "migrate")
    assert (code, out) == (2, "")
    assert "Secret discovery-db with key uri does not exist" in err


def test_a_migration_makes_the_ledger_and_says_what_it_did(database: Database, tmp_path: Path) -> None:
    code, out, err = called(tmp_path, database, "migrate", "--dry-run", "-o", "json")
    dry = json.loads(out)
    assert (code, dry["dryRun"]) == (0, True)
    assert any(statement.startswith("CREATE SCHEMA") for statement in dry["statements"])
    assert database.password not in out + err
    code, out, _ = called(tmp_path, database, "migrate")
    assert code == 0
    assert "making the schema trending" in out
    assert database.execute("SELECT count(*) FROM trending.run") == [(0,)]
    assert json.loads(called(tmp_path, database, "migrate", "-o", "json")[1])["statements"] == []
