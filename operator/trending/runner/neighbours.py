"""Who else writes rows of a target's slice, by the ledger: another schedule, namespace or cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from trending.api.instant import format_instant
from trending.runner.failure import ConfigurationError
from trending.runner.kin import names_of_kin, share_rows
from trending.runner.ledger import RunIdentity
from trending.runner.slices import Slice
from trending.runner.table import look_up

Connection = psycopg.Connection[Any]

_FIRST_LOOK: Final = timedelta(days=7)
"""How far back others' writes count for a slice that this schedule has never written."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """The last write of a slice."""

    table_name: str
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

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The slice as a Slice has it."""
        return {name: tuple(values) for name, values in self.slice.items()}

    def is_of(self, slice_: Slice) -> bool:
        """Tell whether it is this very slice."""
        return self.table_name == slice_.table.qualified and self.values == dict(slice_.values)


_WRITES: Final = """
    SELECT table_name, slice, namespace, schedule, target, run_id, data_timestamp FROM trending.freshness
    WHERE table_name = ANY(%s) AND data_timestamp IS NOT NULL ORDER BY data_timestamp DESC, slice
"""


def read_writes(connection: Connection, slice_: Slice) -> list[Write]:
    """Return the last write of each slice that shares rows with this one, the newest first."""
    tables = [slice_.table.qualified, *names_of_kin(connection, slice_.table)]
    writes = connection.cursor(row_factory=class_row(Write)).execute(_WRITES.encode(), [tables]).fetchall()
    return [write for write in writes if _shares_rows(connection, slice_, write)]


def _shares_rows(connection: Connection, slice_: Slice, write: Write) -> bool:
    if write.table_name == slice_.table.qualified:
        return slice_.overlaps(Slice(slice_.table, write.values))
    try:
        with connection.transaction():
            table = look_up(connection, write.table_name, where="table_name")
    except (ConfigurationError, psycopg.errors.InsufficientPrivilege):
        return False  # dropped or renamed meanwhile, or nothing that this role may know of
    known = set(write.values) <= set(table.columns)  # else it is of another table that had this name once
    return known and share_rows(connection, slice_, Slice(table, write.values))


def who_else_writes(slice_: Slice, writes: Sequence[Write], run: RunIdentity, now: datetime) -> str | None:
    """Return a sentence on others who have written rows of the slice since this schedule's own last write of it.

    None where nobody has: slices that others gave up long ago are no trouble, and those that this schedule had before
    it was edited neither. `now` is the run's data timestamp.
    """
    own = next((write for write in writes if write.is_of(slice_) and write.is_by(run)), None)

    def counts(write: Write) -> bool:
        if own:
            return write.data_timestamp >= own.data_timestamp
        return now - write.data_timestamp <= _FIRST_LOOK  # `now` may be too early for a time before it to be told

    others = [write for write in writes if not write.is_by(run) and counts(write)]
    if not others:
        return None
    told = [_told(write, slice_) for write in others[:2]]
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f"warning: rows of this slice are written by {' and '.join(told)}{more} too: each undoes the other's work"


def _told(write: Write, slice_: Slice) -> str:
    table = "" if write.table_name == slice_.table.qualified else f" of {write.table_name}"
    which = "" if write.is_of(slice_) else f" (slice {write.slice}{table})"
    return (
        f"target {write.target} of schedule {write.namespace or 'default'}/{write.schedule}{which}, "
        f"at {format_instant(write.data_timestamp)}"
    )


def _uid(run_id: str) -> str | None:
    """Return the schedule's uid, of which the id of a Job's run is made (see RunDocument.run_id)."""
    uid, _, _ = run_id.rpartition("/")
    return uid if len(uid) == len("5f0c1a52-0000-4000-8000-000000000000") else None
