"""Rights as the catalog has them, and the GRANT that gives one which is lacking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

Connection = psycopg.Connection[Any]

MAINTAIN_SINCE: Final = 170000
"""The server version from which a role that does not own a view may be let refresh it (PostgreSQL 17)."""


def role(connection: Connection) -> str:
    """Return the session's role, quoted where SQL needs it."""
    return _text(connection, "SELECT quote_ident(current_user)", [])


def lacking_on_table(connection: Connection, oid: int, privileges: Sequence[str]) -> list[str]:
    """Return those of the privileges on a table that the role does not have, on the table or any column of it."""
    rows = connection.execute(
        """
        SELECT privilege FROM unnest(%s::text[]) WITH ORDINALITY AS asked (privilege, position)
        WHERE NOT CASE WHEN privilege IN ('SELECT', 'INSERT', 'UPDATE')
            THEN has_any_column_privilege(%s::oid, privilege) ELSE has_table_privilege(%s::oid, privilege) END
        ORDER BY position
        """,
        [list(privileges), oid, oid],
    ).fetchall()
    return [privilege for (privilege,) in rows]


def may_use_schema(connection: Connection, schema: str) -> bool:
    """Tell whether the role has USAGE on a schema that exists."""
    row = connection.execute("SELECT has_schema_privilege(%s, 'USAGE')", [schema]).fetchone()
    return bool(row and row[0])


def is_owner(connection: Connection, oid: int) -> bool:
    """Tell whether the role has the rights of the relation's owner: it is it, or a member of it that inherits."""
    row = connection.execute("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s", [oid]).fetchone()
    return bool(row and row[0])


def lacking_by(connection: Connection, error: psycopg.errors.InsufficientPrivilege) -> str:
    """Say which right is lacking where a name could not be looked up: USAGE on a schema, which the server's text alone
    names."""
    to = role(connection)
    schema = (error.diag.message_primary or "").rpartition(" ")[2]
    known = connection.execute(
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = %s AND NOT has_schema_privilege(oid, 'USAGE')",
        [schema],
    ).fetchone()
    if known:
        return f"the role {to} may not use the schema {schema}: {grant(['USAGE'], f'SCHEMA {known[0]}', to)}"
    return f"the role {to} lacks a right that it takes"


def grant(privileges: Sequence[str], on: str, to: str) -> str:
    """Return the statement that gives rights; `on` and `to` as SQL has them."""
    return f"GRANT {', '.join(privileges)} ON {on} TO {to}"


def _text(connection: Connection, query: str, parameters: list[Any]) -> str:
    row = connection.execute(query.encode(), parameters).fetchone()
    return str(row[0]) if row else ""
