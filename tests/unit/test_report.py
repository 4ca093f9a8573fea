"""A report fits into a termination message, and loses the least that it can."""

from datetime import UTC, datetime
from typing import Any

import pytest

from trending.api.status import Step
from trending.report import MAX_REPORT_BYTES, Report, TargetReport, read_termination_message, write_termination_message

NOW = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)


def report(**fields: Any) -> Report:
    defaults: dict[str, Any] = {
        "job": "hourly-29000000",
        "start_time": NOW,
        "completion_time": NOW,
        "result": "Succeeded",
        "reason": "RunSucceeded",
        "message": "fine",
    }
    return Report(**(defaults | fields))


def step(name: str, **fields: Any) -> Step:
    counts = {"rows_inserted": 10**9, "rows_updated": 10**9, "rows_deleted": 10**9, "rows_unchanged": 10**12}
    defaults: dict[str, Any] = {"strategy": "DeleteInsert", "seconds": 12345.678, **counts}
    return Step(name=name, action="Rewrite", **(defaults | fields))


def test_a_small_report_is_kept_as_it_is() -> None:
    whole = report(
        steps=(step("a", note="a note"),), targets=(TargetReport(name="a", data_timestamp=NOW, rows=5),), attempts=2
    )
    assert read_termination_message(write_termination_message(whole)) == whole


@pytest.mark.parametrize("targets", [1, 5, 24])
@pytest.mark.parametrize("character", ["n", "ü", '"', "\x1f", "😀"])
def test_the_largest_report_fits_and_keeps_every_timestamp(targets: int, character: str) -> None:
    names = [f"{at:02}".ljust(63, "x") for at in range(targets)]
    largest = report(
        message=character * 20_000,
        steps=tuple(step(name, note=character * 3000) for name in names),
        targets=tuple(TargetReport(name=name, data_timestamp=NOW, rows=10**12) for name in names),
        result="DeadlineExceeded",
        reason="ConfigurationError",
        scheduled_time=NOW,
        data_timestamp=NOW,
        job="j" * 63,
    )
    text = write_termination_message(largest)
    assert len(text.encode()) <= MAX_REPORT_BYTES
    read = read_termination_message(text)
    assert read is not None
    assert {target.name: target.data_timestamp for target in read.targets} == dict.fromkeys(names, NOW)
    assert (read.result, read.reason) == (largest.result, largest.reason)
    assert read.message.startswith(character * 20)
    assert read.message.endswith("…")
    assert read.rows_changed == largest.rows_changed


def test_notes_go_before_steps() -> None:
    steps = tuple(step(f"s{at}", note="n" * 500) for at in range(12))
    read = read_termination_message(write_termination_message(report(steps=steps)))
    assert read is not None
    assert [each.name for each in read.steps] == [each.name for each in steps]
    assert all(each.note and len(each.note) < 60 for each in read.steps)


def test_steps_that_changed_nothing_are_summed_up_first_and_totals_stay_right() -> None:
    quiet = [step(f"quiet-{at}", rows_inserted=0, rows_updated=0, rows_deleted=0) for at in range(32)]
    busy = step("busy", strategy="Merge", rows_inserted=3, rows_updated=2, rows_deleted=1)
    whole = report(steps=(*quiet[:11], busy, *quiet[11:]))
    read = read_termination_message(write_termination_message(whole))
    assert read is not None
    assert busy in read.steps
    assert "more" in read.steps[-1].name
    assert len(read.steps) > 10, "no more are summed up than has to be"
    assert read.rows_changed == whole.rows_changed == 6
    assert set(read.strategies.split(",")) == {"DeleteInsert", "Merge"}


@pytest.mark.parametrize("text", [None, "", "Killed", '{"job": "x"}', '{"job": "hourly", "resu'])
def test_what_is_no_report_reads_as_none(text: str | None) -> None:
    assert read_termination_message(text) is None


def test_a_report_of_a_newer_runner_is_read() -> None:
    text = write_termination_message(report(steps=(step("a"),)))
    newer = text.replace('"job"', '"invented": 1, "job"').replace('"name":"a"', '"name":"a","invented":{}')
    assert read_termination_message(newer) == report(steps=(step("a"),))


def test_times_keep_their_microseconds_since_the_ledger_has_them() -> None:
    assert '"dataTimestamp":"2026-11-23T18:00:00.123456Z"' in write_termination_message(report(data_timestamp=NOW))
