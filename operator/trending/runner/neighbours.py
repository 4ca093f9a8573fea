"""Who else writes rows of a target's slice, by the ledger: another schedule, namespace or cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from trending.api.instant import format_instant
from trending.runner.ledger import RunIdentity
from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]

_FIRST_LOOK: Final = timedelta(days=7)
"""How far back others' writes count for a slice that this schedule has never written."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """The last write of a slice."""

    slice: dict[str, list[str]]
    namespace: str | None
    schedule: str | None
    target: str | None
    run_id: str
    data_timestamp: datetime

    def is_by(self, run: RunIdentity) -> bool:
        """Tell whether the schedule of this run wrote it, as far as the ledger knows.

        By its names, and by its uid, since another cluster may have one of the same name. A run without a cluster has
        no uid, and perhaps no namespace.
        """
        namespaces = {self.namespace, run.namespace} - {None}
        uids = {_uid(self.run_id), _uid(run.run_id)} - {None}
        return self.schedule == run.schedule and len(namespaces) <= 1 and len(uids) <= 1

    def overlaps(self, slice_: Slice) -> bool:
        """Tell whether a row of the same table could be in both."""
        return all(set(values) & set(self.slice.get(name, values)) for name, values in slice_.values.items())

    def is_of(self, slice_: Slice) -> bool:
        """Tell whether it is this very slice."""
        return {name: tuple(values) for name, values in self.slice.items()} == dict(slice_.values)


_WRITES: Final = """
    SELECT slice, namespace, schedule, target, run_id, data_timestamp FROM trending.freshness
    WHERE table_name = %s AND data_timestamp IS NOT NULL ORDER BY data_timestamp DESC, slice
"""


def read_writes(connection: Connection, slice_: Slice) -> list[Write]:
    """Return the last write of each slice of the table, the newest first."""
    return (
        connection.cursor(row_factory=class_row(Write)).execute(_WRITES.encode(), [slice_.table.qualified]).fetchall()
    )


def who_else_writes(slice_: Slice, writes: Sequence[Write], run: RunIdentity, now: datetime) -> str | None:
    """Return a sentence on others who have written rows of the slice since this schedule's own last write of it.

    None where nobody has: slices that others gave up long ago are no trouble, and those that this schedule had before
    it was edited neither. `now` is the run's data timestamp.
    """
    own = next((write for write in writes if write.is_of(slice_) and write.is_by(run)), None)
    since = own.data_timestamp if own else now - _FIRST_LOOK
    others = [
        write for write in writes if write.overlaps(slice_) and not write.is_by(run) and write.data_timestamp >= since
    ]
    if not others:
        return None
    told = [_told(write, slice_) for write in others[:2]]
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f"warning: rows of this slice are written by {' and '.join(told)}{more} too: each undoes the other's work"


def _told(write: Write, slice_: Slice) -> str:
    which = "" if write.is_of(slice_) else f" (slice {write.slice})"
    return (
        f"target {write.target} of schedule {write.namespace or 'default'}/{write.schedule}{which}, "
        f"at {format_instant(write.data_timestamp)}"
    )


def _uid(run_id: str) -> str | None:
    """Return the schedule's uid, of which the id of a Job's run is made (see RunDocument.run_id)."""
    uid, _, _ = run_id.rpartition("/")
    return uid if len(uid) == len("5f0c1a52-0000-4000-8000-000000000000") else None
