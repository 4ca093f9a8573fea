"""A real PostgreSQL for the tests, 15 or 18, in a temporary folder, as a user of its own, gone afterwards.

15 is Debian's, 18 is a wheel's, which was built without TLS.

A small shell, the guard, starts the server and waits on a pipe that only this process holds open. When the pipe closes,
because the tests ended, failed, were interrupted or were killed, the guard stops the server and removes its folder.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.postgres.certificates import make_certificates
from trending.embedded.binaries import find_binaries, within_reach

BINARIES = Path("/usr/lib/postgresql/15/bin")  # Debian's: its server, and its psql for servers of any version
VERSIONS = (15, 18)
WITH_TLS = 15  # the version that was built with it
SYSTEM_USER = "trending-test"  # used when the tests run as root, which initdb refuses
ADMIN = "postgres"  # superuser
OWNER = "discovery"  # plain role that owns every test database, as an application's role does
CERTIFIED = "discovery-certified"  # plain role that gets in by its client certificate only

_GUARD = """
binaries=$1 folder=$2 port=$3
"$binaries/pg_ctl" --silent --wait -D "$folder/data" -l "$folder/log" -o "-p $port" start || exit 1
echo ready
cat > /dev/null
"$binaries/pg_ctl" --silent -D "$folder/data" -m immediate stop
rm -rf "$folder"
"""

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
max_connections = 60
shared_buffers = 128MB
fsync = off
synchronous_commit = off
full_page_writes = off
log_lock_waits = on
deadlock_timeout = 100ms
log_line_prefix = '%m [%p] db=%d user=%u app=%a '
log_statement = none
# Nobody may rely on the server's zone: a session that forgets to set its own is caught here.
timezone = 'America/Los_Angeles'
log_timezone = UTC
"""

_TLS_SETTINGS = """
ssl = on
ssl_ca_file = '{folder}/tls/ca.crt'
ssl_cert_file = '{folder}/tls/server.crt'
ssl_key_file = '{folder}/tls/server.key'
"""

_ACCESS = """
local all all trust
host all discovery-certified 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""

_TLS_ACCESS = """
hostssl all discovery-certified 127.0.0.1/32 cert
"""


@dataclass(frozen=True)
class PostgresServer:
    """A running server. Its socket's folder is closed to other users; TCP asks for passwords (scram), TLS or not."""

    version: int  # major
    folder: Path
    port: int
    # Characters that must be escaped in a URI, so that nobody's code gets by without.
    passwords: dict[str, str] = field(repr=False)

    @property
    def certificates(self) -> Path:
        """The folder of ca.crt, by which the server shows who it is, other-ca.crt, client.crt and client.key.

        Only of a server of version WITH_TLS.
        """
        if self.version != WITH_TLS:
            raise LookupError(
                f"PostgreSQL {self.version} was built without TLS: ask for the fixture database_with_tls."
            )
        return self.folder / "tls"

    def uri(self, database: str, *, role: str = OWNER) -> str:
        """The TCP connection URI of a database, password included."""
        return f"postgresql://{role}:{quote(self.passwords[role], safe='')}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str, *, role: str = ADMIN, autocommit: bool = True) -> psycopg.Connection[Any]:
        """Connect over the socket, where every role is trusted, with TimeZone=UTC as the runner's sessions have it."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            dbname=database,
            user=role,
            options="-c TimeZone=UTC",
            application_name="tests",
            autocommit=autocommit,
        )

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[Database]:
        """Make a database owned by OWNER as a copy of `template`; drop it afterwards, whoever is connected."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER)
                )
            )
        try:
            yield Database(server=self, name=name)
        finally:
            with self.connect("postgres") as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def template(self, build: Callable[[Database], None]) -> Iterator[str]:
        """Make a database with `build` and yield its name, for `database(template=...)`."""
        with self.database() as database:
            build(database)
            yield database.name


