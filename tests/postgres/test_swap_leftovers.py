"""What was built and is not needed goes, unless somebody uses it; and nobody drops or exchanges what is another's."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.postgres.boards import NOW, target, with_board
from tests.postgres.runs import Heard, report_of, run, step_of
from tests.postgres.server import ADMIN, Database
from tests.postgres.sides import Side
from tests.postgres.swaps import SCORES, built, put, ranking, slice_of, wait
from tests.waiting import SECONDS, until
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import StepAction
from trending.runner.rewrite.swap import ChangedError, Kept, discard, drop_leftovers
from trending.runner.three_steps import Swapping

SUM = "SELECT sum(score) FROM scores WHERE version = 'v1' AND span = 'week'"
BUILT = "SELECT relname FROM pg_class WHERE relname LIKE 'trending_swap%' AND relkind = 'r' ORDER BY oid"
IN_SLICE = "board = 'main' AND kind IN ('a', 'b')"
ROWS = 600

Connection = psycopg.Connection[Any]


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


@pytest.fixture
def board(database: Database) -> Database:
    with_board(database, in_partitions=True)
    database.execute(
        f"INSERT INTO hot SELECT 'main', k, g, 0, 'rock' FROM generate_series(1, {ROWS}) AS g, "
        "(VALUES ('a'), ('b')) AS w (k); ANALYZE"
    )
    return database


def wanted(score: int) -> TrendingScheduleSpec:
    query = (
        f"SELECT kind, post_id, {score} AS score, 'jazz' AS genre FROM generate_series(1, {ROWS}) AS post_id, "
        "(VALUES ('a'), ('b')) AS w (kind)"
    )
    return target("Swap", query=query)


@pytest.fixture
def may_give_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Runs wait for older transactions for a moment only, in vain, and not before this is set."""
    may = threading.Event()

    def at_most(*_: object) -> float:
        may.wait(SECONDS)
        return 1.0

    monkeypatch.setattr(Swapping, "_at_most", at_most)
    return may


def used(connection: Connection, table: str) -> None:
    """Begin to use a table, as a dump does with all."""
    connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")


def test_what_somebody_uses_is_left_for_a_later_run_and_in_nobodys_way(scores: Database) -> None:
    with scores.connect() as dump, scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2))
        (name,) = [leaf.name for leaf in made.leaves]
        used(dump, name)
        (kept,) = discard(connection, made)
        assert str(kept).startswith(f"public.{name} is left for a later run to drop, since it is used by pid ")
        assert [type(each) for each in drop_leftovers(connection, slice_of(connection))] == [Kept]
        put(connection, built(connection, ranking(3)))
        assert scores.execute(SUM) == [(15150,)]
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)
        dump.rollback()
        assert drop_leftovers(connection, slice_of(connection)) == [f"public.{name}"]
    assert scores.execute(BUILT) == []


def test_a_dump_of_what_was_built_has_the_run_merge_and_later_runs_too_until_it_ends(
    board: Database, may_give_up: threading.Event
) -> None:
    with board.connect() as older, board.connect() as dump:
        older.execute("SELECT 1")
        side = Side(board, wanted(1))
        for (name,) in _built_two(board):
            used(dump, name)
        may_give_up.set()
        step = step_of(side.report(), "own")
        assert step.strategy == "Merge"
        assert "is left for a later run to drop, since it is used by pid" in (step.note or "")
        older.rollback()
        side = Side(board, wanted(2))
        assert step_of(side.report(), "own").strategy == "Merge", "the dump's snapshot is older than the build"
        assert len([line for line in side.heard.lines if "target own: public.trending_swap" in line]) == 2
        assert len(board.execute(BUILT)) == 2, "what it has built itself is nobody's, and dropped"
    report_of(run(board, wanted(3)))
    assert board.execute(BUILT) == []
    assert board.execute(f"SELECT count(*), min(score), max(score) FROM hot WHERE {IN_SLICE}") == [(2 * ROWS, 3, 3)]


