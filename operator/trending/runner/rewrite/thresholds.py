"""Where one strategy becomes cheaper than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

Connection = psycopg.Connection[Any]

IN_PARTITIONS: Final = "merge_below/partitioned"
IN_A_PLAIN_TABLE: Final = "merge_below/plain"

DEFAULTS: Final = {IN_PARTITIONS: 0.20, IN_A_PLAIN_TABLE: 0.75}
"""Shares of changed rows (of the larger of slice and source, 0 to 1) up to which Merge is the cheaper one.

`merge_below/partitioned`, against Swap: measured with PostgreSQL 15.18 on two cores, 4 M rows a slice, six indexes.
Merge took 29 s of CPU and 817 MB of WAL at 10 %, 97 s and 2276 MB at 60 %; Swap 68 to 75 s and 813 MB at any share.
They cross at 39 % by CPU, at 10 % by WAL, and at 10 to 12 % by time where parallel workers build Swap's indexes. The
default lies between, at the geometric mean, so that neither is paid more than twice over.
`merge_below/plain`, against DeleteInsert: likewise, 500,000 rows a slice, two slices, by `trending bench`, CPU and WAL.
Merge took 2.0 s at 0 %, 18.5 s and 327 MB at 60 %; DeleteInsert 22 to 24 s and 403 to 424 MB once its table was in the
steady state, and more than that after a load or after Merge, which is what Auto meets: they cross at 75 to 80 %.
"""


@dataclass(frozen=True)
class Threshold:
    """A share of changed rows, 0 to 1, and where it is from."""

    share: float
    is_measured: bool = False
    """By `trending bench`, on this database."""


def read_threshold(connection: Connection, name: str) -> Threshold:
    """Return what `trending bench` measured on this database, where it has and the role may read it, or the default."""
    query = "SELECT coalesce(has_table_privilege(to_regclass('trending.threshold'), 'SELECT'), false)"
    if connection.execute(query).fetchone() == (True,):
        row = connection.execute("SELECT value FROM trending.threshold WHERE name = %s", [name]).fetchone()
        if row is not None:
            return Threshold(row[0], is_measured=True)
    return Threshold(DEFAULTS[name])
