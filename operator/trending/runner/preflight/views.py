"""The materialized views to refresh: there, allowed, and fit for a refresh that leaves readers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from trending.api.spec import Refresh
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.reads import read_by
from trending.runner.preflight.rights import MAINTAIN_SINCE, grant, is_owner, lacking_on_table, role
from trending.runner.view import View, look_up_view

Connection = psycopg.Connection[Any]

# A concurrent refresh compares by the columns of every index that it can use.
_KEY_COLUMNS: Final = """
    SELECT DISTINCT a.attname::text
    FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, position)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = %s AND i.indisunique AND i.indimmediate AND i.indisvalid
        AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
    ORDER BY 1
"""
_OWNER: Final = """
    SELECT quote_ident(o.rolname), o.oid, has_database_privilege(o.oid, current_database(), 'TEMPORARY'),
        quote_ident(current_database())
    FROM pg_class AS c JOIN pg_roles AS o ON o.oid = c.relowner WHERE c.oid = %s
"""


def check_views(connection: Connection, refreshes: Sequence[Refresh], findings: Findings) -> dict[str, View]:
    """Look at every view; return those that are there, by the name that the spec has for them."""
    views: dict[str, View] = {}
    for index, refresh in enumerate(refreshes):
        where = f"spec.refresh[{index}]"
        with findings.within(connection, where):
            view = look_up_view(connection, refresh.materialized_view, where=where)
            _check(connection, refresh, view, findings, where, before=[each.oid for each in views.values()])
            views[refresh.materialized_view] = view
    return views


def _check(
    connection: Connection, refresh: Refresh, view: View, findings: Findings, where: str, *, before: list[int]
) -> None:
    count = len(findings.all)
    _check_rights(connection, view, findings, where)
    _check_what_it_reads(connection, view, findings, where, before)
    _check_mode(refresh, view, findings, where)
    if refresh.mode != "Blocking" and view.has_unique_index and view.is_populated:
        with findings.within(connection, where):
            _check_nulls(connection, view, findings, where)
    if len(findings.all) == count:
        how = "blocking, as it is to be" if refresh.mode == "Blocking" else "without blocking its readers"
        findings.ok(where, f"{refresh.materialized_view} can be refreshed {how}")


def _check_rights(connection: Connection, view: View, findings: Findings, where: str) -> None:
    if is_owner(connection, view.oid):
        return
    owner, *_ = connection.execute(_OWNER, [view.oid]).fetchone() or ("its owner",)
    to = role(connection)
    if connection.info.server_version < MAINTAIN_SINCE:
        findings.error(
            where,
            f"only its owner {owner} may refresh {view.name}, and the role {to} is not: GRANT {owner} TO {to}, or "
            f"ALTER MATERIALIZED VIEW {_qualified(connection, view)} OWNER TO {to} (from PostgreSQL 17 on MAINTAIN "
            "will do)",
        )
    elif lacking_on_table(connection, view.oid, ["MAINTAIN"]):
        statement = grant(["MAINTAIN"], _qualified(connection, view), to)
        findings.error(where, f"the role {to} may not refresh {view.name}: {statement}")


def _check_what_it_reads(connection: Connection, view: View, findings: Findings, where: str, before: list[int]) -> None:
    """Look at what the refresh's query reads; it is run with the rights of the view's owner."""
    owner, owner_oid, may_make_temporary, database = connection.execute(_OWNER, [view.oid]).fetchone() or (None,) * 4
    if not may_make_temporary and view.obstacle is None:
        findings.error(
            where,
            f"a concurrent refresh makes a temporary table as the view's owner: "
            f"{grant(['TEMPORARY'], f'DATABASE {database}', str(owner))}",
        )
    for read in read_by(connection, view.oid):
        if read.is_unpopulated_view and read.oid not in before:
            findings.error(
                where,
                f"{view.name} reads {read.qualified}, which was never populated: put that one before it in "
                "spec.refresh",
            )
        allowed = connection.execute(
            "SELECT has_any_column_privilege(%s::oid, %s::oid, 'SELECT')", [owner_oid, read.oid]
        ).fetchone()
        if read.is_direct and allowed and not allowed[0]:
            statement = grant(["SELECT"], read.qualified, str(owner))
            findings.error(where, f"a refresh reads {read.qualified} as the view's owner, who may not: {statement}")


def _check_mode(refresh: Refresh, view: View, findings: Findings, where: str) -> None:
    if refresh.mode == "Blocking" or view.obstacle is None:
        return
    cure = f"; {view.cure}" if view.cure else ""
    if refresh.mode == "Concurrently":
        findings.error(
            f"{where}.mode",
            f"{view.name} cannot be refreshed CONCURRENTLY, since {view.obstacle}: "
            f"{view.cure or 'refresh it once by hand'}; or write mode: Auto",
        )
    else:
        findings.warning(
            where, f"the next refresh of {view.name} locks its readers out while it lasts, since {view.obstacle}{cure}"
        )


def _check_nulls(connection: Connection, view: View, findings: Findings, where: str) -> None:
    """Count the rows with a null in the columns that a concurrent refresh compares by.

    The catalog cannot tell: columns of a materialized view are never NOT NULL. A null equals nothing, so that such a
    row is deleted and inserted by every refresh.
    """
    if lacking_on_table(connection, view.oid, ["SELECT"]):
        findings.warning(
            where,
            f"whether the unique index of {view.name} covers nulls could not be looked at, without SELECT on it; with "
            "them every concurrent refresh rewrites those rows",
        )
        return
    columns = [name for (name,) in connection.execute(_KEY_COLUMNS, [view.oid]).fetchall()]
    condition = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in columns)
    counts = sql.SQL("SELECT count(*) FILTER (WHERE {}), count(*) FROM {}").format(condition, view.identifier)
    nulls, rows = connection.execute(counts).fetchone() or (0, 0)
    if nulls:
        findings.warning(
            where,
            f"{nulls:,} of the {rows:,} rows of {view.name} have a null in a column of its unique index "
            f"({', '.join(columns)}), and every concurrent refresh deletes and inserts those again: leave them out of "
            "the view's query, or coalesce() them",
        )


def _qualified(connection: Connection, view: View) -> str:
    return view.identifier.as_string(connection)
