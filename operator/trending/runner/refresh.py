"""Refreshing one materialized view: without blocking its readers where that is possible."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from trending.api.spec import Refresh
from trending.api.status import Step, StepMode
from trending.runner.failure import ConfigurationError, RunError
from trending.runner.patience import AGAINST_ALL, AGAINST_EXCLUSIVE, Patience, holders_of_relation, lock_timeout
from trending.runner.phase import phase
from trending.runner.view import View, look_up_view
from trending.runner.wal import wal_bytes

Connection = psycopg.Connection[Any]
Record = Callable[[Step], None]

_NOT_CONCURRENTLY = (psycopg.errors.FeatureNotSupported, psycopg.errors.ObjectNotInPrerequisiteState)
"""What the server answers where CONCURRENTLY cannot be (0A000, 55000); 55000 also where another view is unpopulated."""


def refresh_view(connection: Connection, refresh: Refresh, *, where: str, patience: Patience, record: Record) -> Step:
    """Refresh the view, and have `record` write the step in the same transaction.

    Auto decides by the catalog. Raises ConfigurationError for a view that is not there, or not fit for the mode;
    RunError where it reads another view that was never populated; psycopg's errors are the refresh's own.
    """
    view = look_up_view(connection, refresh.materialized_view, where=where)
    obstacle = view.obstacle
    if refresh.mode == "Concurrently" and obstacle:
        raise ConfigurationError(
            f"{where}: {refresh.materialized_view} cannot be refreshed CONCURRENTLY, since {obstacle}: "
            f"{view.cure or 'refresh it once by hand'}; or write mode: Auto"
        )
    work = _Refreshing(connection, refresh, where, patience, record)
    if refresh.mode == "Blocking":
        return work.blocking(view, "mode is Blocking", "")
    if obstacle:
        return work.blocking(view, obstacle, view.cure)
    try:
        return work.concurrently(view)
    except _NOT_CONCURRENTLY as error:
        # The view may have changed since we looked; if it has not, it is another one that is meant.
        now = look_up_view(connection, refresh.materialized_view, where=where)
        if now.obstacle is None or refresh.mode == "Concurrently":
            raise _about_another(error, refresh, where) from None
        return work.blocking(now, now.obstacle, now.cure)


class _Refreshing:
    """One refresh under way."""

    def __init__(
        self, connection: Connection, refresh: Refresh, where: str, patience: Patience, record: Record
    ) -> None:
        self._connection = connection
        self._refresh = refresh
        self._where = where
        self._patience = patience
        self._record = record

    def concurrently(self, view: View) -> Step:
        """Refresh it while its readers go on."""
        return self._do(view, "Concurrent", AGAINST_EXCLUSIVE, lambda _: None)

    def blocking(self, view: View, why: str, cure: str) -> Step:
        """Refresh it while its readers wait; the step says for how long, and what ends that."""

        def note(seconds: float) -> str:
            told = f"blocking, since {why}; readers were locked out for {seconds:.1f} s"
            return f"{told}; {cure}" if cure else told

        try:
            return self._do(view, "Blocking", AGAINST_ALL, note)
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            raise _about_another(error, self._refresh, self._where) from None

    def _do(self, view: View, mode: StepMode, in_the_way: tuple[str, ...], note: Callable[[float], str | None]) -> Step:
        begun = time.monotonic()
        option = sql.SQL("CONCURRENTLY ") if mode == "Concurrent" else sql.SQL("")
        statement = sql.SQL("REFRESH MATERIALIZED VIEW {}{}").format(option, view.identifier)

        def attempt(seconds: float) -> Step:
            wal = wal_bytes(self._connection)
            phase("refreshing concurrently" if mode == "Concurrent" else "refreshing, and readers wait")
            with self._connection.transaction():
                self._connection.execute(lock_timeout(seconds))
                locked = time.monotonic()
                self._connection.execute(statement)
                ended = time.monotonic()
                step = Step(
                    name=self._refresh.materialized_view,
                    action="Refresh",
                    mode=mode,
                    seconds=round(ended - begun, 3),
                    wal_bytes=wal_bytes(self._connection) - wal,
                    # Readers queue up behind the lock as soon as it is asked for.
                    note=note(ended - locked),
                )
                self._record(step)
            return step

        return self._patience.until_had(
            f"a lock on {self._refresh.materialized_view}",
            attempt,
            lambda: holders_of_relation(self._connection, view.oid, in_the_way),
        )


def _about_another(error: psycopg.Error, refresh: Refresh, where: str) -> RunError:
    name = refresh.materialized_view
    if isinstance(error, psycopg.errors.ObjectNotInPrerequisiteState):
        sentence = (
            f"{where}: {name} reads another view that was never populated: put that one before it in spec.refresh"
        )
    else:
        sentence = f"{where}: the server does not refresh {name} CONCURRENTLY"
    return RunError(sentence, server=error)
