"""How much of a slice a run may delete: a broken source must not empty a ranking."""

from __future__ import annotations

from trending.runner.failure import BadDataError
from trending.runner.goal import Goal
from trending.runner.rewrite.strategy import Plan
from trending.runner.stage import Stage


def check_source(goal: Goal, source: Stage) -> None:
    """Raise BadDataError where the source has no rows and the target does not say that it may.

    It is judged by the source alone, whatever the slice holds: a first run that finds nothing is as broken as a later.
    """
    if not source.rows and not goal.allow_empty:
        raise BadDataError(
            f"{goal.where}.query: it returned no rows, which would empty the slice {goal.slice.canonical}; nothing was "
            f"written. If it may, write allowEmpty: true in {goal.where}"
        )


def check_deletions(goal: Goal, plan: Plan) -> None:
    """Raise BadDataError where more of the slice's rows would be gone afterwards than maxDeletePercent allows.

    A row is gone if its key is: what DeleteInsert and Swap write again counts as kept. A source without rows has been
    allowed by allowEmpty, whatever the percentage; a slice without rows has none to lose.
    """
    if plan.source.rows and plan.vanishing * 100 > goal.max_delete_percent * plan.before:
        raise BadDataError(
            f"{goal.where}: {plan.vanishing:,} of the slice's {plan.before:,} rows would be deleted, and "
            f"maxDeletePercent allows {goal.max_delete_percent} %; nothing was written. Look at the query's rows; if "
            f"they are right, raise {goal.where}.maxDeletePercent"
        )
