"""How views are refreshed: where it cannot be helped their readers are blocked, and told why; after the cure never."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from demo.ledger import migrate
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import SECRET, audius_schedule
from tests.waiting import until

VIEWS = ("aggregate_interval_plays", "trending_params")
CURE = "run `trending migrate --preset audius` once"
READER = "reader"


def test_views_are_refreshed_without_blocking_readers_once_migrated(namespace: Namespace, database: Database) -> None:
    """Unpopulated and then without a unique index they fall back and say so; migrated, no reader waits any more."""
    namespace.create_secret(database.uri)
    namespace.apply(audius_schedule())
    first = refreshes(namespace.until_run_ended("hourly"))
    second = refreshes(namespace.run_by_hand("hourly"))
    for view in VIEWS:
        assert first[view]["mode"] == second[view]["mode"] == "Blocking"
        assert first[view]["note"].startswith(
            "blocking, since it had never been populated; readers were locked out for"
        )
        assert second[view]["note"].startswith("blocking, since it has no unique index on plain columns; readers were")
        assert CURE in first[view]["note"]
        assert CURE in second[view]["note"]

    migrate(namespace.kubectl, namespace=namespace.name, secret=SECRET, preset="audius")
    with readers(database) as reads:
        third = namespace.run_by_hand("hourly")
        assert third["lastRun"]["result"] == "Succeeded"
    for view in VIEWS:
        assert refreshes(third)[view]["mode"] == "Concurrent"
        assert "note" not in refreshes(third)[view]
        assert reads[view] > 100
    assert waits(database) == []


def test_the_servers_log_tells_of_a_reader_that_waits(database: Database) -> None:
    """What the absence of such lines is worth."""
    database.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays")
    database.execute("REFRESH MATERIALIZED VIEW trending_params")
    with readers(database) as reads, database.connect() as connection, connection.transaction():
        until(lambda: reads["trending_params"], what="the view is read")
        connection.execute("REFRESH MATERIALIZED VIEW trending_params")
        connection.execute("SELECT pg_sleep(0.5)")
    assert until(lambda: waits(database), what="the log tells of a reader that waited")


def refreshes(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in status["lastRun"]["steps"] if step["action"] == "Refresh"}


def waits(database: Database) -> list[str]:
    """Return what the server has logged of readers of this database that waited for a lock for over 100 ms."""
    whom = f"@{database.name} {READER} "
    return [
        line for line in database.server.postgres.log().splitlines() if whom in line and "still waiting for" in line
    ]


@contextmanager
def readers(database: Database) -> Iterator[dict[str, int]]:
    """Read both views in a loop, each by a reader of its own; gives how often each was read by now."""
    reads = dict.fromkeys(VIEWS, 0)
    failures: list[psycopg.Error] = []
    over = threading.Event()

    def read(view: str) -> None:
        query = SQL("SELECT count(*), max(track_id) FROM {}").format(Identifier(view))
        try:
            with database.connect(application_name=READER) as connection:
                while not over.wait(0.01):
                    connection.execute(query)
                    reads[view] += 1
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(view,)) for view in VIEWS]
    for thread in threads:
        thread.start()
    try:
        yield reads
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []
