"""Each page's commands, executed in order on a real PostgreSQL, in a folder of the page's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from documents.blocks import Block, blocks_of, documents
from documents.execution import execute, write_file
from documents.outside import ROOT
from tests.postgres.programs import program
from tests.postgres.runs import ledger
from tests.postgres.server import ADMIN, OWNER, Database

ALL = {path: blocks_of(path) for path in documents()}
PAGES = {path: blocks for path, blocks in ALL.items() if any(block.is_for_us for block in blocks)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader has: the repository's manifests, a schedule, and what the cluster said of its Jobs."""
    for name in ("manifests", "demo", "charts"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("hourly.yaml", "schedule.yaml"):
        (tmp_path / name).write_text((ROOT / "manifests/examples/audius-hourly.yaml").read_text(encoding="utf-8"))
    (tmp_path / "jobs.json").write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
    return tmp_path


def environment(database: Database, folder: Path) -> dict[str, str]:
    """A shell's, with our programs and psql, and without the server's password on the command line."""
    path = [str(Path(sys.executable).parent), str(program(database.server, "psql").parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "TRENDING_DATABASE_URI": database.uri,
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_and_print_what_it_shows(
    page: str, audius_populated: Database, folder: Path
) -> None:
    ledger(audius_populated)
    for block in PAGES[page]:
        write_file(block, folder)
        if block.is_for_us:
            run(block, audius_populated, folder)


def run(block: Block, database: Database, folder: Path) -> None:
    if block.language == "sql":
        role = ADMIN if block.directive == ("run as", "superuser") else OWNER
        try:
            database.execute(block.text, role=role)
        except Exception as error:
            raise AssertionError(f"{block.where}: {error}\n{block.text}") from error
    else:
        execute(block, folder, environment(database, folder), uri=database.uri)
