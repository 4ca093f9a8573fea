"""What a person sees of a plan: the findings, then tables of what would be done."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trending.api.instant import format_precise
from trending.runner.planned import PlannedRefresh, PlannedRewrite, RunPlan

_MARKS = {"error": "[red]✗[/]", "warning": "[yellow]![/]", "ok": "[green]✓[/]"}


def print_plan(plan: RunPlan, *, exit_code: int | None = None) -> None:
    """Print it on standard output, with colours where that is a terminal.

    `exit_code` is that of who made the plan, where it was read from JSON, which does not say what may pass.
    """
    console = Console(emoji=False)
    for finding in plan.preflight:
        console.print(
            f"{_MARKS[finding.level]} [bold]{escape(finding.where)}[/]: {escape(finding.sentence)}", soft_wrap=True
        )
    if plan.refresh:
        console.print(_refreshes(plan))
    if plan.rewrite:
        console.print(_rewrites(plan))
    for each in plan.rewrite:
        for colour, text in (("red", each.error), ("dim", each.why), ("dim", each.note)):
            if text:
                console.print(f"[{colour}]rewrite {escape(each.name)}: {escape(text)}[/]", soft_wrap=True)
    if plan.data_timestamp:
        console.print(
            f"[dim]Planned for {format_precise(plan.data_timestamp)} with the views as they are now: a run refreshes "
            "them first, and may find more to change. Nothing was written; time and WAL are those of earlier runs.[/]",
            soft_wrap=True,
        )
    console.print(_verdict(plan.exit_code if exit_code is None else exit_code))


def _refreshes(plan: RunPlan) -> Table:
    table = Table("refresh", "how", "about", "WAL", "why", box=None, pad_edge=False, header_style="bold")
    for each in plan.refresh:
        table.add_row(escape(each.name), each.mode or "[red]not[/]", _seconds(each), _wal(each), escape(each.why))
    return table


def _rewrites(plan: RunPlan) -> Table:
    table = Table("rewrite", "how", "rows", "about", "WAL", box=None, pad_edge=False, header_style="bold")
    for each in plan.rewrite:
        how = "[red]fails[/]" if each.error else "not due" if not each.due else each.strategy or "unknown"
        table.add_row(escape(each.name), how, _rows(each), _seconds(each), _wal(each))
    return table


def _rows(each: PlannedRewrite) -> str:
    """Say what would change, as a run's report does: `+12 ~3 -4 =100`."""
    if each.rows_inserted is None:
        return ""
    return f"+{each.rows_inserted} ~{each.rows_updated} -{each.rows_deleted} ={each.rows_unchanged}"


def _seconds(each: PlannedRefresh | PlannedRewrite) -> str:
    return "no history yet" if each.seconds is None else f"{each.seconds:.1f} s"


def _wal(each: PlannedRefresh | PlannedRewrite) -> str:
    return "" if each.wal_bytes is None else f"{each.wal_bytes / 1e6:.1f} MB"


def _verdict(exit_code: int) -> str:
    if exit_code == 0:
        return "[green]A run would work.[/]"
    return "[red]A run would fail: correct what is marked above.[/]" if exit_code == 2 else "[yellow]Try again.[/]"