@dataclass(frozen=True)
class Database:
    """One database of the test server, owned by the plain role OWNER."""

    server: PostgresServer
    name: str

    @property
    def uri(self) -> str:
        """The TCP URI with the password of the owner, no superuser."""
        return self.server.uri(self.name)

    @property
    def password(self) -> str:
        """The owner's password as it is, not percent-encoded."""
        return self.server.passwords[OWNER]

    def connect(self, *, role: str = OWNER, autocommit: bool = False) -> psycopg.Connection[Any]:
        """Connect over the socket; `role=ADMIN` for the superuser."""
        return self.server.connect(self.name, role=role, autocommit=autocommit)

    def execute(
        self, query: str | sql.SQL | sql.Composed, params: Any = None, *, role: str = OWNER
    ) -> list[tuple[Any, ...]]:
        """Run a query, or several without parameters, each on its own (autocommit); the last one's rows."""
        with self.connect(role=role, autocommit=True) as connection:
            cursor = connection.execute(query, params)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """What the server has logged about this database's sessions so far."""
        text = (self.server.folder / "log").read_text(errors="replace")
        entries = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[)", text, flags=re.MULTILINE)
        return "".join(entry for entry in entries if f" db={self.name} " in entry.split("\n", 1)[0])


@contextmanager
def running_server(version: int = VERSIONS[0]) -> Iterator[PostgresServer]:
    """Start a server of its own for the caller, and stop and remove it at the end, however that comes.

    `version` is one of VERSIONS.
    """
    user = _system_user()
    folder = Path(tempfile.mkdtemp(prefix="trending-postgres-"))
    try:
        _hand_over(folder, user)
        if not (BINARIES / "initdb").exists():
            _install()
        binaries = BINARIES if version == 15 else within_reach(find_binaries(), user, folder / "binaries")
        if version == WITH_TLS:
            make_certificates(folder / "tls", client=CERTIFIED)
            _hand_over(folder / "tls", user)
            _hand_over(folder / "tls" / "server.key", user)
        passwords = {role: f"p@ss/{secrets.token_hex(8)}%" for role in (ADMIN, OWNER)}
        _initialise(binaries, folder, user, passwords[ADMIN], with_tls=version == WITH_TLS)
        guard, port = _start(binaries, folder, user)
        try:
            server = PostgresServer(version=version, folder=folder, port=port, passwords=passwords)
            _create_roles(server)
            yield server
        finally:
            guard.communicate(timeout=60)  # closes the pipe: the guard stops the server and removes the folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(path: Path, user: pwd.struct_passwd | None) -> None:
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _install() -> None:
    """Install Debian's PostgreSQL 15 without the cluster that its package would start."""
    sentence = f"PostgreSQL 15 is not at {BINARIES}: install Debian's package postgresql-15."
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(sentence)
    with Path(tempfile.gettempdir(), "trending-postgres-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes come here together
        if (BINARIES / "initdb").exists():
            return
        settings = Path("/etc/postgresql-common/createcluster.conf")
        if not settings.exists():
            settings.parent.mkdir(parents=True, exist_ok=True)
            settings.write_text("create_main_cluster = false\n")
        command = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["apt-get", "update"], [*command, "postgresql-15"]):
            done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{sentence} `{' '.join(step)}` failed: {done.stderr.strip()}")


def _system_user() -> pwd.struct_passwd | None:
    """The user to run the server as: ourselves (None) unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 9):  # 9: a parallel test process was faster
            raise RuntimeError(f"Cannot create the system user {SYSTEM_USER}: {done.stderr.strip()}") from None
        return pwd.getpwnam(SYSTEM_USER)


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Popen arguments to run as `user`, in English and UTC, without our own libpq settings."""
    arguments: dict[str, Any] = {"env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}, "cwd": "/"}
    if user is not None:
        arguments |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return arguments


def _initialise(binaries: Path, folder: Path, user: pwd.struct_passwd | None, password: str, *, with_tls: bool) -> None:
    data, password_file = folder / "data", folder / "password"
    password_file.write_text(password)
    _hand_over(password_file, user)
    command = [
        *(str(binaries / "initdb"), "-D", str(data), "-U", ADMIN, "--pwfile", str(password_file)),
        *("--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
    password_file.unlink()
    (data / "pg_hba.conf").write_text((_TLS_ACCESS if with_tls else "") + _ACCESS)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write((_SETTINGS + (_TLS_SETTINGS if with_tls else "")).format(folder=folder))


def _start(binaries: Path, folder: Path, user: pwd.struct_passwd | None) -> tuple[subprocess.Popen[str], int]:
    """Start the guard and wait for its word that the server answers; another port where one was taken meanwhile."""
    for _ in range(3):
        port = _free_port()
        guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(binaries), str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which then close the pipe
            **_as(user),
        )
        if guard.stdout is not None and guard.stdout.readline() == "ready\n":
            return guard, port
        guard.communicate()
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _create_roles(server: PostgresServer) -> None:
    with server.connect("postgres") as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(OWNER), server.passwords[OWNER])
        )
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(CERTIFIED)))
