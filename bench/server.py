"""A PostgreSQL for benches: set up as one for production is, durable, and with memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg import sql

from tests.postgres.server import ADMIN, Database, PostgresServer, running_server

SETTINGS: Final = {
    "shared_buffers": "3GB",
    "maintenance_work_mem": "512MB",
    "effective_cache_size": "12GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "wal_compression": "lz4",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "random_page_cost": "1.1",
}


@contextmanager
def bench_server(**settings: str) -> Iterator[PostgresServer]:
    """Start a server of our own with SETTINGS and these; it is gone afterwards."""
    with running_server() as server:
        with server.connect("postgres") as connection:
            for name, value in {**SETTINGS, **settings}.items():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            binaries = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
        if binaries is None:
            raise AssertionError("a server knows where it is")
        _restart(server, str(binaries[0]))
        yield server


@contextmanager
def bench_database(**settings: str) -> Iterator[Database]:
    """Start a server of our own with an empty database."""
    with bench_server(**settings) as server, server.database() as database:
        yield database


def admin_uri(database: Database) -> str:
    """Return the superuser's URI: CHECKPOINT and pg_walinspect are for such."""
    return database.server.uri(database.name, role=ADMIN)


def _restart(server: PostgresServer, binaries: str) -> None:
    """Restart as the user that the server runs as, which is not root."""
    data = server.folder / "data"
    owner = data.stat()
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    command = [f"{binaries}/pg_ctl", "--silent", "--wait", "-D", str(data), "-l", str(server.folder / "log"), "restart"]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    subprocess.run(command, check=True, cwd="/", env=environment, **identity)
