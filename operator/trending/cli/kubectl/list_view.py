"""The table of schedules, most stale first, as narrow as the screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from trending.api.instant import parse_instant
from trending.api.status import TrendingScheduleStatus
from trending.cli.kubectl.times import human_age

_NEVER: Final = "-"
_GAP: Final = 2
_EXPENDABLE: Final = ("AGE", "SUSPEND", "SCHEDULE", "LAST-RUN", "ACTIVE", "RESULT")
"""What a narrow screen goes without, first to last; NEXT says, too, what is suspended."""
_NEARLY: Final = 0.8
"""From this share of what is allowed on, an age is told in yellow."""
_RESULTS: Final = {"Succeeded": "green", "Failed": "red", "DeadlineExceeded": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule, as far as any version of the operator has written it."""

    body: dict[str, Any]
    status: TrendingScheduleStatus

    @classmethod
    def of(cls, body: dict[str, Any]) -> Row:
        """Read an object of the API. The spec is not looked at closely, and a status with words that this version does
        not know counts as none: a newer operator's schedule is listed too."""
        try:
            return cls(body, TrendingScheduleStatus.model_validate(body.get("status") or {}))
        except ValidationError:
            return cls(body, TrendingScheduleStatus())

    def fresh(self, now: datetime) -> bool | None:
        """Tell whether the data are fresh: by the clock, too, since the controller may be gone; None where nothing is
        known."""
        told = next((each.status for each in self.status.conditions if each.type == "Fresh"), "Unknown")
        if told == "True" and self.status.stale_time:
            return now < self.status.stale_time
        return {"True": True, "False": False}.get(told)


def most_stale_first(bodies: Iterable[dict[str, Any]], now: datetime) -> list[Row]:
    """Order schedules: those without data, those that are stale the longest, the unknown, those that go stale next."""

    def key(row: Row) -> tuple[int, datetime, str, str]:
        known = {False: 0, None: 1, True: 2}[row.fresh(now)]
        metadata = row.body["metadata"]
        return known, row.status.stale_time or _LONG_AGO, metadata["namespace"], metadata["name"]

    return sorted(map(Row.of, bodies), key=key)


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def list_table(rows: Sequence[Row], now: datetime, *, everywhere: bool, wide: bool, width: int) -> Table:
    """Return the table of `kubectl get ts`, with ages and colours."""
    cells = [_cells(row, now) for row in rows]
    columns = [*(["NAMESPACE"] if everywhere else []), *_NARROW, *(_WIDE if wide else ())]
    if not wide:
        columns = _fitting(columns, cells, width)
    table = Table(*columns, box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column in table.columns:
        column.no_wrap = True
        column.overflow = "ellipsis"
    for row in cells:
        table.add_row(*(row[column] for column in columns))
    return table


_NARROW: Final = (
    "NAME",
    "SCHEDULE",
    "SUSPEND",
    "ACTIVE",
    "FRESH",
    "DATA-AGE",
    "LAST-RUN",
    "RESULT",
    "NEXT",
    "AGE",
)
_WIDE: Final = ("DURATION", "ROWS", "STRATEGY", "FAILURES")


def _cells(row: Row, now: datetime) -> dict[str, Text]:
    metadata, spec, status = row.body["metadata"], row.body["spec"], row.status
    last, fresh = status.last_run, row.fresh(now)
    rows = last.rows_changed if last else None
    return {
        "NAMESPACE": Text(metadata["namespace"]),
        "NAME": Text(metadata["name"], style="bold"),
        "SCHEDULE": Text(str(spec.get("schedule", _NEVER))),
        "SUSPEND": Text("true", style="yellow") if spec.get("suspend") else Text("false", style="dim"),
        "ACTIVE": Text(str(status.active_count or 0), style="cyan" if status.active_count else "dim"),
        "FRESH": {True: Text("True", "green"), False: Text("False", "bold red"), None: Text("Unknown", "yellow")}[
            fresh
        ],
        "DATA-AGE": _data_age(status, now),
        "LAST-RUN": _age(last.completion_time if last else None, now),
        "RESULT": Text(last.result, style=_RESULTS.get(last.result, "yellow")) if last else Text(_NEVER, "dim"),
        "NEXT": _next(row, now),
        "AGE": _age(parse_instant(metadata["creationTimestamp"]), now),
        "DURATION": Text((last and last.duration) or _NEVER),
        "ROWS": Text(_NEVER if rows is None else f"{rows:,}", justify="right"),
        "STRATEGY": Text((last and last.strategies) or _NEVER),
        "FAILURES": Text(str(status.consecutive_failures or 0), "red" if status.consecutive_failures else "dim"),
    }


def _age(moment: datetime | None, now: datetime) -> Text:
    return Text(human_age(now - moment)) if moment else Text(_NEVER, "dim")


def _data_age(status: TrendingScheduleStatus, now: datetime) -> Text:
    if status.data_timestamp is None or status.stale_time is None:
        return Text("none", "red") if status.conditions else Text(_NEVER, "dim")
    return Text(human_age(now - status.data_timestamp), age_style(status.data_timestamp, status.stale_time, now))


def age_style(data: datetime, stale: datetime, now: datetime) -> str:
    """Return the colour of an age: green, yellow when it comes near what is allowed, red beyond."""
    if now >= stale:
        return "bold red"
    return "yellow" if now - data >= _NEARLY * (stale - data) else "green"


def _next(row: Row, now: datetime) -> Text:
    accepted = next((each.status for each in row.status.conditions if each.type == "Accepted"), None)
    if accepted == "False":
        return Text("not accepted", "red")
    if row.body["spec"].get("suspend"):
        return Text("suspended", "yellow")
    following = row.status.next_schedule_time
    if following is None:
        return Text(_NEVER, "dim")
    return Text(f"in {human_age(following - now)}") if following - now > timedelta(0) else Text("due", "cyan")


def _fitting(columns: Sequence[str], cells: Sequence[dict[str, Text]], width: int) -> list[str]:
    """Return the columns that a screen has room for."""
    widths = {column: max(len(column), *(row[column].cell_len for row in cells)) for column in columns}
    kept = list(columns)
    for column in _EXPENDABLE:
        if sum(widths[each] + _GAP for each in kept) - _GAP <= width:
            break
        kept.remove(column)
    return kept
