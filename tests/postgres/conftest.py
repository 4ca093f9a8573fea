"""Fixtures of the tests that need a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres.server import Database, PostgresServer, running_server


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
