"""What a server says when a run takes too long or too much: told as such, and worth another attempt."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres.runs import ledger, own_target, report_of, run, spec
from tests.postgres.server import SYSTEM_USER, Database
from trending.api.spec import TrendingScheduleSpec

MANY = "SELECT g AS id, repeat('x', 1000) AS text FROM generate_series(1, 100000) AS g"


@pytest.fixture
def hot(database: Database) -> Database:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8, text text)")
    ledger(database)
    return database


def with_settings(query: str, **settings: str) -> TrendingScheduleSpec:
    return spec(rewrite=[own_target(query=query)], database={"settings": settings})


def test_statement_timeout_is_honoured_and_named(hot: Database) -> None:
    wanted = with_settings("SELECT 1 AS id, length(pg_sleep(30)::text) AS score", statement_timeout="500ms")
    report = report_of(run(hot, wanted), exit_code=1)
    assert report.reason == "RunFailed"
    assert "statement_timeout (500ms, spec.database.settings.statement_timeout)" in report.message
    assert "(SQLSTATE 57014)" in report.message
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]


def test_a_statement_timeout_of_the_role_is_named_as_that_of_the_server(hot: Database) -> None:
    hot.execute(f"ALTER ROLE discovery IN DATABASE {hot.name} SET statement_timeout = '500ms'", role="postgres")
    report = report_of(run(hot, with_settings("SELECT 1 AS id, length(pg_sleep(30)::text) AS score")), exit_code=1)
    assert "statement_timeout (the role's, the database's or the server's)" in report.message


def test_temporary_files_over_their_limit_are_told_and_worth_another_attempt(hot: Database) -> None:
    hot.execute(f"ALTER ROLE discovery IN DATABASE {hot.name} SET temp_file_limit = '1MB'", role="postgres")
    sorts = f"SELECT id, text FROM ({MANY}) AS many ORDER BY md5(text || id) OFFSET 1"
    report = report_of(run(hot, with_settings(sorts, work_mem="64kB")), exit_code=1)
    assert re.search("temporary file size exceeds .?temp_file_limit", report.message)
    assert "(SQLSTATE 53400)" in report.message


def test_a_full_disk_is_told_and_worth_another_attempt(hot: Database, small_disk: str) -> None:
    report = report_of(run(hot, with_settings(MANY, temp_tablespaces=small_disk)), exit_code=1)
    assert report.reason == "RunFailed"
    assert "No space left on device" in report.message
    assert "(SQLSTATE 53100)" in report.message
    assert hot.execute("SELECT count(*) FROM hot") == [(0,)]
    assert report_of(run(hot, with_settings(MANY))).steps[0].rows_inserted == 100_000


def test_memory_that_is_not_there_is_told_and_worth_another_attempt(hot: Database) -> None:
    """The server's table of locks is of a fixed size: there is room for some thousands."""
    greedy = "SELECT count(pg_advisory_xact_lock(g)) AS id FROM generate_series(1, 10000000) AS g"
    report = report_of(run(hot, with_settings(greedy)), exit_code=1)
    assert "out of shared memory" in report.message
    assert "(SQLSTATE 53200)" in report.message


@pytest.fixture
def small_disk(hot: Database, tmp_path: Path) -> Iterator[str]:
    """A tablespace of 4 MB on a disk of its own; needs root, as the tests' container has."""
    folder = tmp_path / "disk"
    folder.mkdir()
    name = f"small_{hot.name}"
    for parent in tmp_path.parents:
        if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        place = folder / "space"
        place.mkdir()
        if os.geteuid() == 0:
            subprocess.run(["chown", SYSTEM_USER, str(place)], check=True)
            place.chmod(0o700)
        hot.execute(f"CREATE TABLESPACE {name} OWNER discovery LOCATION '{place}'", role="postgres")
        yield name
        hot.execute(f"DROP TABLESPACE {name}", role="postgres")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
