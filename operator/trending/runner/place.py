"""Whether a slice can be swapped; for the time being it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from trending.runner.slices import Slice

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Obstacle:
    """Why a slice cannot be swapped."""

    sentence: str


class Partitions:
    """The leaves that hold exactly a slice."""


def find_partitions(connection: Connection, slice_: Slice) -> Partitions | Obstacle:  # noqa: ARG001 (see above)
    """Say that it cannot."""
    return Obstacle("this version cannot exchange partitions")


def drop_leftovers(connection: Connection, slice_: Slice) -> list[str]:  # noqa: ARG001 (see above)
    """There are none."""
    return []
