"""All checks in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from trending.api.spec import TrendingScheduleSpec
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.ledger import check_ledger, check_others
from trending.runner.preflight.server import check_server
from trending.runner.preflight.targets import Checked, check_targets
from trending.runner.preflight.views import check_views
from trending.runner.view import View

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What the checks have found of the database, besides the findings."""

    has_ledger: bool
    """Whether the ledger can be read."""
    views: dict[str, View]
    """The views to refresh that are there."""
    targets: list[Checked]
    """The targets whose table, slice and key are there."""


def check(
    connection: Connection,
    spec: TrendingScheduleSpec,
    findings: Findings,
    *,
    namespace: str,
    schedule: str,
    now: datetime,
) -> Preflight:
    """Look at everything that a run of this spec needs. Call it within a transaction that is rolled back: queries are
    looked at as temporary views.

    What is wrong is in `findings`. Raises psycopg.Error only where the connection is lost.
    """
    check_server(connection, spec, findings)
    has_ledger = check_ledger(connection, findings)
    views = check_views(connection, spec.refresh, findings)
    targets = check_targets(connection, spec.rewrite, now, findings)
    for target in targets:
        _check_populated(target, views, findings)
    if has_ledger:
        check_others(connection, [each.goal for each in targets], findings, ours=(namespace, schedule))
    return Preflight(has_ledger=has_ledger, views=views, targets=targets)


def _check_populated(target: Checked, views: dict[str, View], findings: Findings) -> None:
    where = f"{target.goal.where}.query"
    refreshed = {view.oid for view in views.values()}
    for read in target.source.reads if target.source else ():
        if not read.is_unpopulated_view:
            continue
        if read.oid in refreshed:
            findings.warning(
                where,
                f"it reads {read.qualified}, which was never populated; a run refreshes it first, and until then "
                "nobody can tell which rows would change",
            )
        else:
            findings.error(
                where,
                f"it reads {read.qualified}, which was never populated: put it into spec.refresh, before all else",
            )