def _built_two(database: Database) -> list[Any]:
    until(lambda: len(database.execute(BUILT)) == 2, what="new partitions are built", pause=0.02)
    return database.execute(BUILT)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE {name}",
        "DROP TABLE {name}; CREATE TABLE {name} (LIKE scores INCLUDING ALL)",
        "ALTER TABLE {name} RENAME TO mine; CREATE TABLE {name} (LIKE scores INCLUDING ALL)",
    ],
)
def test_what_only_has_the_name_of_what_was_built_is_neither_exchanged_nor_dropped(
    scores: Database, change: str
) -> None:
    with scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2))
        (name,) = [leaf.name for leaf in made.leaves]
        scores.execute(change.format(name=name))
        assert wait(connection, made)
        left = scores.execute(BUILT)
        with pytest.raises(ChangedError, match="which was built for the exchange, is no longer there"):
            put(connection, made)
        assert discard(connection, made) == []
    assert scores.execute(BUILT) == left
    assert scores.execute(SUM) == [(5050,)]


def test_what_got_the_name_of_a_leftover_while_that_was_to_be_dropped_stays(scores: Database) -> None:
    with scores.connect() as owner, scores.connect(autocommit=True) as connection:
        (name,) = [leaf.name for leaf in built(connection, ranking(2)).leaves]
        owner.execute(f"ALTER TABLE {name} RENAME TO mine; CREATE TABLE {name} (LIKE scores)")
        dropped: list[Any] = []
        dropping = threading.Thread(target=lambda: dropped.extend(drop_leftovers(connection, slice_of(connection))))
        dropping.start()
        _wait_for_waiter(scores)
        owner.commit()
        dropping.join()
    assert [each for each in dropped if not isinstance(each, Kept)] == []
    assert scores.execute(BUILT) == [(name,)]


def test_what_is_exchanged_while_another_run_would_drop_it_stays(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection, scores.connect(autocommit=True) as other:
        made = built(connection, ranking(2))
        assert wait(connection, made)
        dropped: list[Any] = []
        dropping = threading.Thread(target=lambda: dropped.extend(drop_leftovers(other, slice_of(other))))
        with connection.transaction():
            put(connection, made)
            dropping.start()
            _wait_for_waiter(scores)
        dropping.join()
    assert [each for each in dropped if not isinstance(each, Kept)] == []
    assert scores.execute(SUM) == [(10100,)]


def _wait_for_waiter(database: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    until(lambda: database.execute(query) == [(1,)], what="somebody waits for the lock", pause=0.02)


class LosesItsLocks(Heard):
    """Has another run take the slices before the target is begun."""

    def __init__(self, database: Database, other: Connection) -> None:
        super().__init__()
        self._database, self._other = database, other

    def starts(self, action: StepAction, name: str) -> None:
        super().starts(action, name)
        ((key, _),) = self._database.execute(
            "SELECT classid::int8 << 32 | objid::int8, pg_terminate_backend(pid, 180000) FROM pg_locks "
            "JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND application_name LIKE 'trending/%%'",
            [],
            role=ADMIN,
        )
        self._other.execute("SELECT pg_advisory_xact_lock(%s)", [key])


def test_a_run_that_lost_its_locks_leaves_alone_what_another_is_building(board: Database) -> None:
    with board.connect() as other, board.connect() as older:
        older.execute("SELECT 1")
        first = Side(board, wanted(1), now=NOW)
        names = _built_two(board)
        board.execute(
            "SELECT pg_terminate_backend(pid, 180000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'trending/%%'",
            [],
            role=ADMIN,
        )
        first.report(exit_code=1)
        assert board.execute(BUILT) == names, "it takes the place of what another run is building"
        older.rollback()
        heard = LosesItsLocks(board, other)
        second = Side(board, wanted(2), now=NOW + timedelta(hours=1), heard=heard)
        heard.wait_for("waiting for slice public.hot", timeout=SECONDS)
        assert any(re.search("begun again, since the session that held the locks", line) for line in heard.lines)
        assert board.execute(BUILT) == names
        other.rollback()
        second.report()
    assert board.execute(BUILT) == []
