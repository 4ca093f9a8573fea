"""What the measured runs come to: medians with their spread for each kind of table, share and strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from trending.bench.campaign import FLAT, STRATEGIES
from trending.bench.machine import Machine
from trending.bench.measure import Measured
from trending.bench.yard import Kind

FIRST: Final = "DeleteInsert, first run"
"""The one after a compact load: it splits nearly every index page, and is its worst."""
_LABELS: Final = (*STRATEGIES[:2], FIRST, *STRATEGIES[2:])


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum them up; there must be one at least."""
        known = list(values)
        return cls(median(known), min(known), max(known))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One strategy at one share on one kind of table."""

    kind: Kind
    share: float
    label: str
    """The strategy, or FIRST."""
    runs: int
    wall: Spread
    """Seconds."""
    cpu: Spread | None
    """Seconds; None where the server is not on this machine."""
    wal: Spread
    """Bytes."""
    vacuum_wall: Spread
    """Seconds of the VACUUM afterwards."""
    vacuum_wal: Spread
    """Bytes of the VACUUM afterwards."""
    changed: float
    """Rows, the median."""
    ran: dict[str, int]
    """How often which strategy did it: Auto's choices, and what others fell back to."""
    is_of_other_shares: bool = False
    """Measured at another share, which makes no difference to it."""

    @property
    def cost(self) -> Spread:
        """CPU time where it is known, else time."""
        return self.cpu or self.wall


@dataclass(frozen=True)
class Findings:
    """The measurements of a bench, and what they come to."""

    runs: Sequence[Measured]

    def shares(self, kind: Kind) -> list[float]:
        """Return the shares that were measured on this kind of table."""
        return sorted({run.share for run in self.runs if run.kind == kind})

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of tables that were measured."""
        return list(dict.fromkeys(run.kind for run in self.runs))

    def cell(self, kind: Kind, share: float, label: str) -> Cell | None:
        """Return one strategy's figures; None where it was not measured there."""
        runs = [run for run in self.runs if run.kind == kind and _label(run) == label]
        here = [run for run in runs if run.share == share]
        if not here and label not in FLAT:
            return None
        chosen = here or runs
        if not chosen:
            return None
        cpus = [run.cpu for run in chosen if run.cpu is not None]
        return Cell(
            kind=kind,
            share=share,
            label=label,
            runs=len(chosen),
            wall=Spread.of(run.wall for run in chosen),
            cpu=Spread.of(cpus) if len(cpus) == len(chosen) else None,
            wal=Spread.of(run.wal for run in chosen),
            vacuum_wall=Spread.of(run.vacuum_wall for run in chosen),
            vacuum_wal=Spread.of(run.vacuum_wal for run in chosen),
            changed=median(run.changed for run in chosen),
            ran=dict(Counter(run.ran for run in chosen)),
            is_of_other_shares=not here,
        )

    def cells(self, kind: Kind, share: float) -> list[Cell]:
        """Return all strategies' figures, rivals of each other."""
        found = [self.cell(kind, share, label) for label in _LABELS]
        return [cell for cell in found if cell is not None]

    def best(self, kind: Kind, share: float) -> Cell | None:
        """Return the fixed strategy that costs least here (median CPU time, else time), later runs counted only."""
        fixed = [cell for cell in self.cells(kind, share) if cell.label not in ("Auto", FIRST)]
        return min(fixed, key=lambda cell: cell.cost.median, default=None)

    def auto_to_best(self, kind: Kind, share: float) -> float | None:
        """Return what Auto costs as a multiple of the best fixed strategy."""
        best, auto = self.best(kind, share), self.cell(kind, share, "Auto")
        if best is None or auto is None or best.cost.median == 0:
            return None
        return auto.cost.median / best.cost.median

    def to_json(self, machine: Machine, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return all of it for programs: what it was measured on and with, each run, the medians."""
        places = [(kind, share) for kind in self.kinds for share in self.shares(kind)]
        return {
            "machine": machine.to_json(),
            "parameters": parameters,
            "cells": [asdict(cell) for place in places for cell in self.cells(*place)],
            "autoToBest": [
                {"kind": kind, "share": share, "ratio": ratio}
                for kind, share in places
                if (ratio := self.auto_to_best(kind, share)) is not None
            ],
            "runs": [asdict(run) for run in self.runs],
        }


def _label(run: Measured) -> str:
    return FIRST if run.strategy == "DeleteInsert" and run.nth == 1 else run.strategy
