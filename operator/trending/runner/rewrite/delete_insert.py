"""DeleteInsert: delete the slice and insert it again; columns that the query does not return get their defaults."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.rewrite.dependents import check_no_child
from trending.runner.rewrite.strategy import Destination, Plan, RewriteResult, insert_rows, meet, plan_all_anew
from trending.runner.stage import Stage

Connection = psycopg.Connection[Any]


class DeleteInsert:
    """Writes every row anew. The cost is that of the whole slice, whatever has changed."""

    name: Final = "DeleteInsert"

    def __init__(self, connection: Connection) -> None:
        """`connection` is in the transaction that the stage was filled in."""
        self._connection = connection

    def plan(self, target: Destination, source: Stage) -> Plan:
        """Count the slice's rows: all of them go, all of the stage's come.

        Raises ConfigurationError where rows lie in a table that inherits from the target's.
        """
        check_no_child(self._connection, target, self.name)
        return plan_all_anew(target, source, meet(self._connection, target, source))

    def apply(self, plan: Plan) -> RewriteResult:
        """Delete the slice, then insert the stage."""
        target = plan.destination
        delete = sql.SQL("DELETE FROM {} AS target WHERE {}").format(
            target.table.identifier, target.slice.condition("target")
        )
        deleted = self._connection.execute(delete).rowcount
        inserted = insert_rows(self._connection, plan, plan.source.relation)
        return RewriteResult(inserted=inserted, updated=0, deleted=deleted, unchanged=0)
