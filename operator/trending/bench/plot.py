"""The plot as a picture, drawn by matplotlib where that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trending.bench.campaign import STRATEGIES
from trending.bench.report import Cell, Findings, Spread
from trending.bench.yard import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = dict(zip(STRATEGIES, ("#0072b2", "#cc79a7", "#e69f00", "#d55e00", "#009e73"), strict=True))


class NoPlotError(Exception):
    """There can be no picture; a sentence."""


def check_plot(path: Path) -> None:
    """Raise NoPlotError where a picture could not be drawn or written, before the work is done."""
    if find_spec("matplotlib") is None:
        raise NoPlotError("--plot needs matplotlib: install trending-operator[plot]")
    if not path.absolute().parent.is_dir():
        raise NoPlotError(f"--plot: there is no folder {path.parent}")


def draw(findings: Findings, path: Path, *, title: str) -> None:
    """Write a PNG: cost and WAL over the share of changed rows, a row of two plots for each kind of table."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = findings.kinds
    figure = Figure(figsize=(11, 4.2 * len(kinds)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(kinds), 2, squeeze=False)
    for row, kind in zip(axes, kinds, strict=True):
        has_cpu = all(run.cpu is not None for run in findings.runs)
        _panel(row[0], findings, kind, unit=1.0, what="CPU seconds" if has_cpu else "seconds", is_wal=False)
        _panel(row[1], findings, kind, unit=1e6, what="WAL, MB", is_wal=True)
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=120)


def _panel(axes: Axes, findings: Findings, kind: Kind, *, unit: float, what: str, is_wal: bool) -> None:
    shares = findings.shares(kind)
    for strategy in STRATEGIES:
        cells = [cell for share in shares if (cell := findings.cell(kind, share, strategy))]
        if not cells:
            continue
        spreads = [_shown(cell, is_wal=is_wal) for cell in cells]
        middle = [spread.median / unit for spread in spreads]
        errors = [
            [(spread.median - spread.least) / unit for spread in spreads],
            [(spread.most - spread.median) / unit for spread in spreads],
        ]
        axes.errorbar(
            [cell.share * 100 for cell in cells],
            middle,
            yerr=errors,
            label=strategy,
            color=_COLOURS[strategy],
            marker="o",
            capsize=3,
            linestyle="--" if strategy == "Auto" else "-",
            linewidth=2.4 if strategy == "Auto" else 1.4,
        )
    axes.set_title(f"{kind} table")
    axes.set_xlabel("rows that change, %")
    axes.set_ylabel(what)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _shown(cell: Cell, *, is_wal: bool) -> Spread:
    return cell.wal if is_wal else cell.cost
