"""What changes, guessed from some of the source's rows: each is looked up in the slice by its key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.rewrite.columns import all_of, c, differs, numbered, numbers
from trending.runner.rewrite.strategy import Destination
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

ROWS: Final = 2000
"""Rows looked up. The standard error of a share of 20 % is then 0.9 points: near the threshold both strategies cost the
same, so that a miss by as much costs a few hundredths."""
WORTH_FROM: Final = 20_000
"""Rows of the source below which the join itself costs no more than a sample would."""

_CERTAINTY: Final = 12 * math.log(10)

# LIMIT 1 keeps the planner from turning the look-ups into the join that they are to save.
_LOOK_UP: Final = sql.SQL("""
    SELECT count(*), count(*) FILTER (WHERE old.present IS NULL), count(*) FILTER (WHERE old.present AND ({differs}))
    FROM (SELECT {columns} FROM {stage} TABLESAMPLE BERNOULLI ({percent})) AS new
    LEFT JOIN LATERAL (
        SELECT true AS present, {columns} FROM {table} AS target WHERE {slice} AND {same_key} LIMIT 1
    ) AS old ON true
""")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was found of some of the stage's rows."""

    rows: int
    new: int
    """Those whose key the slice does not have."""
    changed: int
    """Those that the slice has with other values."""

    def changes(self, *, source: int, before: int) -> float:
        """Guess how many rows would be inserted, updated and deleted, given the rows of source and slice."""
        new, changed = (source * count / self.rows for count in (self.new, self.changed))
        # Every key of the source that is not new is one of the slice's that stays.
        return new + changed + max(0.0, before - (source - new))

    def least_kept(self, source: int) -> int:
        """Return how many of the source's keys the slice has at least, given the source's rows.

        By Hoeffding's inequality, which holds for draws without replacement too, fewer come in one run of 10^12.
        """
        return max(0, math.floor(source * (1 - self.new / self.rows - math.sqrt(_CERTAINTY / (2 * self.rows)))))


def take_sample(connection: Connection, target: Destination, source: Stage) -> Sample | None:
    """Look some rows up; None where that would not be cheaper than to join all, or nothing was drawn."""
    if source.rows < WORTH_FROM or not target.table.is_unique((*target.key, *target.slice.constants)):
        return None
    number = numbers(source)
    query = _LOOK_UP.format(
        columns=numbered(source),
        stage=source.identifier,
        percent=sql.Literal(100 * ROWS / source.rows),
        table=target.table.identifier,
        slice=target.slice.condition("target"),
        same_key=all_of(
            sql.SQL("{} = new.{}").format(sql.Identifier("target", name), c(number[name])) for name in target.key
        ),
        differs=differs(
            target,
            source,
            lambda name: sql.SQL("old.{}").format(c(number[name])),
            lambda name: sql.SQL("new.{}").format(c(number[name])),
        ),
    )
    rows, new, changed = connection.execute(query).fetchone() or (0, 0, 0)
    return Sample(rows=rows, new=new, changed=changed) if rows else None
