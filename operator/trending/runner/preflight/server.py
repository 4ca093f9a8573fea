"""The server and the session: version, standby, temporary tables, connections, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg

from trending.api.spec import TrendingScheduleSpec
from trending.runner.preflight.finding import Findings
from trending.runner.preflight.rights import grant, role

Connection = psycopg.Connection[Any]

OLDEST: Final = 15
"""The major version from which everything that a run asks of the server is there."""

# Rows of other sessions are hidden in pg_stat_activity only in part: they can be counted by everybody.
_CONNECTIONS: Final = """
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),
        (SELECT count(*) FROM pg_stat_activity WHERE usename = session_user),
        (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
"""
_NOT_SEARCHED: Final = """
    SELECT n.nspname, quote_ident(n.nspname) FROM pg_namespace AS n
    WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND n.nspname IN (
        SELECT CASE name WHEN '$user' THEN current_user::text ELSE name END
        FROM (
            SELECT replace(btrim(btrim(part), '"'), '""', '"') AS name
            FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part
        ) AS named
    )
"""


def is_writable(connection: Connection, findings: Findings) -> bool:
    """Look whether the server is one that runs can work on at all; outside a transaction, since a standby begins none
    that could write."""
    version = connection.info.server_version
    told = f"PostgreSQL {version // 10000}.{version % 10000}"
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if version < OLDEST * 10000:
        findings.error("database", f"the server is {told}, and runs need {OLDEST} or newer: upgrade it")
        return False
    if row and row[0]:
        findings.error(
            "database", f"the server ({told}) is a standby that cannot be written to: give the primary's URI"
        )
        return False
    findings.ok("database", f"{told}, which can be written to")
    return True


def check_server(connection: Connection, spec: TrendingScheduleSpec, findings: Findings) -> None:
    """Look at what every run needs of a server that can be written to, whatever it rewrites."""
    with findings.within(connection, "database"):
        _check_temporary(connection, findings)
    with findings.within(connection, "database"):
        _check_search_path(connection, findings)
    with findings.within(connection, "spec.database.parallelism"):
        _check_connections(connection, spec, findings)


def usable_settings(connection: Connection, settings: Mapping[str, str], findings: Findings) -> dict[str, str]:
    """Try each setting in a transaction that is rolled back; note those that are refused, return the rest."""
    usable = {}
    for name, value in settings.items():
        where = f"spec.database.settings.{name}"
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        except psycopg.errors.InsufficientPrivilege as error:
            to = role(connection)
            findings.error(
                where,
                f"the role {to} may not set it: remove it, or GRANT SET ON PARAMETER {name} TO {to} (as superuser): "
                f"{findings.redactor.driver_text(error)}",
            )
        except psycopg.Error as error:
            if connection.closed:
                raise
            findings.error(where, f"the server refuses it: {findings.redactor.driver_text(error)}")
        else:
            usable[name] = value
    return usable


def _check_temporary(connection: Connection, findings: Findings) -> None:
    row = connection.execute(
        "SELECT has_database_privilege(current_database(), 'TEMPORARY'), quote_ident(current_database())"
    ).fetchone()
    if row and not row[0]:
        to = role(connection)
        findings.error(
            "database",
            f"the role {to} may not make temporary tables, which the rows of a query are staged in: "
            f"{grant(['TEMPORARY'], f'DATABASE {row[1]}', to)}",
        )
    else:
        findings.ok("database", "the role may make temporary tables")


def _check_search_path(connection: Connection, findings: Findings) -> None:
    """Look for schemas that names without one are not looked up in, though the search_path has them."""
    to = role(connection)
    for name, quoted in connection.execute(_NOT_SEARCHED).fetchall():
        findings.warning(
            "database",
            f"the role {to} may not use the schema {name} of its search_path, so that nothing in it is found: "
            f"{grant(['USAGE'], f'SCHEMA {quoted}', to)}",
        )


def _check_connections(connection: Connection, spec: TrendingScheduleSpec, findings: Findings) -> None:
    where, needed = "spec.database.parallelism", spec.database.parallelism + 1
    row = connection.execute(_CONNECTIONS).fetchone()
    if row is None:
        raise AssertionError("a query of aggregates returned no row")
    most, used, of_role, used_by_role, of_database, used_in_database = row
    limits = [("the server's max_connections", most, used), ("the role's CONNECTION LIMIT", of_role, used_by_role)]
    limits.append(("the database's CONNECTION LIMIT", of_database, used_in_database))
    for what, limit, taken in limits:
        if limit < 0:  # -1: there is none
            continue
        free = limit - taken + 1  # this one ends before the run begins
        if limit < needed:
            findings.error(where, f"a run opens {needed} connections, and {what} allows {limit}: raise it")
        elif free < needed:
            findings.warning(
                where,
                f"a run opens {needed} connections, and of {what} ({limit}) {max(free, 0)} are free now: "
                "raise it, or lower the parallelism",
            )
    if not any(finding.where == where for finding in findings.all):
        findings.ok(where, f"there is room for the {needed} connections of a run")
