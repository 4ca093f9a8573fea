"""One read for many slices: what several targets' queries are made of is computed once, into a temporary table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.failure import LostLocksError
from trending.runner.goal import Goal, Input
from trending.runner.locks import SliceLocks

Connection = psycopg.Connection[Any]

READERS: Final = 2
"""How many targets have to read an input for it to be computed once: from two on that costs less CPU than reading the
views once for each (measured on 300,000 tracks, see docs/benchmarks.md)."""


@dataclass(frozen=True)
class Group:
    """Targets that one connection writes one after another."""

    goals: tuple[Goal, ...]
    inputs: tuple[Input, ...] = ()
    """What all of them are made of, to be computed once; empty for a target that shares nothing."""


def grouped(goals: Sequence[Goal], *, readers: int = READERS) -> list[Group]:
    """Put the targets that have inputs in common into groups, in the order of their first ones.

    An input counts where at least so many targets read it; a target with one that does not count reads for itself.
    """
    sharing = [goal for goal in goals if goal.shared]
    while True:
        count = Counter(name for goal in sharing for name in _names(goal))
        kept = [goal for goal in sharing if all(count[name] >= readers for name in _names(goal))]
        if len(kept) == len(sharing):
            break
        sharing = kept
    names_of_sharing = {goal.name for goal in sharing}
    groups: list[Group] = []
    for goal in goals:
        if goal.name not in names_of_sharing:
            groups.append(Group((goal,)))
            continue
        together = [group for group in groups if group.inputs and _names(goal) & _names(*group.goals)]
        members = (*(member for group in together for member in group.goals), goal)
        where = groups.index(together[0]) if together else len(groups)
        groups = [group for group in groups if group not in together]
        groups.insert(where, Group(members, _inputs(members)))
    return groups


def _names(*goals: Goal) -> set[str]:
    return {each.name for goal in goals if goal.shared for each in goal.shared.inputs}


def _inputs(goals: Sequence[Goal]) -> tuple[Input, ...]:
    found = {each.name: each for goal in goals if goal.shared for each in goal.shared.inputs}
    return tuple(found.values())


@dataclass
class SharedInputs:
    """The inputs of a group, in temporary tables of the session that computed them."""

    group: Group
    connection: Connection | None = None
    """The session that has them; None where there are none."""
    seconds: float = field(default=0.0)

    def goal(self, goal: Goal, connection: Connection) -> Goal:
        """Return the target with the query that reads these inputs, where this session has them."""
        if self.connection is not connection or goal.shared is None:
            return goal
        return replace(goal, query=goal.shared.query)

    def note(self, connection: Connection) -> str | None:
        """Return what a target's step says of it."""
        if self.connection is not connection:
            return None
        return f"input read once for {len(self.group.goals)} targets, in {self.seconds:.1f} s"


@contextmanager
def computed(connection: Connection, group: Group, *, now: datetime, locks: SliceLocks) -> Iterator[SharedInputs]:
    """Compute the inputs of a group for as long as its targets are written; drop them afterwards.

    In a transaction of its own, which ends before the first target's begins, and whose queries can only read. Raises
    psycopg's errors and LostLocksError, with nothing left behind.
    """
    inputs = SharedInputs(group)
    if group.inputs:
        begun = time.monotonic()
        try:
            _compute(connection, group.inputs, now, locks)
        except (psycopg.Error, LostLocksError):
            if not connection.closed:
                connection.rollback()
            raise
        inputs.connection, inputs.seconds = connection, time.monotonic() - begun
    try:
        # A snapshot exported before the tables were filled would see them empty.
        with locks.snapshot_of_its_own(connection) if group.inputs else nullcontext():
            yield inputs
    finally:
        if inputs.connection is not None:
            # Where that fails the session is lost, or told to stop: its tables end with it.
            with suppress(psycopg.Error):
                for each in group.inputs:
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_table(each)))


def _compute(connection: Connection, inputs: Sequence[Input], now: datetime, locks: SliceLocks) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
    locks.adopt_snapshot(connection, again=0)
    for each in inputs:
        query, parameters = sql.SQL(each.query.text), [now] if each.query.uses_now else None
        raw = psycopg.RawCursor(connection)  # its parameter is $1, so that % is nothing special
        raw.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT PRESERVE ROWS AS {} WITH NO DATA").format(_table(each), query),
            parameters,
        )
        with connection.transaction():
            # The mode ends with the savepoint; a temporary table may be written to nevertheless.
            connection.execute("SET LOCAL transaction_read_only = on")
            raw.execute(sql.SQL("INSERT INTO {} {}").format(_table(each), query), parameters)
        connection.execute(sql.SQL("ANALYZE {}").format(_table(each)))
    connection.execute("COMMIT")


def _table(each: Input) -> sql.Identifier:
    return sql.Identifier("pg_temp", each.name)
