"""Where Merge stops to be the cheaper one, and the place in the ledger where Auto finds it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import psycopg

from trending.api.spec import Strategy
from trending.bench.report import Findings
from trending.bench.yard import Kind

Connection = psycopg.Connection[Any]

RIVALS: Final[dict[Kind, Strategy]] = {"plain": "DeleteInsert", "partitioned": "Swap"}
"""What Auto takes where Merge would be dearer."""

_STORE: Final = """
    INSERT INTO trending.threshold (name, value, measured_at, measured_by) VALUES (%s, %s, now(), %s)
    ON CONFLICT (name) DO UPDATE
    SET value = excluded.value, measured_at = excluded.measured_at, measured_by = excluded.measured_by
"""


def thresholds(findings: Findings) -> dict[Kind, float]:
    """Return for each kind of table the share of changed rows below which Merge costs less (CPU time, else time)."""
    found: dict[Kind, float] = {}
    for kind, rival in RIVALS.items():
        points = []
        for share in findings.shares(kind):
            merge, other = findings.cell(kind, share, "Merge"), findings.cell(kind, share, rival)
            if merge and other and set(other.ran) == {rival}:
                points.append((share, merge.cost.median - other.cost.median))
        if len(points) > 1:
            found[kind] = crossing(points)
    return found


def crossing(points: Sequence[tuple[float, float]]) -> float:
    """Return the share at which Merge's extra cost passes zero for good, between 0 and 1.

    `points` are at least two pairs (share, what Merge costs more than its rival), shares ascending. Between them the
    cost is taken for a straight line, and so it is beyond the last.
    """
    if points[-1][1] <= 0:
        (share, extra), (last, last_extra) = points[-2:]
        rise = (last_extra - extra) / (last - share)
        return min(1.0, last - last_extra / rise) if rise > 0 else 1.0
    for (share, extra), (next_share, next_extra) in reversed(list(pairwise(points))):
        if extra <= 0 < next_extra:
            return share + (next_share - share) * extra / (extra - next_extra)
    return 0.0


def store(connection: Connection, found: dict[Kind, float], *, measured_by: str) -> None:
    """Write the thresholds where Auto reads them; the others stay as they are."""
    for kind, share in found.items():
        connection.execute(_STORE, [f"merge_below/{kind}", share, measured_by])
