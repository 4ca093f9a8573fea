"""A logical replica of the target: what it holds after every strategy, and which strategy is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.postgres.boards import NOW, with_board
from tests.postgres.boards import target as board_target
from tests.postgres.programs import restart
from tests.postgres.runs import report_of, run, step_of
from tests.postgres.server import ADMIN, Database, PostgresServer, running_server
from tests.waiting import until

ALLOWED = ("Merge", "DeleteInsert", "Upsert", "Auto")
ROWS = 1500
BEFORE = f"""
    INSERT INTO hot SELECT b, k, g, g, 'rock', '2020-01-01', 'kept' FROM generate_series(1, {ROWS}) AS g,
        (VALUES ('main', 'a'), ('main', 'b'), ('side', 'a')) AS w (b, k)
"""
CONTENTS = "SELECT count(*), sum(hashtextextended(hot::text, 0)) FROM hot"


@dataclass(frozen=True)
class Pair:
    """A database whose table is published, and one that subscribes to it, on another server."""

    origin: Database
    replica: Database

    def differences(self) -> list[Any]:
        """Wait until the replica has all that was committed; what both hold then, where that is not the same."""
        (end,) = self.origin.execute("SELECT pg_current_wal_insert_lsn()", role=ADMIN)[0]

        def caught_up() -> bool:
            # A batch of WAL that is not the replica's is confirmed only when the server next asks for it.
            self.origin.execute("SELECT pg_logical_emit_message(true, 'test', 'more')", role=ADMIN)
            query = "SELECT bool_and(confirmed_flush_lsn >= %s) FROM pg_replication_slots WHERE database = %s"
            return self.origin.execute(query, [end, self.origin.name], role=ADMIN) == [(True,)]

        until(caught_up, what="the replica catches up", pause=0.05)
        both = [database.execute(CONTENTS) for database in (self.origin, self.replica)]
        return both if both[0] != both[1] else []


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """One that writes what a logical replica needs, and the replica's."""
    version = request.config.getoption("--postgres")
    with running_server(version) as origin, running_server(version) as replica:
        with origin.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET wal_level = logical")
        restart(origin)
        yield origin, replica


def replicated(servers: tuple[PostgresServer, PostgresServer], *, in_partitions: bool) -> Iterator[Pair]:
    with servers[0].database() as origin, servers[1].database() as replica:
        for database in (origin, replica):
            with_board(database, in_partitions=in_partitions)
        origin.execute(BEFORE)
        origin.execute("CREATE PUBLICATION ranking FOR TABLE hot WITH (publish_via_partition_root)", role=ADMIN)
        where = f"host={origin.server.folder} port={origin.server.port} dbname={origin.name} user={ADMIN}"
        replica.execute(f"CREATE SUBSCRIPTION ranking CONNECTION '{where}' PUBLICATION ranking", role=ADMIN)
        pair = Pair(origin, replica)
        try:
            _wait_for_copy(replica)
            yield pair
        finally:
            replica.execute("DROP SUBSCRIPTION ranking", role=ADMIN)


def _wait_for_copy(replica: Database) -> None:
    query = "SELECT array_agg(srsubstate::text) FROM pg_subscription_rel"
    until(lambda: replica.execute(query, role=ADMIN) == [(["r"],)], what="the replica has its copy", pause=0.05)


@pytest.fixture
def plain(servers: tuple[PostgresServer, PostgresServer]) -> Iterator[Pair]:
    yield from replicated(servers, in_partitions=False)


@pytest.fixture
def partitioned(servers: tuple[PostgresServer, PostgresServer]) -> Iterator[Pair]:
    yield from replicated(servers, in_partitions=True)


def fill_source(pair: Pair, *, factor: int) -> None:
    """Rows that go, rows that change, rows that come."""
    pair.origin.execute(
        "TRUNCATE source; INSERT INTO source SELECT k, g, g * "
        f"CASE WHEN g % 5 = 0 THEN 1 ELSE {factor} END, 'rock' "
        f"FROM generate_series({factor}, {ROWS + factor}) AS g, (VALUES ('a'), ('b')) AS w (k)"
    )


def all_strategies_keep_it_equal(pair: Pair) -> None:
    assert pair.differences() == []
    for factor, strategy in enumerate(ALLOWED, start=2):
        fill_source(pair, factor=factor)
        report = report_of(run(pair.origin, board_target(strategy)))
        step = step_of(report, "own")
        assert (step.rows_inserted or 0) > 0, strategy
        assert (step.rows_deleted or 0) > 0, strategy
        assert pair.differences() == [], f"after {strategy}"


def test_the_replica_of_a_plain_table_stays_equal_whatever_strategy_writes(plain: Pair) -> None:
    all_strategies_keep_it_equal(plain)


def test_the_replica_of_a_partitioned_table_stays_equal_whatever_strategy_writes(partitioned: Pair) -> None:
    all_strategies_keep_it_equal(partitioned)


def test_swap_is_refused_and_says_which_publication_is_in_its_way(partitioned: Pair) -> None:
    fill_source(partitioned, factor=2)
    before = partitioned.origin.execute(CONTENTS)
    report = report_of(run(partitioned.origin, board_target("Swap"), now=NOW), exit_code=2)
    assert "spec.rewrite[0]: strategy Swap cannot be: publication ranking replicates " in report.message
    assert partitioned.origin.execute(CONTENTS) == before
    assert partitioned.differences() == []
