"""Runs that meet: on one slice, whatever strategies they have; late ones; and targets of one run side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.postgres.boards import NOW, target, with_board
from tests.postgres.runs import ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import ADMIN, Database
from tests.postgres.sides import Side, at_the_gate, gate
from tests.postgres.wire import Wire
from tests.waiting import SECONDS, until
from trending.api.spec import TrendingScheduleSpec

STRATEGIES = ("Merge", "DeleteInsert", "Upsert", "Swap", "Auto")
ROWS = 600
"""Of each of two kinds: together more than those that Auto merges in any case."""
IN_SLICE = "board = 'main' AND kind IN ('a', 'b')"
STATE = f"SELECT count(*), min(score), max(score) FROM hot WHERE {IN_SLICE}"


@pytest.fixture
def board(database: Database) -> Database:
    with_board(database, in_partitions=True)
    database.execute(
        f"INSERT INTO hot SELECT b, k, g, 0, 'rock' FROM generate_series(1, {ROWS}) AS g, "
        "(VALUES ('main', 'a'), ('main', 'b'), ('main', 'c'), ('side', 'a')) AS w (b, k); ANALYZE"
    )
    return database


def writes(strategy: str, score: int, *, more: str = "") -> TrendingScheduleSpec:
    """A target that gives every row this score."""
    query = (
        f"SELECT kind, post_id, {score}{more} AS score, 'jazz' AS genre, 'told' AS extra "
        f"FROM generate_series(1, {ROWS} + {score}) AS post_id, (VALUES ('a'), ('b')) AS w (kind)"
    )
    return target(strategy, query=query)


def state(score: int) -> tuple[int, int, int]:
    return 2 * (ROWS + score), score, score


def others(database: Database) -> list[Any]:
    return database.execute(f"SELECT *, tableoid, ctid::text, xmin::text FROM hot WHERE NOT ({IN_SLICE})")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_two_runs_on_one_slice_one_works_and_the_other_says_that_it_waits(board: Database, strategy: str) -> None:
    with gate(board) as opened:
        first = Side(board, writes(strategy, 2, more=" * gate()"), now=NOW)
        at_the_gate(board)
        second = Side(board, writes(strategy, 3), now=NOW + timedelta(hours=1))
        second.heard.wait_for("waiting for slice public.hot", timeout=SECONDS)
        assert board.execute(STATE) == [state(0)]
        opened.set()
        assert first.report().result == second.report().result == "Succeeded"
    assert board.execute(STATE) == [state(3)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_two_runs_on_one_slice_the_older_one_is_superseded_when_its_turn_comes(
    board: Database, strategy: str
) -> None:
    with gate(board) as opened:
        newer = Side(board, writes(strategy, 3, more=" * gate()"), now=NOW + timedelta(hours=1))
        at_the_gate(board)
        older = Side(board, writes(strategy, 2), now=NOW)
        older.heard.wait_for("waiting for slice public.hot", timeout=SECONDS)
        opened.set()
        assert newer.report().result == "Succeeded"
        assert older.report().result == "Superseded"
    assert board.execute(STATE) == [state(3)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_that_lost_its_locks_never_overwrites_the_newer_one_that_got_them(board: Database, strategy: str) -> None:
    """At any statement: the older one stands still, its locks are gone, and a newer one comes; then it goes on."""
    untouched = others(board)
    whole = Wire(board)
    with whole.laid():
        report_of(run(board, writes(strategy, 1), uri=whole.uri, now=NOW))
    superseded = tried = 0
    newest = 1
    # Each in turn at other statements of the strategy; from the one that takes the slice's lock on.
    first = next(at for at, text in enumerate(whole.statements, start=1) if "pg_advisory_xact_lock" in text)
    for at in range(first, len(whole.statements) + 1, max(1, len(whole.statements) // 12)):
        older, newest = newest + 1, newest + 2
        newer: list[Side] = []

        def come_between(_: int, *, newer: list[Side] = newer, score: int = newest) -> None:
            board.execute(TERMINATE_KEEPER, role=ADMIN)
            newer.append(Side(board, writes(strategy, score), now=NOW + timedelta(hours=score)))
            _wait_until_done_or_blocked(board, newer[0])

        wire = Wire(board, at, "before", come_between)
        with wire.laid():
            outcome = run(board, writes(strategy, older), uri=wire.uri, now=NOW + timedelta(hours=older))
        if not newer:
            report_of(outcome)  # it had fewer statements this time
            newest = older
            continue
        tried += 1
        assert newer[0].report().result == "Succeeded", wire.cut
        assert board.execute(STATE) == [state(newest)], f"older one: {outcome.report.message}, at {wire.cut}"
        assert outcome.exit_code in (0, 1), wire.cut
        superseded += outcome.report.result == "Superseded"
        freshness = board.execute("SELECT data_timestamp, rows FROM trending.freshness")
        assert freshness == [(NOW + timedelta(hours=newest), state(newest)[0])], wire.cut
    assert others(board) == untouched
    assert tried > 6
    assert superseded > 2


TERMINATE_KEEPER = (
    "SELECT pg_terminate_backend(pid, 180000) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND datname = current_database() AND application_name LIKE 'trending/%%'"
)


def _wait_until_done_or_blocked(database: Database, side: Side) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND application_name LIKE 'trending/%%'"
    )
    swaps = "SELECT count(*) FROM pg_class WHERE relname LIKE 'trending_swap%%' AND reltuples > 0 AND relkind = 'r'"

    def is_so() -> bool:
        # One that has built may wait for the older one's transaction to end.
        is_blocked = database.execute(query, role=ADMIN) != [(0,)] or database.execute(swaps) == [(2,)]
        return is_blocked or not side.is_alive()

    until(is_so, what="the newer run ends or meets a lock", pause=0.02)


@contextmanager
def watched(database: Database) -> Iterator[list[Any]]:
    """Read the slice all the time; what was seen, in order."""
    seen: list[Any] = []
    over = threading.Event()

    def read() -> None:
        with database.connect(autocommit=True) as connection:
            while not over.is_set():
                row = connection.execute(STATE).fetchone()
                if not seen or seen[-1] != row:
                    seen.append(row)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        over.set()
        reader.join()


def test_runs_of_all_strategies_at_once_leave_the_newest_data_and_never_anything_between(board: Database) -> None:
    untouched = others(board)
    with watched(board) as seen:
        sides = [
            Side(board, writes(strategy, 1 + at), now=NOW + timedelta(minutes=at))
            for at, strategy in enumerate(STRATEGIES * 3)
        ]
        results = [side.report().result for side in sides]
    assert set(results) <= {"Succeeded", "Superseded"}
    assert results[-1] == "Succeeded", "the newest is never superseded"
    assert board.execute(STATE) == [state(len(sides))]
    assert others(board) == untouched
    # Each next one is newer than the one before.
    assert seen == sorted({state(score) for score in range(len(sides) + 1)} & set(seen))
    assert "deadlock" not in board.log()


KINDS = ("Swap", "Merge", "Auto", "Upsert", "Swap", "DeleteInsert", "Auto", "Swap")
"""What writes the slices of both tables, side by side; what swaps in the one without partitions is left to Auto."""


def targets_of(table: str) -> list[dict[str, Any]]:
    query = f"SELECT id, version AS score FROM source, generate_series(1, {2 * ROWS}) AS id"
    return [
        own_target(
            name=f"{table}-k{at}",
            table=table,
            slice={"kind": [f"k{at}"]},
            query=query,
            strategy="Auto" if strategy == "Swap" and table == "flat" else strategy,
        )
        for at, strategy in enumerate(KINDS)
    ]


@pytest.fixture
def moving(database: Database) -> Iterator[Database]:
    """Two tables whose source becomes another all the time."""
    columns = "(kind text, id int, score int, PRIMARY KEY (kind, id))"
    partitions = (f"CREATE TABLE hot_k{at} PARTITION OF hot FOR VALUES IN ('k{at}');" for at in range(len(KINDS)))
    database.execute(
        f"CREATE TABLE hot {columns} PARTITION BY LIST (kind); {''.join(partitions)} CREATE TABLE flat {columns};"
        "CREATE TABLE source (version int); INSERT INTO source VALUES (0)"
    )
    ledger(database)
    over = threading.Event()

    def move_on() -> None:
        with database.connect(autocommit=True) as connection:
            while not over.is_set():
                connection.execute("UPDATE source SET version = version + 1")
                over.wait(0.005)

    mover = threading.Thread(target=move_on)
    mover.start()
    try:
        yield database
    finally:
        over.set()
        mover.join()


def versions(database: Database, targets: list[dict[str, Any]]) -> dict[str, int]:
    """Of which version of the source each target is, all of its rows."""
    rows = database.execute(
        "SELECT name, count(*), min(score), max(score) FROM (SELECT 'hot-' || kind, score FROM hot "
        "UNION ALL SELECT 'flat-' || kind, score FROM flat) AS tables (name, score) GROUP BY 1"
    )
    assert {name for name, *_ in rows} == {target["name"] for target in targets}
    assert {(count, low == high) for _, count, low, high in rows} == {(2 * ROWS, True)}, rows
    return {name: low for name, _, low, _ in rows}


def test_targets_side_by_side_are_of_one_snapshot_whatever_writes_in_place(moving: Database) -> None:
    targets = targets_of("flat")
    last = 0
    for _ in range(3):
        report = report_of(run(moving, spec(rewrite=targets, database={"parallelism": 4})))
        again = {step.name for step in report.steps if "begun again" in (step.note or "")}
        of_one = {version for name, version in versions(moving, targets).items() if name not in again}
        assert len(of_one) == 1, (of_one, again)
        assert max(of_one) > last, "each run is of a later snapshot"
        last = max(of_one)


def test_targets_side_by_side_with_exchanges_are_each_of_one_snapshot_of_their_run(moving: Database) -> None:
    """Not all of the same: on one that is older than a build its partition would be empty."""
    targets = targets_of("hot") + targets_of("flat")
    last = 0
    for _ in range(3):
        report = report_of(run(moving, spec(rewrite=targets, database={"parallelism": 4})))
        (now,) = moving.execute("SELECT version FROM source")[0]
        seen = versions(moving, targets)
        assert last < min(seen.values()), "older than the run"
        assert max(seen.values()) <= now
        last = now
    assert {step_of(report, f"hot-k{at}").strategy for at in (0, 2)} == {"Swap"}
    left = "SELECT relname FROM pg_class WHERE relname ~ 'trending_(swap|stage)'"
    assert moving.execute(left) == []
