"""A report as a termination message: at most 4,096 bytes, shortened where it has to be, never cut."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from trending.api.status import Step
from trending.report.model import MAX_REPORT_BYTES, Report

_SHORT_NOTE: Final = 60
_SHORT_MESSAGE: Final = 600
_SHORTEST_MESSAGE: Final = 200
"""Bytes that a note or the message may take when there are too many of them."""


def write_termination_message(report: Report) -> str:
    """Write a report as JSON of at most `MAX_REPORT_BYTES` bytes of UTF-8.

    Shortened in this order, as far as needed: notes, the message, the steps (those that changed nothing are summed up
    first, so that totals stay right), the targets' rows, the message again. Targets' timestamps are never left out:
    24 with names of 63 characters take 3,000 bytes.
    """
    for shorter in _ever_shorter(report):
        text = shorter.model_dump_json(by_alias=True, exclude_none=True)
        if len(text.encode()) <= MAX_REPORT_BYTES:
            return text
    raise ValueError(f"the report of {report.job} has no room for the timestamps of {len(report.targets)} targets")


def read_termination_message(text: str | None) -> Report | None:
    """Read what a pod left behind; None where it is no report, as when the container was killed."""
    if not text:
        return None
    try:
        return Report.model_validate_json(text)
    except ValidationError:
        return None


def _ever_shorter(report: Report) -> Iterator[Report]:
    yield report
    report = _with_notes(report, _SHORT_NOTE)
    yield report
    report = _with_notes(report, 0)
    yield report
    report = _with_message(report, _SHORT_MESSAGE)
    yield report
    steps = sorted(report.steps, key=_rows_changed)
    for count in range(2, len(steps) + 1):
        shorter = _with_steps(report, [step for step in report.steps if step not in steps[:count]])
        yield _with_steps(shorter, [*shorter.steps, _sum_of(steps[:count])])
    report = _with_steps(report, [_sum_of(steps)] if steps else [])
    report = report.model_copy(update={"targets": tuple(t.model_copy(update={"rows": None}) for t in report.targets)})
    yield report
    yield _with_message(report, _SHORTEST_MESSAGE)


def _with_steps(report: Report, steps: Iterable[Step]) -> Report:
    return report.model_copy(update={"steps": tuple(steps)})


def _with_notes(report: Report, longest: int) -> Report:
    def clipped(step: Step) -> Step:
        return step.model_copy(update={"note": _clip(step.note, longest) if step.note and longest else None})

    return _with_steps(report, map(clipped, report.steps))


def _with_message(report: Report, longest: int) -> Report:
    return report.model_copy(update={"message": _clip(report.message, longest)})


def _clip(text: str, longest: int) -> str:
    """Cut a text to so many bytes of JSON, where a quote takes two and a control character six."""
    if _size(text) <= longest:
        return text
    room, end = longest - _size("…"), 0
    while (room := room - _size(text[end])) >= 0:
        end += 1
    return f"{text[:end]}…"


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _rows_changed(step: Step) -> int:
    return (step.rows_inserted or 0) + (step.rows_updated or 0) + (step.rows_deleted or 0)


def _sum_of(steps: Sequence[Step]) -> Step:
    """Return one step for several, so that rows, bytes, seconds and strategies of the whole run stay known."""
    return Step(
        name=f"{len(steps)} more",
        action="Rewrite" if any(step.action == "Rewrite" for step in steps) else "Refresh",
        strategy=",".join(dict.fromkeys(step.strategy for step in steps if step.strategy)) or None,
        seconds=round(sum(step.seconds or 0 for step in steps), 3),
        rows_inserted=sum(step.rows_inserted or 0 for step in steps),
        rows_updated=sum(step.rows_updated or 0 for step in steps),
        rows_deleted=sum(step.rows_deleted or 0 for step in steps),
        rows_unchanged=sum(step.rows_unchanged or 0 for step in steps),
        wal_bytes=sum(step.wal_bytes or 0 for step in steps),
    )
