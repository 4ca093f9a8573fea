"""One screen about one schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta, tzinfo
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trending.api.duration import format_duration
from trending.api.status import TargetStatus
from trending.cli.kubectl.list_view import age_style
from trending.cli.kubectl.run_table import runs_table
from trending.cli.kubectl.seen import Seen
from trending.cli.kubectl.times import human_age, local_time, localized

_WIDE: Final = 72
_LONG_BAR, _SHORT_BAR = 20, 10
_SHOWN_RUNS: Final = 3
_LONG: Final = timedelta(days=2)
"""From here on a span is told in days."""
_INDENT: Final = (0, 0, 0, 2)
_GOOD, _BAD, _WARN, _IDLE = ("✓", "green"), ("✗", "red"), ("!", "yellow"), ("·", "dim")
_MARKS: Final = {
    ("Accepted", "True"): _GOOD,
    ("Accepted", "False"): _BAD,
    ("Fresh", "True"): _GOOD,
    ("Fresh", "False"): _BAD,
    ("Succeeded", "True"): _GOOD,
    ("Succeeded", "False"): _BAD,
    ("Progressing", "True"): ("▸", "cyan"),
    ("CadenceAtRisk", "True"): _WARN,
    ("CadenceAtRisk", "False"): _GOOD,
}
_PLAIN: Final = {
    ("Accepted", "True"): "accepted",
    ("Accepted", "False"): "not accepted",
    ("Fresh", "True"): "fresh",
    ("Fresh", "False"): "not fresh",
    ("Succeeded", "True"): "last run succeeded",
    ("Succeeded", "False"): "last run failed",
    ("Progressing", "True"): "running",
    ("Progressing", "False"): "idle",
    ("CadenceAtRisk", "True"): "runs are slow",
    ("CadenceAtRisk", "False"): "runs are quick enough",
}


def status_view(seen: Seen, *, width: int, zone: tzinfo | None = None) -> RenderableType:
    """Return the screen of that width; times are those of `zone`, the machine's own by default."""
    parts: list[RenderableType] = [_headline(seen, zone), Padding(_when(seen, zone), _INDENT)]
    parts += _section("Data", _targets(seen, _LONG_BAR if width >= _WIDE else _SHORT_BAR))
    if seen.runs:
        parts += _section("Last runs", runs_table(seen.runs[:_SHOWN_RUNS], seen.now, zone=zone))
    if seen.schedule.status.conditions:
        parts += _section("Conditions", _conditions(seen, zone))
    if seen.advice:
        parts += _section("What to do", _advice(seen.advice))
    return Group(*parts)


def _section(title: str, content: RenderableType) -> list[RenderableType]:
    return [Text(), Text(title, style="bold"), Padding(content, _INDENT)]


def _headline(seen: Seen, zone: tzinfo | None) -> Text:
    """Say whose screen it is and whether the data are fresh."""
    schedule, stale = seen.schedule, seen.verdict.stale_time
    line = Text.assemble((schedule.name, "bold"), f" in {schedule.namespace}: ")
    if seen.verdict.fresh:
        line.append("fresh", "bold green")
        line.append(f" until {local_time(stale, seen.now, zone)}" if stale else "")
    else:
        line.append("not fresh", "bold red")
        line.append(f", since {local_time(stale, seen.now, zone)}" if stale else ", it has no data")
    if schedule.spec.suspend:
        line.append(", suspended", "yellow")
    return line


def _when(seen: Seen, zone: tzinfo | None) -> Table:
    spec = seen.schedule.spec
    table = _grid()
    expression = "" if spec.schedule in seen.words else f"  {spec.schedule}"
    table.add_row("runs", Text.assemble(seen.words, (expression, "dim")))
    if seen.next_runs:
        first, *others = (local_time(moment, seen.now, zone) for moment in seen.next_runs)
        wait = seen.next_runs[0] - seen.now
        when = f"in {human_age(wait)}" if wait > timedelta(0) else "due"
        table.add_row("next", f"{first} ({when}), {', '.join(others)}".removesuffix(", "))
    else:
        table.add_row("next", Text("none: " + _why_none(seen), style="yellow"))
    return table


def _why_none(seen: Seen) -> str:
    if seen.schedule.spec.suspend:
        return "it is suspended"
    accepted = seen.condition("Accepted")
    return "it is not accepted" if accepted and accepted.status == "False" else "no slot is known"


def _targets(seen: Seen, bar: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="ellipsis", no_wrap=True, max_width=32)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    for target in seen.targets:
        table.add_row(target.name, *_freshness(target, seen, bar))
    return table


def _freshness(target: TargetStatus, seen: Seen, length: int) -> tuple[Text, Text, Text]:
    """Return a bar of that length of the age against what is allowed, both in words, and the rows."""
    rows = Text("" if target.rows is None else f"{target.rows:,} row{'' if target.rows == 1 else 's'}", style="dim")
    if target.data_timestamp is None or target.stale_time is None:
        return Text("─" * length, "red"), Text("no data yet", "red"), rows
    age, allowed = seen.now - target.data_timestamp, target.stale_time - target.data_timestamp
    filled = min(length, max(0, round(length * (age / allowed)))) if allowed else length
    style = age_style(target.data_timestamp, target.stale_time, seen.now)
    bar = Text.assemble(("━" * filled, style), ("─" * (length - filled), "dim"))
    limit = human_age(allowed) if allowed >= _LONG else format_duration(allowed)
    words = Text.assemble((human_age(age), style), f" of {limit}")
    return bar, words, rows


def _conditions(seen: Seen, zone: tzinfo | None) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column()
    for condition in seen.schedule.status.conditions:
        said = (condition.type, condition.status)
        mark, style = _MARKS.get(said, _IDLE)
        plain = _PLAIN.get(said, f"{condition.type} {condition.status}: {condition.reason}")
        if condition.reason == "WaitingForPod":
            plain, style = "waits for its pod", "yellow"
        since = f"for {human_age(seen.now - condition.last_transition_time)}"
        message = Text(localized(condition.message, seen.now, zone), "" if style == "red" else "dim")
        table.add_row(Text(mark, style), plain, Text(since, "dim"), message)
    return table


def _advice(advice: Iterable[str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for sentence in advice:
        table.add_row(Text("→", "bold yellow"), Text.assemble(*_commands_in_bold(sentence)))
    return table


def _commands_in_bold(sentence: str) -> Iterator[tuple[str, str]]:
    """Draw what stands between backticks as something to type."""
    for index, part in enumerate(sentence.split("`")):
        yield (f"`{part}`", "bold") if index % 2 else (part, "")


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    return table
