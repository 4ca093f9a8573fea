"""What a person sees of a bench: a table and bars for each kind of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from trending.bench.machine import Machine
from trending.bench.report import Cell, Findings, Spread
from trending.bench.threshold import RIVALS
from trending.bench.work import Bout
from trending.bench.yard import Kind

_COLOURS: Final = {"Merge": "cyan", "Swap": "magenta", "DeleteInsert": "yellow", "Upsert": "red", "Auto": "green"}
_WIDEST: Final = 48
"""Characters of the longest bar."""


def print_bout(console: Console, bout: Bout) -> None:
    """Print where it was measured, the tables, the plots and the thresholds."""
    findings = bout.findings
    for line in describe(bout.machine, bout.parameters):
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
    for kind in findings.kinds:
        console.print()
        console.print(_table(findings, kind))
        console.print(Text(_fine_print(findings, kind), style="dim"))
    for kind in findings.kinds:
        console.print()
        for bar in _bars(findings, kind):
            console.print(bar)
    for line in (*_thresholds(bout), *([bout.note] if bout.note else [])):
        console.print(line, highlight=False)


def describe(machine: Machine, parameters: dict[str, Any]) -> Iterator[str]:
    """Say in lines what the figures were measured on and with."""
    yield machine.server
    yield ", ".join(f"{name} {value}" for name, value in machine.settings.items())
    yield (
        f"this machine: {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}, "
        f"load average {machine.load_average} at the beginning"
    )
    if not machine.is_local:
        yield "the server's processes cannot be seen from here, so no CPU time is told: only time and WAL"
    session = ", ".join(f"{name} {value}" for name, value in parameters["settings"].items())
    yield f"{parameters['rows']:,} rows a slice, {parameters['slices']} slices a table; of the runs: {session}"


def _thresholds(bout: Bout) -> Iterator[str]:
    for kind, share in bout.thresholds.items():
        where = f"; stored in trending.threshold as merge_below/{kind}" if bout.are_stored else ""
        yield f"{kind} table: Merge costs less than {RIVALS[kind]} where fewer than {share:.1%} change{where}"


def _table(findings: Findings, kind: Kind) -> Table:
    table = Table(title=f"{kind} table: median (least to most)", title_justify="left", box=None, pad_edge=False)
    table.add_column("changed", justify="right")
    table.add_column("strategy")
    for heading in ("runs", "seconds", "CPU seconds", "WAL MB", "VACUUM s", "VACUUM MB", "x best"):
        table.add_column(heading, justify="right")
    for share in findings.shares(kind):
        best = findings.best(kind, share)
        for index, cell in enumerate(findings.cells(kind, share)):
            ratio = cell.cost.median / best.cost.median if best and best.cost.median else None
            table.add_row(
                f"{share:.0%}" if index == 0 else "",
                Text(_name(cell), style=_COLOURS.get(cell.label, "")),
                str(cell.runs),
                _spread(cell.wall),
                _spread(cell.cpu) if cell.cpu else "",
                _spread(cell.wal, 1e6),
                f"{cell.vacuum_wall.median:.2f}",
                f"{cell.vacuum_wal.median / 1e6:.1f}",
                "" if ratio is None else f"{ratio:.2f}",
            )
        table.add_section()
    return table


def _fine_print(findings: Findings, kind: Kind) -> str:
    by = "CPU time" if all(run.cpu is not None for run in findings.runs) else "time"
    lines = [f"x best: {by} as a multiple of the best fixed strategy's; the source query is in all of them."]
    if any(cell.is_of_other_shares for share in findings.shares(kind) for cell in findings.cells(kind, share)):
        lines.append("*: all of its runs, at whatever share; it writes every row anyway.")
    return "\n".join(lines)


def _name(cell: Cell) -> str:
    others = [ran for ran in cell.ran if ran != cell.label.split(",")[0]]
    did = f" ({', '.join(f'{ran} {cell.ran[ran]}x' for ran in others)})" if others else ""
    return f"{cell.label}{'*' if cell.is_of_other_shares else ''}{did}"


def _bars(findings: Findings, kind: Kind) -> Iterator[RenderableType]:
    cells = {share: findings.cells(kind, share) for share in findings.shares(kind)}
    longest = max((cell.cost.median for row in cells.values() for cell in row), default=0) or 1.0
    by = "CPU seconds" if any(cell.cpu for row in cells.values() for cell in row) else "seconds"
    yield Text(f"{kind} table, {by}", style="bold")
    for share, row in cells.items():
        yield Text(f"{share:.0%} changed")
        for cell in row:
            bar = "█" * max(1, round(_WIDEST * cell.cost.median / longest))
            colour = _COLOURS.get(cell.label, "bright_black")
            yield Text.assemble(f"  {cell.label:<24}", (bar, colour), f" {cell.cost.median:.2f}")


def _spread(spread: Spread, unit: float = 1) -> str:
    values = [spread.median / unit, spread.least / unit, spread.most / unit]
    digits = 0 if values[0] >= 100 else 1 if values[0] >= 10 else 2
    middle, least, most = (f"{value:.{digits}f}" for value in values)
    return f"{middle} ({least} to {most})"
