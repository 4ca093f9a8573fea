"""Databases of the server in the cluster, each a copy of one that is loaded once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from demo.postgres import ADMINISTRATOR, OWNER, Postgres, build_uri
from demo.sample import load_sample
from tests.e2e.schedules import GATE
from tests.waiting import until
from trending.runner.migrate import migrate

Connection = psycopg.Connection[Any]

TEMPLATE: Final = "e2e_template"
TRACKS, PLAYS = 2_000, 50_000
RANKING: Final = """
    CREATE TABLE ranking (
        board text, item text, score float8 NOT NULL, computed_at timestamptz, PRIMARY KEY (board, item)
    )
"""
_number = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server, with a forwarded port of this machine and the password of the owner of all databases."""

    postgres: Postgres
    password: str = field(repr=False)
    port: int

    def make_template(self) -> None:
        """Make the database that all others are copies of: sample data, views unpopulated, ledger, table `ranking`."""
        self.postgres.drop_database(TEMPLATE)
        self.postgres.create_database(TEMPLATE)
        load_sample(self.postgres, tracks=TRACKS, plays=PLAYS, database=TEMPLATE)
        with Database(server=self, name=TEMPLATE).connect() as connection:
            migrate(connection, say=lambda _: None)
            connection.execute(RANKING)

    def copy(self) -> Database:
        """Return a new copy of the template; it goes with the server."""
        name = f"e2e_{os.getpid()}_{next(_number)}"
        self.administrate(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}")
        return Database(server=self, name=name)

    def administrate(self, sql: str) -> str:
        """Run SQL as the administrator; return its rows, tab between columns."""
        return self.postgres.psql(sql, database="postgres", role=ADMINISTRATOR)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of the server."""

    server: Server
    name: str

    @property
    def uri(self) -> str:
        """The URI as pods of the cluster reach it; it holds the password."""
        return build_uri(self.server.password, host=self.server.postgres.host, database=self.name)

    def connect(self, **parameters: Any) -> AbstractContextManager[Connection]:
        """Connect as the owner from this machine, in autocommit mode; closed at the end of the block."""
        uri = build_uri(self.server.password, host="127.0.0.1", port=self.server.port, database=self.name)
        return _closing(psycopg.connect(uri, autocommit=True, **parameters))

    def rows(self, query: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return what a query gives, as the owner."""
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def value(self, query: LiteralString, *parameters: Any) -> Any:
        """Return the one value that a query gives, as the owner."""
        ((value,),) = self.rows(query, *parameters)
        return value

    def execute(self, statement: LiteralString, *parameters: Any) -> None:
        """Run a statement as the owner."""
        with self.connect() as connection:
            connection.execute(statement, parameters)

    @contextmanager
    def gate(self, key: int = GATE) -> Iterator[Callable[[], None]]:
        """Have gated queries wait until the block ends, or until what it gives is called."""
        with self.connect() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [key])
            yield connection.close

    def until_waiting_at_gate(self, key: int = GATE) -> None:
        """Wait until a run stands before the gate."""
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        what = f"a run's query stands before the gate {key} of {self.name}"
        with self.connect() as connection:
            until(lambda: connection.execute(query, [key]).fetchone() != (0,), what=what)


@contextmanager
def _closing(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    finally:
        connection.close()
