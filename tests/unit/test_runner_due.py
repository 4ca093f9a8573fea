"""Which targets are due at a slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trending.api.document import Trigger
from trending.runner.due import due_at, not_due
from trending.runner.ledger import RunIdentity, RunRow, SliceRow

SLOT = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def entry(slot: datetime | None = SLOT, run_id: str = "u/earlier") -> SliceRow:
    return SliceRow(data_timestamp=SLOT, scheduled_time=slot, run_id=run_id, target="t", rows=1, step=None)


def asked(
    slot: datetime, known: SliceRow | None, *, every: timedelta | None = DAY, trigger: Trigger = "Schedule"
) -> str | None:
    run = RunIdentity(run_id="u/now", namespace="n", schedule="s", job="s-1", trigger=trigger, scheduled_time=slot)
    row = RunRow(data_timestamp=slot, scheduled_time=slot, started_at=slot, attempts=1, report={})
    return not_due(every, known, run, row)


@pytest.mark.parametrize(
    ("slot", "due"),
    [
        (SLOT - DAY, False),
        (SLOT, False),
        (SLOT + SECOND, False),
        (SLOT + DAY - SECOND, False),
        (SLOT + DAY, True),
        (SLOT + 3 * DAY, True),
    ],
)
def test_it_is_due_from_the_last_slot_plus_every_on(slot: datetime, due: bool) -> None:
    assert (asked(slot, entry()) is None) is due


def test_never_written_or_only_by_hand_is_due() -> None:
    assert asked(SLOT, None) is None
    assert asked(SLOT, entry(slot=None)) is None


def test_without_every_it_is_always_due() -> None:
    assert asked(SLOT, entry(), every=None) is None
    assert due_at(None, SLOT) is None


def test_a_run_by_hand_rewrites_all() -> None:
    assert asked(SLOT + SECOND, entry(), trigger="Manual") is None


def test_what_this_run_has_written_itself_is_its_own() -> None:
    assert asked(SLOT, entry(run_id="u/now")) is None


def test_the_sentence_names_the_next_slot_and_the_last() -> None:
    assert asked(SLOT + SECOND, entry()) == (
        "not due before 2026-11-24T06:00:00Z: every 24h, last written for the slot of 2026-11-23T06:00:00Z"
    )
