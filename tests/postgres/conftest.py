"""Fixtures of the tests that need a real PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.audius.random_data import fill_with_random_rows
from tests.postgres.server import VERSIONS, WITH_TLS, Database, PostgresServer, running_server
from trending.presets.sample import sample_schema


def pytest_configure() -> None:
    """Have programs that tests start heed Ctrl-C, also where this one was started in the background and ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", type=int, choices=VERSIONS, default=VERSIONS[0], help="major version of PostgreSQL")
    parser.addoption(
        "--every-statement",
        action="store_true",
        help="kill runs at each statement of each strategy; without it at a part of them that CI has time for",
    )


@pytest.fixture
def every_statement(request: pytest.FixtureRequest) -> bool:
    """Whether runs are killed at each statement."""
    return bool(request.config.getoption("--every-statement"))


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole test process, of the version that --postgres names."""
    with running_server(request.config.getoption("--postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def server_with_tls(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The server where it speaks TLS, else one beside it that does: without it there is nothing to be tested."""
    if request.config.getoption("--postgres") == WITH_TLS:
        yield request.getfixturevalue("server")
        return
    with running_server(WITH_TLS) as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    """A fresh, empty database."""
    with server.database() as database:
        yield database


@pytest.fixture
def database_with_tls(server_with_tls: PostgresServer) -> Iterator[Database]:
    """A fresh, empty database of a server that speaks TLS."""
    with server_with_tls.database() as database:
        yield database


@pytest.fixture(scope="session")
def newest_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The server where it has the newest version, else one beside it that has: for what older ones cannot do."""
    if request.config.getoption("--postgres") == VERSIONS[-1]:
        yield request.getfixturevalue("server")
        return
    with running_server(VERSIONS[-1]) as server:
        yield server


@pytest.fixture
def newest_database(newest_server: PostgresServer) -> Iterator[Database]:
    """A fresh, empty database of a server of the newest version."""
    with newest_server.database() as database:
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
