"""Killed at any statement of any strategy, a run leaves the old slice or the new one, and the next run is right.

The runner is killed as `kill -9` does, or its backend ends; both at each statement of a whole run, as they go over the
wire. How many that were is told by `pytest -rP`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.postgres.boards import QUERY, SLICE, with_board
from tests.postgres.crashes import recovered_from
from tests.postgres.forks import forks
from tests.postgres.runs import Pod, own_target, report_of, run, spec, spec_dict
from tests.postgres.server import ADMIN, Database, PostgresServer, running_server
from tests.postgres.wire import Moment, Wire
from tests.waiting import until
from trending.runner.ledger import RunIdentity

STRATEGIES = ("Merge", "DeleteInsert", "Upsert", "Swap", "Auto")
IN_PARTITIONS = ("Swap", "Auto")
"""Auto swaps there, since nearly all rows change."""
STEPS: Final = {"Swap": 2, "Auto": 6}
"""Of the strategies with many statements every so many are tried, on 15 those that are odd, on 18 those that are even;
Auto's way is Swap's once it has decided. Of the others all. With --every-statement nothing is left out."""
ALIKE: Final = ("DeleteInsert", "Upsert")
"""Until their source is staged a run does for them what it does for Merge, and is killed there for Merge alone."""
STAGED: Final = 'ANALYZE "pg_temp"."trending_stage_'
ROWS = 550
"""Of each of two kinds: together more than those that Auto merges in any case."""

SOURCE = (
    "INSERT INTO source SELECT k, g, -g, 'jazz' "
    f"FROM generate_series(8, {ROWS + 8}) AS g, (VALUES ('a'), ('b')) AS w (k)"
)
AS_BEFORE = f"""
    TRUNCATE hot, trending.freshness, trending.run;
    INSERT INTO hot SELECT b, k, g, g, 'rock', '2020-01-01', 'kept' FROM generate_series(1, {ROWS}) AS g,
        (VALUES ('main', 'a'), ('main', 'b'), ('main', 'c'), ('side', 'a')) AS w (b, k)
