"""What a run would do to a target: the decision and its reasons, from the real source, in a transaction rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from trending.runner import ledger, stage
from trending.runner.failure import BadDataError, ConfigurationError, doing
from trending.runner.goal import Goal
from trending.runner.rewrite import Destination, Plan, choose
from trending.runner.rewrite.delete_insert import DeleteInsert
from trending.runner.rewrite.merge import Merge
from trending.runner.rewrite.swap import Obstacle, find_partitions
from trending.runner.transaction import rolled_back_on_error

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would change, row by row, and how it would be written."""

    strategy: str
    """The strategy that would be taken; the one asked for where the target is refused."""
    why: str | None
    """Why, where the target leaves the choice to us."""
    inserts: int
    updates: int
    deletes: int
    unchanged: int
    rows: int
    """The source's, which are the slice's afterwards."""
    refused: str | None
    """The sentence with which a run would fail the target, by allowEmpty or maxDeletePercent."""
    note: str | None
    """What else a step would say."""


def preview(connection: Connection, goal: Goal, now: datetime) -> Preview:
    """Run the source query as a run at `now` would, compare it with the slice, decide; keep nothing.

    `connection` is in autocommit, outside a transaction. What is counted are rows that differ, by Merge's exact join,
    whatever the strategy writes. No lock is taken that a writer would wait for. Raises ConfigurationError, BadDataError
    and psycopg.Error as a run would, limits on deletion aside.
    """
    with rolled_back_on_error(connection):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
        found = _previewed(connection, goal, now)
    connection.execute("ROLLBACK")
    return found


def _previewed(connection: Connection, goal: Goal, now: datetime) -> Preview:
    place = find_partitions(connection, goal.slice) if goal.strategy in ("Auto", "Swap") else None
    entry = ledger.read_slice(connection, goal.slice)
    with doing(f"{goal.where}.query"):
        source = stage.fill(connection, goal, now)
    destination = Destination(slice=goal.slice, key=goal.key, now=now)
    exact = _differences(connection, goal, destination, source)
    strategy, why, note, refused = str(goal.strategy), None, None, None
    try:
        choice = choose(
            connection,
            goal,
            destination,
            source,
            swap_obstacle=place.sentence if isinstance(place, Obstacle) else None,
            rows_before=entry.rows if entry else None,
        )
    except BadDataError as error:
        refused = str(error)
    else:
        strategy = choice.strategy.name if choice.strategy else "Swap"
        why, note = choice.why, choice.plan.note
    updates = exact.updates or 0
    return Preview(
        strategy=strategy,
        why=why,
        inserts=exact.inserts,
        updates=updates,
        deletes=exact.deletes,
        unchanged=source.rows - exact.inserts - updates,
        rows=source.rows,
        refused=refused,
        note=note,
    )


def _differences(connection: Connection, goal: Goal, destination: Destination, source: stage.Stage) -> Plan:
    """Count the rows that differ; where the key does not tell the slice's rows apart, only DeleteInsert can do, and
    what it writes is counted instead."""
    try:
        return Merge(connection).plan(destination, source)
    except ConfigurationError:
        if goal.strategy != "DeleteInsert":
            raise
        return DeleteInsert(connection).plan(destination, source)
