"""Making a new table like the partition whose place it takes: indexes, settings, comments, owner, rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg
from psycopg import sql

from trending.runner.phase import phase
from trending.runner.rewrite.swap.definition import Definition, Index, read_definition
from trending.runner.rewrite.swap.partitions import Leaf

Connection = psycopg.Connection[Any]

_REPLICA_IDENTITIES: Final = {"f": sql.SQL("FULL"), "n": sql.SQL("NOTHING")}


@dataclass(frozen=True, kw_only=True)
class Rename:
    """Something that takes an old name in the exchange."""

    kind: Literal["INDEX", "STATISTICS", "CONSTRAINT"]
    schema: str
    """Constraints are named within their table."""
    built: str
    wanted: str


def options(definition: Definition) -> list[sql.Composable]:
    """Return the storage parameters for WITH (..), autovacuum_enabled left out."""
    own = [_option(option) for option in definition.options if not option.startswith("autovacuum_enabled=")]
    return [*own, *(sql.SQL("toast.{}").format(_option(option)) for option in definition.toast_options)]


def _option(text: str) -> sql.Composed:
    name, _, value = text.partition("=")
    return sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))


def furnish(connection: Connection, leaf: Leaf, new: sql.Identifier, name: str) -> tuple[Rename, ...]:
    """Give the filled table what LIKE has not; return what is to be renamed when the old names are free."""
    definition, schema = leaf.definition, leaf.node.schema
    renames = []
    for number, index in enumerate(definition.indexes, start=1):
        phase(f"building index {number} of {len(definition.indexes)}")
        renames.append(_index(connection, index, new, schema, f"{name}_i{number}"))
    for statement in _settings(definition, new):
        connection.execute(statement)
    row = connection.execute("SELECT %s::regclass::oid", [new.as_string(connection)]).fetchone()
    made = read_definition(connection, row[0] if row else 0)
    renames += _not_nulls(definition, made, schema)
    # LIKE makes them in the order of the old ones.
    for old, copy in zip(definition.statistics, made.statistics, strict=True):
        (old_schema, old_name, target), (copy_schema, copy_name, _) = old, copy
        identifier = sql.Identifier(copy_schema, copy_name)
        if target is not None:
            connection.execute(sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(identifier, sql.Literal(target)))
        if old_schema != copy_schema:
            connection.execute(
                sql.SQL("ALTER STATISTICS {} SET SCHEMA {}").format(identifier, sql.Identifier(old_schema))
            )
        renames.append(Rename(kind="STATISTICS", schema=old_schema, built=copy_name, wanted=old_name))
    return tuple(renames)


def _index(connection: Connection, index: Index, new: sql.Identifier, schema: str, name: str) -> Rename:
    identifier = sql.Identifier(schema, name)
    connection.execute("SELECT set_config('default_tablespace', %s, true)", [index.tablespace or ""])
    if index.constraint_name is None:
        unique = "UNIQUE " if index.definition.startswith("CREATE UNIQUE ") else ""
        rest = index.definition[len(index.beginning) :]
        create = sql.SQL("CREATE {}INDEX {} ON {} USING {}").format(
            sql.SQL(unique),
            sql.Identifier(name),
            new,
            sql.SQL(rest),
        )
    else:
        create = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            new,
            sql.Identifier(name),
            sql.SQL(index.constraint_definition or ""),
        )
    connection.execute(create)
    for statement in _index_settings(index, identifier, new, name):
        connection.execute(statement)
    return Rename(kind="INDEX", schema=schema, built=name, wanted=index.name)


def _index_settings(index: Index, identifier: sql.Identifier, new: sql.Identifier, name: str) -> Iterator[sql.Composed]:
    if index.constraint_name is not None and index.options:
        yield sql.SQL("ALTER INDEX {} SET ({})").format(identifier, sql.SQL(", ").join(map(_option, index.options)))
    for setting in index.statistics_targets:
        number, _, target = setting.partition("=")
        yield sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            identifier, sql.Literal(int(number)), sql.Literal(int(target))
        )
    if index.comment is not None:
        yield sql.SQL("COMMENT ON INDEX {} IS {}").format(identifier, index.comment)
    if index.constraint_comment is not None:
        yield sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
            sql.Identifier(name), new, index.constraint_comment
        )
    if index.is_clustered:
        yield sql.SQL("ALTER TABLE {} CLUSTER ON {}").format(new, sql.Identifier(name))
    if index.is_identity:
        yield sql.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(new, sql.Identifier(name))


def _settings(definition: Definition, new: sql.Identifier) -> Iterator[sql.Composed]:
    if identity := _REPLICA_IDENTITIES.get(definition.replica_identity):
        yield sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(new, identity)
    for column in definition.columns:
        alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} ").format(new, sql.Identifier(column.name))
        if column.statistics_target is not None:
            yield alter + sql.SQL("SET STATISTICS {}").format(sql.Literal(column.statistics_target))
        if column.options:
            yield alter + sql.SQL("SET ({})").format(sql.SQL(", ").join(map(_option, column.options)))


def _not_nulls(old: Definition, made: Definition, schema: str) -> Iterable[Rename]:
    wanted = dict(old.not_nulls)
    for column, name in made.not_nulls:
        if wanted.get(column, name) != name:
            yield Rename(kind="CONSTRAINT", schema=schema, built=name, wanted=wanted[column])


def grant(connection: Connection, definition: Definition, new: sql.Identifier) -> None:
    """Give the table to the old one's owner, and everybody the rights that they had on that one, no more."""
    table = sql.SQL("ALTER TABLE {} OWNER TO {}").format(new, sql.Identifier(definition.owner))
    connection.execute(table)
    row = connection.execute("SELECT %s::regclass::oid", [new.as_string(connection)]).fetchone()
    made = read_definition(connection, row[0] if row else 0)
    if not definition.has_acl and not made.has_acl and not definition.grants:
        return
    for grantee in {definition.owner, *(given.grantee for given in made.grants)}:
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(new, _role(grantee)))
    if not definition.has_acl:
        connection.execute(sql.SQL("GRANT ALL ON {} TO {}").format(new, _role(definition.owner)))
    for given in definition.grants:
        column = sql.SQL(" ({})").format(sql.Identifier(given.name)) if given.name else sql.SQL("")
        connection.execute(
            sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                sql.SQL(given.privilege),
                column,
                new,
                _role(given.grantee),
                sql.SQL(" WITH GRANT OPTION" if given.may_grant else ""),
            )
        )


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