"""
IN_SLICE = "board = 'main' AND kind IN ('a', 'b')"
CHECKSUM = "SELECT count(*), sum(hashtextextended(concat_ws('|', kind, post_id, score, genre), 0)) FROM"
OTHERS = f"SELECT *, tableoid, ctid::text, xmin::text FROM hot WHERE NOT ({IN_SLICE})"
TABLES = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
STAGES = "SELECT relname FROM pg_class WHERE relpersistence = 't'"
WHO = ("run_id", "namespace", "schedule", "job", "trigger", "scheduled_time")
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'trending/%'"
LOCKS = (
    "SELECT locktype, mode FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@dataclass(frozen=True)
class Board:
    """The table, how it was and how it is to be, and a session to look at it with."""

    database: Database
    session: psycopg.Connection[Any]
    strategy: str
    tables: list[Any]
    old: Any
    new: Any

    @classmethod
    def made(cls, database: Database, session: psycopg.Connection[Any], strategy: str) -> Board:
        with_board(database, in_partitions=strategy in IN_PARTITIONS)
        session.execute(SOURCE)
        session.execute(AS_BEFORE)
        session.execute("ANALYZE hot")
        return cls(
            database=database,
            session=session,
            strategy=strategy,
            tables=session.execute(TABLES).fetchall(),
            old=session.execute(f"{CHECKSUM} hot WHERE {IN_SLICE}").fetchone(),
            new=session.execute(f"{CHECKSUM} source").fetchone(),
        )

    @property
    def wanted(self) -> dict[str, Any]:
        query = QUERY.replace(" FROM", ", 'told' AS extra FROM")  # Auto does not swap where a column would be lost
        own = own_target(slice=SLICE, query=query, strategy=self.strategy)
        return spec_dict(rewrite=[own])

    def put_back(self) -> list[Any]:
        """Make it as it was; the rows of other slices, in their places."""
        self.session.execute(AS_BEFORE)
        return self.session.execute(OTHERS).fetchall()

    def is_new(self) -> bool:
        """Whether the slice is the new one, as the ledger says too; anything but that and the old one is an error."""
        seen = self.session.execute(f"{CHECKSUM} hot WHERE {IN_SLICE}").fetchone()
        assert seen in (self.old, self.new), "a half slice"
        query = "SELECT rows FROM trending.freshness WHERE data_timestamp IS NOT NULL"
        ledger = self.session.execute(query).fetchall()
        assert ledger == ([(self.new[0],)] if seen == self.new else []), "the ledger knows nothing of it"
        return bool(seen == self.new)

    def wait_for_the_end_of_sessions(self) -> None:
        """The server ends them by itself, once it finds that nobody is there."""
        until(
            lambda: not self.session.execute(SESSIONS).fetchall(), what="the killed runner's sessions end", pause=0.02
        )

    def checked(self, others: list[Any], where: str, *, stages: bool = True) -> bool:
        """Look at what a killed run has left once its sessions are gone; whether the slice is the new one."""
        self.wait_for_the_end_of_sessions()
        try:
            is_new = self.is_new()
            assert self.session.execute(OTHERS).fetchall() == others, "rows of other slices were touched"
            assert self.session.execute(LOCKS).fetchall() == [], "locks are left"
            assert not stages or self.session.execute(STAGES).fetchall() == [], "stages are left"
        except AssertionError as error:
            error.add_note(f"killed: {where}")
            raise
        return is_new

    def run_again(self, who: RunIdentity | None) -> None:
        """Another attempt of the same run, or the next one: both set right whatever the killed one left."""
        report = report_of(run(self.database, spec(**self.wanted), who=who))
        assert report.result == "Succeeded"
        assert self.is_new()
        assert self.session.execute(TABLES).fetchall() == self.tables, "something else than before is there"

    def check_whole_run(self) -> None:
        """Check that what is to be killed is of the strategy that it is taken for."""
        assert self.is_new()
        taken = self.session.execute("SELECT step ->> 'strategy' FROM trending.freshness").fetchone()
        assert taken == ("Swap" if self.strategy == "Auto" else self.strategy,)

    def identity(self) -> RunIdentity | None:
        """Return who the killed run was, if the ledger knows it."""
        query = f"SELECT {', '.join(WHO)} FROM trending.run"
        row = self.session.execute(query).fetchone()
        return RunIdentity(**dict(zip(WHO, row, strict=True))) if row else None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_runner_killed_at_any_statement_leaves_one_slice_or_the_other(
    database: Database, tmp_path: Path, strategy: str, every_statement: bool
) -> None:
    with forks() as starter, database.connect(role=ADMIN, autocommit=True) as session:
        board = Board.made(database, session, strategy)

        def run_over(wire: Wire) -> int:
            with wire.laid():
                Pod.prepare(tmp_path, board.wanted, uri=wire.uri)
                running.append(starter.start(tmp_path))
                return starter.exit_code()

        running: list[int] = []
        whole = Wire(database)
        assert run_over(whole) == 0
        board.check_whole_run()
        tried = new = 0
        for at in points(whole.statements, strategy, database.server.version, every=every_statement):
            others = board.put_back()
            wire = Wire(database, at, "unanswered", lambda _: os.kill(running[-1], signal.SIGKILL))
            ended = run_over(wire)
            if wire.cut is None:
                assert ended == 0, "it had fewer statements this time"
                continue
            tried += 1
            assert ended == -signal.SIGKILL
            new += board.checked(others, f"statement {at}, {wire.cut}")
            # Every other time by the Job's next pod, else by the next slot's.
            board.run_again(board.identity() if tried % 2 else None)
    sys.stdout.write(
        f"{strategy}: killed at {tried} of {len(whole.statements)} statements; {new} times the new slice was there\n"
    )
    assert tried > 15, "the loop ended early"
    assert 0 < new < tried - 5, "never killed before its commit, or never after it"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_backend_that_ends_at_any_statement_leaves_one_slice_or_the_other(
    database: Database, strategy: str, every_statement: bool
) -> None:
    with database.connect(role=ADMIN, autocommit=True) as session:
        board = Board.made(database, session, strategy)

        def terminate(pid: int) -> None:
            assert session.execute("SELECT pg_terminate_backend(%s, 180000)", [pid]).fetchone() == (True,)

        def run_over(wire: Wire) -> int:
            with wire.laid():
                return run(database, spec(**board.wanted), uri=wire.uri).exit_code

        whole = Wire(database)
        assert run_over(whole) == 0
        board.check_whole_run()
        tried = recovered = 0
        for at, moment in moments(whole.statements, strategy, database.server.version, every=every_statement):
            others = board.put_back()
            wire = Wire(database, at, moment, terminate)
            exit_code = run_over(wire)
            if wire.cut is None:
                assert exit_code == 0, "it had fewer statements this time"
                continue
            tried += 1
            recovered += exit_code == 0
            is_new = board.checked(others, f"{moment} statement {at}, {wire.cut}")
            assert is_new or exit_code == 1, "worth another attempt, unless it was done"
            board.run_again(board.identity() if tried % 2 else None)
    sys.stdout.write(
        f"{strategy}: {tried} backends ended, at {len(whole.statements)} statements; {recovered} runs did without\n"
    )
    assert tried > 15, "the loop ended early"


def points(statements: list[str], strategy: str, version: int, *, every: bool) -> list[int]:
    """Return the statements to be tried, counted from one; those that commit or tell the ledger always."""
    if every:
        return list(range(1, len(statements) + 1))
    step = STEPS.get(strategy, 1)
    staged = next(at for at, statement in enumerate(statements, start=1) if statement.startswith(STAGED))
    return [
        at
        for at, statement in enumerate(statements, start=1)
        if (at + version) % step == 0 or statement.startswith("COMMIT") or "freshness" in statement
        if at >= staged or strategy not in ALIKE
    ]


def moments(statements: list[str], strategy: str, version: int, *, every: bool) -> list[tuple[int, Moment]]:
    """Return these points, before and after by turns; both where something is committed."""
    both: tuple[Moment, Moment] = ("before", "unanswered")
    return [
        (at, moment)
        for turn, at in enumerate(points(statements, strategy, version, every=every))
        for moment in (both if every or statements[at - 1].startswith("COMMIT") else both[(turn + version) % 2 :][:1])
    ]


def test_a_server_that_recovers_from_a_killed_backend_has_one_slice_or_the_other(server: PostgresServer) -> None:
    """SIGKILL of a backend has the server end all others and recover, as after a crash."""
    with running_server(server.version) as own:
        for strategy in STRATEGIES:
            with own.database() as database:
                # What has been committed must be there after the crash, as outside of tests.
                database.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = on")
                _kill_backends_outright(database, strategy)


def _kill_backends_outright(database: Database, strategy: str) -> None:
    with database.connect(role=ADMIN, autocommit=True) as session:
        board = Board.made(database, session, strategy)
        whole = Wire(database)
        with whole.laid():
            assert run(database, spec(**board.wanted), uri=whole.uri).exit_code == 0
    commits = [at for at, text in enumerate(whole.statements, start=1) if text.startswith("COMMIT")]
    last = commits[-1]
    tries: list[tuple[int, Moment]] = [(last // 2, "before"), (last, "before"), (last, "unanswered")]
    for at, moment in tries:
        with database.connect(role=ADMIN, autocommit=True) as session:
            others = replace(board, session=session).put_back()
        wire = Wire(database, at, moment, lambda pid: os.kill(pid, signal.SIGKILL))
        with recovered_from(database.server), wire.laid():
            run(database, spec(**board.wanted), uri=wire.uri)
        assert wire.cut is not None
        with database.connect(role=ADMIN, autocommit=True) as session:
            recovered = replace(board, session=session)
            # A crash leaves a session's temporary tables to autovacuum: they are nobody's then.
            recovered.checked(others, f"{moment} statement {at}, {wire.cut}", stages=False)
            recovered.run_again(recovered.identity())
