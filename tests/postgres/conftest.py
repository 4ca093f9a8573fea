"""Fixtures of the tests that need a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.audius.random_data import fill_with_random_rows
from tests.postgres.server import Database, PostgresServer, running_server
from trending.presets.sample import sample_schema


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One PostgreSQL 15 for the whole test process."""
    with running_server() as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    """A fresh, empty database."""
    with server.database() as database:
        yield database


@pytest.fixture(scope="session")
def audius_template(server: PostgresServer) -> Iterator[str]:
    """A database with the Audius schema and small random data around the clock's now, to be copied."""

    def build(database: Database) -> None:
        database.execute(sample_schema())
        with database.connect() as connection:
            fill_with_random_rows(connection, seed=1, now=datetime.now(UTC).replace(tzinfo=None))
        database.execute("ANALYZE")

    with server.template(build) as name:
        yield name


@pytest.fixture
def audius(server: PostgresServer, audius_template: str) -> Iterator[Database]:
    """The Audius schema with small random data; both views unpopulated, with plain indexes."""
    with server.database(template=audius_template) as database:
        yield database


@pytest.fixture
def audius_populated(audius: Database) -> Database:
    """The same, both views populated."""
    audius.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays; REFRESH MATERIALIZED VIEW trending_params")
    return audius
