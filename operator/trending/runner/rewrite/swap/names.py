"""The names of what is being built, by which the next run knows what a killed one has left."""

from __future__ import annotations

import secrets
from typing import Final

from trending.runner.slices import Slice

PREFIX: Final = "trending_swap_"
BOUND: Final = "trending_swap_bound"
"""The CHECK constraint that spares ATTACH its scan."""


def table_name(slice_: Slice, number: int) -> str:
    """Return a name under which the slice's partition of this number can be built; each time another.

    What an earlier run has left may be in use, so that it cannot be dropped yet, nor its name be taken.
    """
    return f"{PREFIX}{slice_.lock_key & 0xFFFF_FFFF_FFFF_FFFF:016x}_{number}_{secrets.token_hex(4)}"


def mark_of(slice_: Slice) -> str:
    """Return how the comment on each table that is built for this slice begins."""
    return f"trending swap {slice_.lock_key} "


def comment_on(slice_: Slice, run_id: str) -> str:
    """Return the comment on a table that is being built."""
    return f"{mark_of(slice_)}of {slice_}, built by run {run_id}; the next run drops it if that one was killed"
