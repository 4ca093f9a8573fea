"""A runner whose node vanishes: to be run in a network of its own, whose packets are dropped at the worst moment.

    unshare --net python -m tests.postgres.vanished_node

Prints one JSON object: after how many seconds the server had let go of the runner's sessions and locks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.postgres.runs import Pod, ledger, own_target, spec_dict
from tests.postgres.server import Database, running_server

LONGEST = 90.0
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'trending/%'"
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
LEFT = """
    SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
        (SELECT count(*) FROM pg_class WHERE relname LIKE 'trending_stage%'), (SELECT count(*) FROM hot)
"""


def main() -> None:
    """Have a run begin over TCP, cut the network, and look over the server's socket how long its sessions stay."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with running_server() as server, server.database() as database, tempfile.TemporaryDirectory() as folder:
        database.execute("CREATE TABLE hot (id int PRIMARY KEY, score float8)")
        ledger(database)
        slow = "SELECT 1 AS id, length(pg_sleep(300)::text) AS score"
        pod = Pod.prepare(Path(folder), spec_dict(rewrite=[own_target(query=slow)]), uri=database.uri, seconds=600)
        process = pod.start()
        try:
            _until(database, AT_WORK, 1, longest=60)
            before = _count(database, SESSIONS)
            subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
            begun = time.monotonic()
            _until(database, SESSIONS, 0, longest=LONGEST)
            seconds = time.monotonic() - begun
        finally:
            process.kill()
            process.communicate()
        locks, stages, rows = database.execute(LEFT, role="postgres")[0]
        json.dump({"sessions": before, "seconds": seconds, "locks": locks, "stages": stages, "rows": rows}, sys.stdout)


def _until(database: Database, query: str, wanted: int, *, longest: float) -> None:
    """The server has no event for the end of a session: ask again and again."""
    latest = time.monotonic() + longest
    while _count(database, query) != wanted:
        if time.monotonic() > latest:
            raise TimeoutError(f"not within {longest:.0f} s: {query}")
        time.sleep(0.2)


def _count(database: Database, query: str) -> int:
    return int(database.execute(query, role="postgres")[0][0])


if __name__ == "__main__":
    main()
