"""The run's connections: how they are opened and set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trending.runner.access import Access
from trending.runner.failure import ConfigurationError, UnreachableError, doing
from trending.runner.stop import Stop

Connection = psycopg.Connection[Any]

_CONNECT_TIMEOUT: Final = "10"
_CONNECT_PAUSES: Final = (0.5, 2.0)
"""Seconds between attempts to connect. Few: beyond a hiccup the Job's own retries, with their backoff, are better."""

_CLIENT_SIDE: Final = {
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""So that the runner notices within 30 s that its server is gone (libpq's parameters)."""

_SERVER_SIDE: Final = {
    # So that the server notices within 30 s that its runner is gone, and rolls back, and frees the locks.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
    "client_connection_check_interval": "10s",
    # One connection waits while the other works, within a transaction too, or for somebody else's lock.
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

ENCODING: Final = "UTF8"
"""The client's encoding. By default it is the database's, in which not all can be told (LATIN1), or nothing is text but
bytes (SQL_ASCII)."""

AS_WRITTEN: Final = {
    "TimeZone": "UTC",
    # Only how values are written: the order of day and month when they are read stays the user's.
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
}
"""How values and names are written, for all sessions alike: canonical slices, their locks and their rows in the ledger
are made of these texts."""

_FIXED: Final = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    **AS_WRITTEN,
    "client_encoding": ENCODING,
    # The scanner for `:now` reads quotes by the standard.
    "standard_conforming_strings": "on",
}
"""What transactions, canonical slices and the reading of queries rest on; set after the user's settings."""

_OF_THE_WATCH: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5s",
    "lock_timeout": "1s",
}
"""It looks at views of the server's own, for people to see."""

_OF_THE_LOCK_SESSION: Final = {"idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
"""It does nothing for as long as the targets take, inside a transaction."""


class Sessions:
    """Opens connections, all set up alike."""

    def __init__(self, access: Access, *, schedule: str, settings: dict[str, str], stop: Stop) -> None:
        """`settings` are those of spec.database.settings."""
        self.access = access
        self._settings = settings
        self._stop = stop
        defaults = {"connect_timeout": _CONNECT_TIMEOUT, **_CLIENT_SIDE}
        own = {"application_name": f"trending/{schedule}", "client_encoding": ENCODING}
        self._conninfo = make_conninfo(**{**defaults, **access.parameters, **own})
        self.when_refused: Callable[[], None] = _nothing
        """Called before another attempt to connect: who holds a connection that the run can do without lets it go."""

    @property
    def limit_of_statements(self) -> str:
        """Say where the time limit of statements comes from, for whoever has met it."""
        for name, value in self._settings.items():
            if name.lower() == "statement_timeout":
                return f"their limit is statement_timeout ({value}, spec.database.settings.statement_timeout)"
        return (
            "their limit, if it was that, is statement_timeout (the role's, the database's or the server's): "
            "spec.database.settings.statement_timeout is for a longer one"
        )

    def open_for_work(self) -> Connection:
        """Open a connection that refreshes and rewrites. Raises UnreachableError and ConfigurationError."""
        return self._open(_SERVER_SIDE)

    def open_for_locks(self) -> Connection:
        """Open the connection that holds locks while others work. Raises UnreachableError and ConfigurationError."""
        connection = self._open(_SERVER_SIDE, _OF_THE_LOCK_SESSION)
        if connection.info.server_version >= 170000:
            connection.execute("SET transaction_timeout = 0")
        return connection

    def open_to_watch(self) -> Connection:
        """Open the connection that only looks how far the others are. Raises psycopg.Error at the first refusal."""
        name = f"{conninfo_to_dict(self._conninfo)['application_name']}/progress"
        connection = psycopg.connect(
            make_conninfo(self._conninfo, application_name=name), autocommit=True, prepare_threshold=None
        )
        try:
            self._set_all(connection, _SERVER_SIDE | _OF_THE_WATCH)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, defaults: dict[str, str], fixed: dict[str, str] | None = None) -> Connection:
        connection = self._connect()
        try:
            self._set_all(connection, defaults)
            for name, value in self._settings.items():
                self._set_users(connection, name, value)
            self._set_all(connection, _FIXED | (fixed or {}))
        except BaseException:
            connection.close()
            raise
        self._stop.covers(connection)
        return connection

    def _connect(self) -> Connection:
        for pause in (*_CONNECT_PAUSES, None):
            self._stop.check()
            try:
                # Prepared statements would outlive their session where a pooler hands it on.
                return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.Error as error:
                if pause is None:
                    raise self._no_connection(error) from None
                self.when_refused()
                self._stop.wait(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _no_connection(self, error: psycopg.Error) -> UnreachableError:
        said = self.access.redactor.driver_text(error)
        return UnreachableError(
            f"cannot connect to {self.access.place} as user {self.access.parameters.get('user', '?')} "
            f"({self.access.origin}): {said}"
        )

    def _set_all(self, connection: Connection, settings: dict[str, str]) -> None:
        calls = sql.SQL(", ").join(sql.SQL("set_config(%s, %s, false)") for _ in settings)
        values = [text for setting in settings.items() for text in setting]
        with doing("setting up the session"):
            connection.execute(sql.SQL("SELECT {}").format(calls), values)

    def _set_users(self, connection: Connection, name: str, value: str) -> None:
        where = f"spec.database.settings.{name}"
        try:
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            raise ConfigurationError(where, server=error) from None


def _nothing() -> None:
    """Let nothing go: there is nobody who could."""
