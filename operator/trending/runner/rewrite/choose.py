"""Which strategy rewrites a target, judged by what would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from trending.runner.failure import ConfigurationError
from trending.runner.goal import Goal
from trending.runner.rewrite.delete_insert import DeleteInsert
from trending.runner.rewrite.dependents import reason_to_touch_few
from trending.runner.rewrite.limits import check_deletions, check_source, meet_within_limits
from trending.runner.rewrite.merge import Merge
from trending.runner.rewrite.moves import check_entries
from trending.runner.rewrite.sample import Sample, take_sample
from trending.runner.rewrite.strategy import Destination, Met, Plan, Strategy, count_rows, plan_all_anew
from trending.runner.rewrite.thresholds import IN_A_PLAIN_TABLE, IN_PARTITIONS, Threshold, read_threshold
from trending.runner.rewrite.upsert import Upsert
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]

_SMALL: Final = 1000
"""Rows of slice and source up to which nothing but Merge pays: making a partition costs more than writing these."""
_JOIN: Final = 0.025
"""What Merge's join costs, as a share of changed rows: 5.5 s for 4 M rows, where each changed row costs 50 to 73 us.
Once the join is done only its writes are left to save."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How the slice is to be rewritten; the deletions are within the target's limits."""

    plan: Plan
    strategy: Strategy | None
    """None for Swap, which takes transactions of its own."""
    why: str | None = None
    """For the step, where the choice was ours."""


def choose(
    connection: Connection,
    goal: Goal,
    target: Destination,
    source: Stage,
    *,
    swap_obstacle: str | None,
    rows_before: int | None,
) -> Choice:
    """Take the strategy that the target names, or the cheapest; within the transaction that the stage was filled in.

    `swap_obstacle` says why the slice cannot be swapped, None where it can; `rows_before` is how many rows the slice
    had after its last rewrite, where that is known. Raises ConfigurationError for a strategy that cannot be;
    BadDataError where the source is empty or has rows that a unique index does not allow, or more would be deleted than
    the target allows. Writes nothing.
    """
    check_source(goal, source)
    check_entries(connection, goal, source)
    if goal.strategy == "Auto":
        choice = _Auto(connection, goal, target, source, swap_obstacle, rows_before).choose()
    else:
        choice = _named(connection, goal, target, source, swap_obstacle)
    check_deletions(goal, choice.plan)
    return choice


def check_swap(goal: Goal, obstacle: str | None) -> None:
    """Raise ConfigurationError where the target asks for Swap and something is in its way."""
    if goal.strategy == "Swap" and obstacle:
        raise ConfigurationError(f"{goal.where}: strategy Swap cannot be: {obstacle}; use Auto or another one")


def _named(connection: Connection, goal: Goal, target: Destination, source: Stage, swap_obstacle: str | None) -> Choice:
    if goal.strategy == "Swap":
        check_swap(goal, swap_obstacle)
        met = meet_within_limits(connection, goal, target, source, take_sample(connection, target, source))
        return Choice(plan=plan_all_anew(target, source, met), strategy=None)
    strategies: dict[str, type[Merge | DeleteInsert | Upsert]] = {
        "Merge": Merge,
        "DeleteInsert": DeleteInsert,
        "Upsert": Upsert,
    }
    strategy = strategies[goal.strategy](connection)
    return Choice(plan=strategy.plan(target, source), strategy=strategy)


@dataclass(frozen=True)
class _Auto:
    """Guesses from a sample whether the join of all rows can pay; if so, has Merge do it, and judges by its result."""

    connection: Connection
    goal: Goal
    target: Destination
    source: Stage
    swap_obstacle: str | None
    rows_before: int | None

    def choose(self) -> Choice:
        obstacle = reason_to_touch_few(self.connection, self.target, self.source)
        threshold = read_threshold(self.connection, IN_A_PLAIN_TABLE if self.swap_obstacle else IN_PARTITIONS)
        if obstacle is None and (sample := take_sample(self.connection, self.target, self.source)):
            before = self._rows_before()
            most = max(before, self.source.rows)
            share = sample.changes(source=self.source.rows, before=before) / most
            if share > threshold.share and self._saves(before):
                met = meet_within_limits(self.connection, self.goal, self.target, self.source, sample)
                return self._anew(met, share, most, threshold, sample)
        merge = Merge(self.connection)
        plan = merge.plan(self.target, self.source)
        most = max(plan.before, self.source.rows)
        share = (plan.inserts + (plan.updates or 0) + plan.deletes) / most if most else 0.0
        saves = self._saves(plan.before) and most > _SMALL
        if obstacle is None and saves and share > threshold.share + _JOIN:
            met = Met(before=plan.before, kept=plan.before - plan.vanishing)
            return self._anew(met, share, most, threshold, None)
        why = f"Auto took Merge: {_percent(share)} of {most:,} rows change"
        if share <= threshold.share:
            why += f", not above {_percent(threshold.share)}{_source(threshold)}"
        elif obstacle:
            why += f", and {obstacle}"
        elif not saves:
            why += ", which are few" if most <= _SMALL else ", into an empty slice"
        else:
            why += f", hardly above {_percent(threshold.share)}"
        return Choice(plan=plan, strategy=merge, why=why)

    def _anew(self, met: Met, share: float, most: int, threshold: Threshold, sample: Sample | None) -> Choice:
        """Have every row written anew."""
        name = "DeleteInsert" if self.swap_obstacle else "Swap"
        why = f"Auto took {name}: {'about ' if sample else ''}{_percent(share)} of {most:,} rows change"
        if sample:
            why += f" (sample of {sample.rows:,})"
        why += f", above {_percent(threshold.share)}{_source(threshold)}"
        if self.swap_obstacle:
            why += f"; Swap cannot be: {self.swap_obstacle}"
        plan = plan_all_anew(self.target, self.source, met)
        return Choice(plan=plan, strategy=DeleteInsert(self.connection) if self.swap_obstacle else None, why=why)

    def _saves(self, before: int) -> bool:
        """Tell whether writing every row anew could save anything: an empty slice of a plain table is filled alike by
        all."""
        return before > 0 or self.swap_obstacle is None

    def _rows_before(self) -> int:
        """Return how many rows the slice has, nearly: this is for a guess."""
        return count_rows(self.connection, self.target) if self.rows_before is None else self.rows_before


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _source(threshold: Threshold) -> str:
    return " as measured here" if threshold.is_measured else ""
