"""Which runs are measured, and in which order: every comparison is between rivals in alternation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from trending.api.spec import Strategy
from trending.bench.measure import Bench, Measured
from trending.bench.yard import Kind, Yard

STRATEGIES: Final[tuple[Strategy, ...]] = ("Merge", "Swap", "DeleteInsert", "Upsert", "Auto")
FLAT: Final[tuple[Strategy, ...]] = ("Swap", "DeleteInsert")
"""Those that write every row, and cost the same whatever share has changed."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What is to be measured."""

    kinds: Sequence[Kind]
    strategies: Sequence[Strategy]
    shares: Sequence[float]
    """Of the slice's rows that change, from 0 to 1."""
    rounds: int
    once: Sequence[Strategy] = ()
    """Those to measure once a round, at the second of the shares (or the only one)."""
    minutes: float | None = None
    """After these no other share is begun."""

    def strategies_for(self, kind: Kind) -> list[Strategy]:
        """Return those that this kind of table can be rewritten with: Swap needs partitions."""
        return [strategy for strategy in self.strategies if kind == "partitioned" or strategy != "Swap"]

    def strategies_at(self, kind: Kind, share: float, round_: int) -> list[Strategy]:
        """Return those to measure at this share in this round (from 1), in an order that turns from round to round."""
        one = self.shares[min(1, len(self.shares) - 1)]
        due = [each for each in self.strategies_for(kind) if each not in self.once or share == one]
        turn = (round_ - 1) % len(due) if due else 0
        return due[turn:] + due[:turn]

    @property
    def runs(self) -> int:
        """How many runs there are to measure."""
        rounds = range(1, self.rounds + 1)
        return sum(
            len(self.strategies_at(kind, share, round_))
            for kind in self.kinds
            for share in self.shares
            for round_ in rounds
        )


class Listener(Protocol):
    """Hears how a campaign goes."""

    def says(self, text: str) -> None:
        """Hear what is done now."""
        ...

    def measured(self, result: Measured) -> None:
        """Hear a result."""
        ...


def carry_out(campaign: Campaign, bench: Bench, yard: Yard, *, listener: Listener) -> bool:
    """Measure it all, telling the listener each result as it comes; return whether time was enough.

    Raises BenchError, and KeyboardInterrupt when stopped.
    """
    ends = time.monotonic() + campaign.minutes * 60 if campaign.minutes is not None else float("inf")
    listener.says("making the source")
    yard.lay_out()
    for kind in campaign.kinds:
        for strategy in campaign.strategies_for(kind):
            listener.says(f"making the {kind} table for {strategy}")
            bench.build(kind, strategy)
        for round_ in range(1, campaign.rounds + 1):
            for share in campaign.shares:
                if time.monotonic() > ends:
                    return False
                listener.says(f"{kind}, round {round_}: changing {share:.0%} of the source")
                yard.move_on(share)
                for strategy in campaign.strategies_at(kind, share, round_):
                    listener.says(f"{kind}, round {round_}, {share:.0%} changed: {strategy}")
                    listener.measured(bench.measure(kind, strategy, share=share, round_=round_))
        for strategy in campaign.strategies_for(kind):
            yard.remove(kind, strategy)
    return True
