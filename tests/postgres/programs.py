"""The programs of the version of PostgreSQL that a test's server is of."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.postgres.server import PostgresServer, _as, _system_user


def program(server: PostgresServer, name: str) -> Path:
    """Return the program beside the one that the server runs."""
    options = (server.folder / "data" / "postmaster.opts").read_text()
    return Path(options.split(' "', 1)[0].strip()).with_name(name)


def restart(server: PostgresServer) -> None:
    """Start it again, for settings that it reads only then."""
    command = [str(program(server, "pg_ctl")), "--silent", "--wait", "-D", str(server.folder / "data"), "-m", "fast"]
    command += ["-l", str(server.folder / "log"), "-o", f"-p {server.port}", "restart"]
    subprocess.run(command, check=True, **_as(_system_user()))
