"""A materialized view as the catalog has it: whether a refresh can leave its readers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from trending.presets import known_presets, load_preset
from trending.runner.failure import ConfigurationError

Connection = psycopg.Connection[Any]

# What PostgreSQL's own is_usable_unique_index() asks of an index.
_VIEW: Final = """
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relispopulated AS is_populated,
        EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts > 0
        ) AS has_unique_index
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s)
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """A materialized view."""

    oid: int
    schema: str
    name: str
    kind: str
    is_populated: bool
    has_unique_index: bool

    @property
    def identifier(self) -> sql.Identifier:
        """The view's name for SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be refreshed CONCURRENTLY; None where it can."""
        if not self.is_populated:
            return "it had never been populated"
        if not self.has_unique_index:
            return "it has no unique index on plain columns"
        return None

    @property
    def cure(self) -> str:
        """What to do so that the next refresh can be concurrent; empty where the refresh itself does it."""
        if self.has_unique_index:
            return ""
        family = next((preset.partition("/")[0] for preset in known_presets() if self.name in _reads(preset)), None)
        if family:
            return f"run `trending migrate --preset {family}` once, and readers are never blocked again"
        return (
            "make a unique index on columns of the view, without WHERE and without expressions, and readers are never "
            "blocked again"
        )


def look_up_view(connection: Connection, name: str, *, where: str) -> View:
    """Look a view up by its name as in SQL. Raises ConfigurationError, which begins with `where`, for anything else."""
    found = connection.cursor(row_factory=class_row(View)).execute(_VIEW, [name]).fetchone()
    if found is None:
        database, user = connection.info.dbname, connection.info.user
        raise ConfigurationError(
            f"{where}: there is no materialized view {name} in database {database} for user {user}: create it, or "
            "correct the name (as in SQL, with its schema where that is not in the search_path)"
        )
    if found.kind != "m":
        raise ConfigurationError(f"{where}: {name} is no materialized view: remove it from spec.refresh")
    return found


def _reads(preset: str) -> tuple[str, ...]:
    return load_preset(preset, known_presets()[preset]).reads
