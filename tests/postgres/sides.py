"""Runs beside the test's own, and a gate at which their queries wait for the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tests.postgres.runs import Heard, report_of, run
from tests.postgres.server import Database
from tests.waiting import SECONDS, until
from trending.api.spec import TrendingScheduleSpec
from trending.report import Report
from trending.runner.ledger import RunIdentity


@contextmanager
def gate(database: Database) -> Iterator[threading.Event]:
    """A lock that a query stops at (`gate()`), until the event is set."""
    database.execute(
        "CREATE FUNCTION gate() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN 1; END $$"
    )
    opened = threading.Event()
    with database.connect() as keeper:
        keeper.execute("SELECT pg_advisory_xact_lock(1)")

        def open_it() -> None:
            opened.wait(SECONDS)
            keeper.rollback()

        opener = threading.Thread(target=open_it)
        opener.start()
        try:
            yield opened
        finally:
            opened.set()
            opener.join()


class Side(threading.Thread):
    """A run beside the test's own."""

    def __init__(
        self,
        database: Database,
        wanted: TrendingScheduleSpec,
        *,
        now: datetime | None = None,
        who: RunIdentity | None = None,
        heard: Heard | None = None,
    ) -> None:
        super().__init__()
        self.heard = heard or Heard()
        self._database, self._wanted, self._now, self._who = database, wanted, now, who
        self.start()

    def run(self) -> None:
        self._outcome = run(self._database, self._wanted, now=self._now, who=self._who, heard=self.heard)

    def report(self, *, exit_code: int = 0) -> Report:
        self.join()
        return report_of(self._outcome, exit_code=exit_code)


def at_the_gate(database: Database, *, runs: int = 1) -> None:
    """Wait until so many queries have come to the gate."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
    until(lambda: database.execute(query) == [(runs,)], what=f"{runs} queries come to the gate", pause=0.05)
