"""Unique indexes under which rows may exchange what they have, where the strategy could not write that."""

from __future__ import annotations

from typing import Any

import psycopg

from trending.runner.goal import Goal
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.source import Source
from trending.runner.rewrite.unique import reason_not_to_replace, written_indexes

Connection = psycopg.Connection[Any]


def check_unique(connection: Connection, goal: Goal, source: Source, findings: Findings) -> None:
    """Look at what Merge, which Auto may take, and Upsert cannot write; whether there are such rows shows the plan."""
    if goal.strategy not in ("Auto", "Merge", "Upsert"):
        return
    written = source.columns - {*goal.key, *goal.slice.constants} | ({goal.stamp} if goal.stamp else set())
    indexes = written_indexes(connection, goal.table, written)
    if not indexes:
        return
    if goal.strategy == "Upsert":
        why = "Upsert, since INSERT .. ON CONFLICT checks row by row: use strategy Merge, or"
    elif obstacle := reason_not_to_replace(connection, goal.table.oid):
        why = f"Merge, since it would have to delete and insert them, and {obstacle}:"
    else:
        return
    for index in indexes:
        findings.warning(
            f"{goal.where}.strategy",
            f"rows that take {index.shown} from one another, which {index.kind} {index.name} of "
            f"{goal.table.qualified} keeps apart, cannot be written by {why} make that a constraint that is DEFERRABLE",
        )
