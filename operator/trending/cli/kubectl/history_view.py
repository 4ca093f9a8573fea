"""A schedule's last runs, and what is not known of them any more."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from statistics import median

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trending.api.duration import format_duration
from trending.api.status import LastRun, Step
from trending.cli.kubectl.past_runs import PastRun, not_kept
from trending.cli.kubectl.run_table import format_bytes, runs_table, sparkline
from trending.cli.kubectl.seen import Seen
from trending.cli.kubectl.times import local_time, localized


def history_view(seen: Seen, *, steps: bool = False, zone: tzinfo | None = None) -> RenderableType:
    """Return a table of runs, newest first, with each one's steps where asked for; times are those of `zone`."""
    parts: list[RenderableType] = []
    if not seen.runs:
        parts.append(Text(f"No run of {seen.schedule.name} is known here."))
    else:
        parts += [runs_table(seen.runs, seen.now, zone=zone), *_durations(seen)]
    parts += [part for run in seen.runs for part in _told(run, seen, zone=zone, steps=steps)]
    parts.append(Text())
    parts += [Text(sentence, "dim") for sentence in not_kept(seen.schedule, seen.runs)]
    return Group(*parts)


def _durations(seen: Seen) -> list[RenderableType]:
    spans = [run.duration for run in seen.runs if run.duration is not None]
    if len(spans) <= 1:
        return []
    middle = format_duration(timedelta(seconds=median(span.total_seconds() for span in spans)))
    longest = format_duration(max(spans))
    return [Text(), Text.assemble("took  ", sparkline(seen.runs), f"  median {middle}, longest {longest}")]


def _told(run: PastRun, seen: Seen, *, zone: tzinfo | None, steps: bool) -> list[RenderableType]:
    """Return what is to say of one run: why it did not succeed, and its steps where asked for."""
    if run.ended is None:
        return []
    good = run.ended.result == "Succeeded"
    if good and not steps:
        return []
    started = local_time(run.start, seen.now, zone) if run.start else run.job
    line = Text.assemble((started, "bold"), " ", (run.job, "dim"), " ")
    line.append(localized(run.ended.message or "", seen.now, zone), "" if good else "red")
    parts: list[RenderableType] = [Text(), line]
    if steps and run.ended.steps:
        parts.append(Padding(steps_table(run.ended.steps), (0, 0, 0, 2)))
    return parts


def ended_view(last: LastRun, now: datetime, *, zone: tzinfo | None = None) -> RenderableType:
    """Return what a run that has just ended did, and how it ended, in a sentence."""
    style = {"Succeeded": "green", "Superseded": "yellow"}.get(last.result, "bold red")
    line = Text.assemble((last.result, style), f" in {last.duration}" if last.duration else "")
    line.append(f": {localized(last.message, now, zone)}" if last.message else "")
    return Group(steps_table(last.steps), line) if last.steps else line


def steps_table(steps: tuple[Step, ...]) -> Table:
    """Return a line a step, as the status has them."""
    table = Table("STEP", "HOW", "TIME", "ROWS", "WAL", "NOTE", box=None, pad_edge=False, header_style="dim")
    for step in steps:
        how = step.mode or step.strategy or ("" if step.seconds is not None else "not done")
        table.add_row(
            Text(f"{step.action.lower()} {step.name}"),
            Text(how),
            Text("" if step.seconds is None else f"{step.seconds:.1f} s", justify="right"),
            Text(_rows(step)),
            Text("" if step.wal_bytes is None else format_bytes(step.wal_bytes), justify="right"),
            Text(step.note or "", "dim"),
        )
    for column in table.columns[:-1]:
        column.no_wrap = True
    return table


def _rows(step: Step) -> str:
    if step.rows_inserted is None:
        return ""
    return f"+{step.rows_inserted} ~{step.rows_updated} -{step.rows_deleted} ={step.rows_unchanged}"
