"""Which strategy rewrites a target."""

from typing import Any

import psycopg

from trending.api import spec
from trending.runner.rewrite.delete_insert import DeleteInsert
from trending.runner.rewrite.merge import Merge
from trending.runner.rewrite.strategy import Strategy

Connection = psycopg.Connection[Any]


def choose(connection: Connection, wanted: spec.Strategy) -> tuple[Strategy, str | None]:
    """Return the strategy and, where the choice was ours, why it was taken."""
    if wanted == "DeleteInsert":
        return DeleteInsert(connection), None
    if wanted == "Merge":
        return Merge(connection), None
    return Merge(connection), "Auto took Merge: it writes only rows that differ"
