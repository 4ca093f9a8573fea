"""Filling a new partition from the stage."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from trending.runner.rewrite.strategy import Destination
from trending.runner.rewrite.swap.partitions import Leaf, Partitions
from trending.runner.rewrite.swap.tree import Obstacle
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]


def unfillable(partitions: Partitions, source: Stage) -> Obstacle | None:
    """Return why the stage's rows cannot be told apart by partition; None where they can."""
    given = {*source.columns, source.stamp}
    lacking = [name for name in partitions.found.columns if name not in given]
    if not lacking or len(partitions.leaves) == 1:
        return None
    return Obstacle(f"the query does not return {', '.join(lacking)}, by which the table is partitioned")


def fill(
    connection: Connection,
    partitions: Partitions,
    leaf: Leaf,
    new: sql.Identifier,
    destination: Destination,
    source: Stage,
) -> int:
    """Insert those rows of the stage that belong to the leaf; return how many. The new table's CHECK proves it."""
    names = [sql.Identifier(name) for name in source.columns]
    stamped: list[sql.Composable] = list(names)
    if source.stamp:
        stamp = sql.Identifier(source.stamp)
        names.append(stamp)
        stamped.append(
            sql.SQL("{}::timestamptz::{} AS {}").format(
                destination.now, destination.table.columns[source.stamp].type, stamp
            )
        )
    others = {name: text for name, text in partitions.defaults.items() if sql.Identifier(name) not in names}
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM (SELECT {} FROM {}) AS staged").format(
        new,
        sql.SQL(", ").join([*names, *map(sql.Identifier, others)]),
        sql.SQL(", ").join(
            [*(sql.SQL("staged.{}").format(name) for name in names), *(sql.SQL(text) for text in others.values())]
        ),
        sql.SQL(", ").join(stamped),
        source.relation,
    )
    if len(partitions.leaves) > 1:
        insert += sql.SQL(" WHERE {}").format(sql.SQL(leaf.constraint))
    return connection.execute(insert).rowcount
