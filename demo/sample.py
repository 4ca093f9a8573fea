"""Sample data of the Audius shape, and the table of the own-query example, made inside the server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from demo.errors import DemoError
from demo.postgres import DATABASE, POD, Postgres
from trending.presets.sample import sample_statements

OWN_TABLE: Final = Path(__file__).with_name("genre_scores.sql")
TRACKS: Final = 20_000
PLAYS: Final = 1_000_000
STEPS: Final = ("users", "aggregate_user", "tracks", "plays", "aggregate_plays", "reposts", "saves", "aggregate_track")
"""The tables that take a while, in the order in which the sample's SQL fills them."""

Tell = Callable[[str], None]


def load_sample(
    postgres: Postgres,
    *,
    tracks: int = TRACKS,
    plays: int = PLAYS,
    database: str = DATABASE,
    tell: Tell = lambda _: None,
) -> bool:
    """Load schema and data in one transaction, all or nothing; returns False where they are there already.

    `tell` receives the name of each table when its turn comes. Raises DemoError.
    """
    if _is_loaded(postgres, database):
        return False
    _feed(postgres, _script(sample_statements(tracks=tracks, plays=plays)), database=database, tell=tell)
    return True


def create_own_table(postgres: Postgres, *, database: str = DATABASE) -> None:
    """Create the table that manifests/examples/own-query.yaml rewrites, where it is missing."""
    postgres.psql(OWN_TABLE.read_text(encoding="utf-8"), database=database)


def count_rows(postgres: Postgres, *, database: str = DATABASE) -> dict[str, int]:
    """Return how many tracks and plays there are."""
    tracks, plays = postgres.psql(
        "SELECT (SELECT count(DISTINCT track_id) FROM tracks), (SELECT count(*) FROM plays)", database=database
    ).split()
    return {"tracks": int(tracks), "plays": int(plays)}


def _is_loaded(postgres: Postgres, database: str) -> bool:
    return postgres.psql("SELECT to_regclass('plays') IS NOT NULL", database=database).strip() == "t"


def _script(statements: list[str]) -> str:
    """Return one transaction for psql, which says what it fills.

    A psql that loses us has either all of its input, and goes on, or meets its end before COMMIT, and the server rolls
    back. The advisory lock has the next one wait for that.
    """
    data = re.sub(r"^INSERT INTO (\w+)", r"\\echo filling \1\n\g<0>", "\n;\n".join(statements), flags=re.MULTILINE)
    return (
        "BEGIN;\n"
        "SELECT pg_advisory_xact_lock(hashtext('sample')) \\g /dev/null\n"
        "SELECT to_regclass('plays') IS NOT NULL AS loaded \\gset\n"
        "\\if :loaded\n\\quit\n\\endif\n"
        f"{data};\n"
        "COMMIT;\n"
        "VACUUM (ANALYZE) plays, tracks, reposts, saves;\n"
    )


def _feed(postgres: Postgres, script: str, *, database: str, tell: Tell) -> None:
    """Hand a script to psql and pass its `filling` lines on while it works."""
    arguments = postgres.psql_arguments(database=database)
    with subprocess.Popen(
        ["kubectl", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=postgres.kubectl.environment(),
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        process.stdin.write(script)
        process.stdin.close()
        said = ""
        for line in process.stdout:
            said = line.strip() or said
            if line.startswith("filling "):
                tell(line.split()[1])
    if process.returncode:
        look = f"kubectl -n {postgres.namespace} logs {POD}"
        raise DemoError(f"The sample data could not be loaded: {said}", look=look)
