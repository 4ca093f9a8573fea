"""A PostgreSQL server of one's own in a folder: started, used and, unless it is to be kept, gone without a trace.

A small shell, the guard, makes and starts the server and waits on a pipe that only this process holds open. When the
pipe closes, because this process ended, was interrupted or was killed, the guard stops the server and removes what it
made. The server listens on a Unix socket in the folder alone, and only the folder's owner may enter that: there is no
port that could be taken, and no password that could be seen.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from trending.embedded.binaries import EmbeddedError, find_binaries, within_reach

ROLE: Final = "trending"
"""The superuser, and the name of the database."""
_SYSTEM_USER: Final = "nobody"
"""Who runs the server when root asks for one, which PostgreSQL refuses; every system has it."""
_PORT: Final = 5432
"""A part of the socket's name, nothing else."""
_LONGEST_SOCKET: Final = 107 - len(f"/.s.PGSQL.{_PORT}")
"""Bytes that the path of a socket's folder may have."""

_GUARD: Final = """
binaries=$1 folder=$2 options=$3
clean() { rm -rf "$folder/data" "$folder/log" "$folder/binaries"; rmdir "$folder" 2>/dev/null; exit "$1"; }
say() { (trap '' PIPE; echo "$1") 2>/dev/null; }
"$binaries/initdb" -D "$folder/data" -U trending --auth=trust --encoding=UTF8 --no-sync --no-instructions \
    --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 > "$folder/log" 2>&1 &&
"$binaries/pg_ctl" --silent --wait -D "$folder/data" -l "$folder/log" -o "$options" start >> "$folder/log" 2>&1 || {
    say failed
    read -r word
    clean 1
}
say ready
read -r word
[ "$word" = keep ] && exit 0
"$binaries/pg_ctl" --silent -D "$folder/data" -m immediate stop > /dev/null 2>&1
clean 0
"""

_STOP: Final = "stop"
_STOP_SCRIPT: Final = """\
# Stops the server of this folder and removes the folder.
cd "$(dirname "$0")" || exit
kill -INT "$(head -n 1 data/postmaster.pid)" || rm -f data/postmaster.pid
while [ -e data/postmaster.pid ]; do sleep 0.1; done
rm -rf "$PWD"
"""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server with an empty database, both this process's own."""

    folder: Path
    binaries: Path

    @property
    def uri(self) -> str:
        """What opens the database, for psql too."""
        return f"postgresql://{ROLE}@/{ROLE}?host={quote(str(self.folder), safe='/')}&port={_PORT}"

    @property
    def how_to_go_on(self) -> list[str]:
        """Commands for a shell, of a server that is kept: what opens the database, what stops the server for good."""
        psql = "psql" if shutil.which("psql") else shlex.quote(str(self.binaries / "psql"))
        return [f"{psql} {shlex.quote(self.uri)}", f"sh {shlex.quote(str(self.folder / _STOP))}"]

    def run_file(self, file: Path) -> None:
        """Run a file of SQL as psql does, with its backslash commands and COPY .. FROM STDIN, up to its first error.

        Raises EmbeddedError with what psql says.
        """
        command = [
            *(str(self.binaries / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            *(f"--dbname={self.uri}", f"--file={file}"),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"{file} could not be run: {done.stderr.strip()[-2000:]}")


@contextmanager
def embedded_server(keep: Path | None = None) -> Iterator[EmbeddedServer]:
    """Start a server in a temporary folder, or in `keep`, where it goes on when the block ends without an exception.

    Raises EmbeddedError where there is no server to start, `keep` is no folder for it, or it does not start.
    """
    binaries = find_binaries()
    folder, is_new = _folder(keep)
    try:
        user = _system_user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = EmbeddedServer(folder, within_reach(binaries, user, folder / "binaries"))
        guard = _start(server, user, is_kept=keep is not None)
        try:
            yield server
            if keep is not None:
                (folder / _STOP).write_text(_STOP_SCRIPT)
        except BaseException:
            guard.communicate(timeout=60)  # closes the pipe
            raise
        guard.communicate("keep\n" if keep else "", timeout=60)
    except BaseException:
        _remove(folder, whole=is_new)
        raise
    if keep is None:
        _remove(folder, whole=is_new)


def _folder(keep: Path | None) -> tuple[Path, bool]:
    """Return the folder to work in, and whether it was made for that."""
    if keep is None:
        # The path of a socket is short; that of the preferred temporary folder need not be.
        preferred = tempfile.gettempdir()
        place = preferred if len(os.fsencode(preferred)) < _LONGEST_SOCKET - 30 else "/tmp"  # noqa: S108 (mkdtemp's name is safe)
        return Path(tempfile.mkdtemp(prefix="trending-", dir=place)), True
    folder = keep.absolute()
    if len(os.fsencode(folder)) > _LONGEST_SOCKET:
        raise EmbeddedError(f"{folder} is too long for a socket's path: choose one of {_LONGEST_SOCKET} bytes at most")
    if "," in str(folder):
        raise EmbeddedError(
            f"{folder} has a comma in it, which connection URIs read as the end of a host: choose another"
        )
    is_new = not folder.exists()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise EmbeddedError(f"{folder} is not empty: choose a new folder")
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(f"{folder} cannot be used: {error.strerror}") from None
    return folder, is_new


def _remove(folder: Path, *, whole: bool) -> None:
    """Remove what the guard has left: a folder that only we may remove, and everything where the guard was killed."""
    for each in folder.iterdir() if folder.exists() else ():
        shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)
    if whole:
        shutil.rmtree(folder, ignore_errors=True)


def _system_user() -> pwd.struct_passwd | None:
    """Return who is to run the server: ourselves (None) unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and there is no user {_SYSTEM_USER} to run it as: use another user"
        ) from None


def _start(server: EmbeddedServer, user: pwd.struct_passwd | None, *, is_kept: bool) -> subprocess.Popen[str]:
    """Start the guard and wait for its word that the server answers."""
    arguments: dict[str, Any] = {}
    if user is not None:
        arguments = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    guard = subprocess.Popen(
        [
            "sh",
            "-c",
            _GUARD,
            "guard",
            str(server.binaries),
            str(server.folder),
            _options(server.folder, is_kept=is_kept),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us, who then close the pipe
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        cwd="/",
        **arguments,
    )
    try:
        if guard.stdout is not None and guard.stdout.readline() == "ready\n":
            _create_database(server)
            return guard
        log = server.folder / "log"
        said = log.read_text(errors="replace").strip()[-1000:] if log.exists() else "its folder cannot be written"
    except BaseException:
        guard.communicate(timeout=60)
        raise
    guard.communicate(timeout=60)
    as_whom = f" (it runs as user {user.pw_name}, who must be able to reach it)" if user is not None else ""
    raise EmbeddedError(f"PostgreSQL did not start in {server.folder}{as_whom}: {said}")


def _options(folder: Path, *, is_kept: bool) -> str:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(folder).replace('"', '""') + '"',
        "port": str(_PORT),
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
        # Who keeps the data wants them to outlive a power cut; nobody else does.
        "fsync": "on" if is_kept else "off",
        "synchronous_commit": "off",
    }
    return " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())


def _create_database(server: EmbeddedServer) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server.uri, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(ROLE)))
