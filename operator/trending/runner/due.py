"""Which targets a run is to rewrite: all of them, less those with an `every` that has not passed yet."""

from __future__ import annotations

from datetime import datetime, timedelta

from trending.api.duration import format_duration
from trending.api.instant import format_instant
from trending.runner.ledger import RunIdentity, RunRow, SliceRow


def due_at(every: timedelta | None, last_slot: datetime | None) -> datetime | None:
    """Return the first slot at which a target is due again; None where it is due at any slot.

    `last_slot` is that of its slice's last scheduled write: what `every` counts from, so that neither a late start nor
    a run by hand moves the rhythm.
    """
    return None if every is None or last_slot is None else last_slot + every


def not_due(every: timedelta | None, entry: SliceRow | None, run: RunIdentity, row: RunRow) -> str | None:
    """Say why a target is not to be rewritten by this run; None where it is.

    A run by hand rewrites all. A slice that this very run has written, in an earlier attempt, is its own: the target is
    taken over as done. Since slots in the ledger only move on, what is not due does not become due within a run.
    """
    if every is None or entry is None or run.trigger == "Manual" or entry.run_id == run.run_id:
        return None
    at = due_at(every, entry.scheduled_time)
    if at is None or row.scheduled_time >= at or entry.scheduled_time is None:
        return None
    return (
        f"not due before {format_instant(at)}: every {format_duration(every)}, last written for the slot of "
        f"{format_instant(entry.scheduled_time)}"
    )
