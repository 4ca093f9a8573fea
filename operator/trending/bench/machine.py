"""What the figures were measured on, and how much CPU time a backend of a server on this machine has used."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

Connection = psycopg.Connection[Any]

_SETTINGS: Final = (
    "shared_buffers",
    "effective_cache_size",
    "maintenance_work_mem",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_level",
    "wal_compression",
    "full_page_writes",
    "fsync",
    "synchronous_commit",
    "data_checksums",
    "autovacuum",
)
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The server, and this machine, which the server may run on."""

    server: str
    settings: dict[str, str]
    """The server's own, without what a run sets for its session."""
    is_local: bool
    """Whether the server's processes can be seen from here: then CPU time can be told, and the rest is the server's."""
    cores: int
    memory_gib: float
    system: str
    load_average: float
    """Of the last minute, before the bench began."""

    def to_json(self) -> dict[str, Any]:
        """Return it for the JSON report."""
        return asdict(self)


def look_around(connection: Connection) -> Machine:
    """Find out where we are."""
    version = connection.execute("SELECT version()").fetchone()
    settings = connection.execute(
        "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name", [list(_SETTINGS)]
    ).fetchall()
    return Machine(
        server=version[0] if version else "",
        settings=dict(settings),
        is_local=sees_backends(connection),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        load_average=round(os.getloadavg()[0], 2),
    )


def sees_backends(connection: Connection) -> bool:
    """Tell whether the connection's backend is a process that can be seen here, and not one of the same number.

    The process numbers of another machine or container mean something else here: the time that the process was
    started tells them apart.
    """
    row = connection.execute(
        "SELECT extract(epoch FROM backend_start)::float8 FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    ).fetchone()
    started = _started(connection.info.backend_pid)
    return row is not None and row[0] is not None and started is not None and abs(row[0] - started) < 2


def cpu_seconds(pid: int) -> float | None:
    """Return the user and system time of a process so far, in steps of 10 ms; None where it has ended."""
    fields = _fields(pid)
    return None if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS


def _started(pid: int) -> float | None:
    """Return when a process began, in seconds since the epoch."""
    fields = _fields(pid)
    if fields is None:
        return None
    lines = (_PROC / "stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return booted + int(fields[19]) / _TICKS


def _fields(pid: int) -> list[str] | None:
    """Return /proc/PID/stat from the third field on: the second, the program's name, may hold anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
