"""Columns in the statements of strategies: by number, so that no name of the user's meets one of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from trending.runner.rewrite.strategy import Destination
    from trending.runner.stage import Stage


def numbers(source: Stage) -> dict[str, int]:
    """Return the number of each of the columns that the stage's table has."""
    return {name: at for at, name in enumerate(source.stored, start=1)}


def numbered(source: Stage) -> sql.Composed:
    """Return the select list that gives the columns of the stage's table their numbers: c1, c2, .."""
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(name), c(at)) for name, at in numbers(source).items()
    )


def written(source: Stage) -> set[str]:
    """Return the columns that an update of a row writes."""
    return {*source.compared, *([source.stamp] if source.stamp else [])}


def c(number: int) -> sql.Identifier:
    """Return the name of a column that goes by number."""
    return sql.Identifier(f"c{number}")


def all_of(conditions: Iterable[sql.Composable]) -> sql.Composed:
    """Join conditions by AND."""
    return sql.SQL(" AND ").join(conditions)


def differs(
    target: Destination,
    source: Stage,
    old: Callable[[str], sql.Composable],
    new: Callable[[str], sql.Composable],
) -> sql.Composable:
    """Return the condition that a compared column differs by value; `old` and `new` say where each column is found.

    NULL equals NULL, NaN equals NaN, and -0 equals 0, as PostgreSQL's own `IS DISTINCT FROM` has it.
    """
    tests = [
        sql.SQL(
            "{}::text IS DISTINCT FROM {}::text"
            if target.table.columns[name].lacks_equality
            else "{} IS DISTINCT FROM {}"
        ).format(old(name), new(name))
        for name in source.compared
    ]
    return sql.SQL(" OR ").join(tests) if tests else sql.SQL("false")
