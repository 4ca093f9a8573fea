"""A report as a termination message: at most 4,096 bytes, shortened where it has to be, never cut."""

from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from trending.api.status import Step
from trending.report.model import MAX_REPORT_BYTES, Report

_SHORT_NOTE: Final = 60
_SHORT_MESSAGE: Final = 512


def write_termination_message(report: Report) -> str:
    """Write a report as JSON of at most `MAX_REPORT_BYTES` bytes of UTF-8.

    Shortened in this order, as far as needed: steps' notes, then notes altogether, the message, the steps' figures,
    the steps. The
    targets' timestamps are never left out: with all names at their longest they need 24 x 140 bytes.
    """
    text = _write(report)
    for shorten in (_shorten_notes, _drop_notes, _shorten_message, _keep_changed_steps, _drop_steps, _drop_rows):
        if len(text.encode()) <= MAX_REPORT_BYTES:
            break
        report = shorten(report)
        text = _write(report)
    return text


def read_termination_message(text: str | None) -> Report | None:
    """Read what a pod left behind; None where it is no report, as when the container was killed."""
    if not text:
        return None
    try:
        return Report.model_validate_json(text)
    except ValidationError:
        return None


def _write(report: Report) -> str:
    return report.model_dump_json(by_alias=True, exclude_none=True)


def _with_steps(report: Report, steps: Iterable[Step]) -> Report:
    return report.model_copy(update={"steps": tuple(steps)})


def _clip(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _shorten_notes(report: Report) -> Report:
    return _with_steps(
        report, [s.model_copy(update={"note": _clip(s.note, _SHORT_NOTE)}) if s.note else s for s in report.steps]
    )


def _drop_notes(report: Report) -> Report:
    return _with_steps(report, [s.model_copy(update={"note": None}) for s in report.steps])


def _shorten_message(report: Report) -> Report:
    return report.model_copy(update={"message": _clip(report.message, _SHORT_MESSAGE)})


def _keep_changed_steps(report: Report) -> Report:
    return _with_steps(report, [s for s in report.steps if s.rows_inserted or s.rows_updated or s.rows_deleted])


def _drop_steps(report: Report) -> Report:
    return _with_steps(report, ())


def _drop_rows(report: Report) -> Report:
    return report.model_copy(update={"targets": tuple(t.model_copy(update={"rows": None}) for t in report.targets)})
