"""The statements that make a table's twin: partitioned where the table is plain, plain where it is partitioned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from trending.runner.partition import names
from trending.runner.partition.original import Index, Leaf, Original, Statistics
from trending.runner.partition.shape import Part, Rest, Shape

_KINDS = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The table that takes the original's place; `shape` is None where it is a plain one."""

    original: Original
    shape: Shape | None

    @property
    def name(self) -> str:
        """Its name until the exchange."""
        return names.fitted(self.original.table.name, "_unfinished_copy")

    @property
    def identifier(self) -> sql.Identifier:
        """That name for SQL."""
        return self.in_schema(self.name)

    @property
    def mark(self) -> str:
        """Its comment until the exchange, by which a later run knows what one that was cut off has left."""
        return f"trending partition: unfinished copy of {self.original.table.qualified}"

    def in_schema(self, name: str) -> sql.Identifier:
        """Return the name of something in the table's schema."""
        return sql.Identifier(self.original.table.schema, name)

    def provisional(self, name: str) -> str:
        """Return what an index or statistics object is called until the exchange."""
        return names.fitted(name, "_unfinished", told_apart_by=[self.original.table.qualified])

    def make(self) -> Iterator[sql.Composed]:
        """Return the statements that make it, empty and without indexes."""
        table = self.original.table
        by = sql.SQL("") if self.shape is None else _partition_by(self.shape.by[0])
        storage = sql.SQL("") if self.shape else self._storage()
        like = "INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS EXCLUDING IDENTITY"
        yield sql.SQL("CREATE TABLE {} (LIKE {} {}){}{}").format(
            self.identifier, table.identifier, sql.SQL(like), by, storage
        )
        yield sql.SQL("COMMENT ON TABLE {} IS {}").format(self.identifier, sql.Literal(self.mark))
        for part in self.shape.parts if self.shape else ():
            yield self._part(part)
        yield from self._column_settings()

    def copy(self, leaf: Leaf, first: int, last: int | None) -> sql.Composed:
        """Return the statement that copies a leaf's pages `first` up to `last` (without it; None: to the end)."""
        end = sql.SQL("") if last is None else sql.SQL(" AND ctid < {}::tid").format(sql.Literal(f"({last},0)"))
        columns = self.original.copied
        return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM ONLY {} WHERE ctid >= {}::tid{}").format(
            self.identifier, columns, columns, leaf.identifier, sql.Literal(f"({first},0)"), end
        )

    def finish(self) -> Iterator[sql.Composed]:
        """Return the statements for indexes, constraints and statistics objects, under provisional names."""
        for index in self.original.indexes:
            yield from self._index(index)
        for statistics in self.original.statistics:
            yield from self._statistics(statistics)

    def vacuum(self) -> sql.Composed:
        """Return the statement, not for a transaction, after which it is as if it had always been there."""
        return sql.SQL("VACUUM (ANALYZE) {}").format(self.identifier)

    def _part(self, part: Part) -> sql.Composed:
        value = part.path[-1]
        bound = (
            sql.SQL("DEFAULT") if isinstance(value, Rest) else sql.SQL("FOR VALUES IN ({})").format(sql.Literal(value))
        )
        parent = self.identifier if len(part.path) == 1 else self.in_schema(part.parent)
        below = self._storage() if part.by is None else _partition_by(part.by)
        return sql.SQL("CREATE TABLE {} PARTITION OF {} {}{}").format(self.in_schema(part.name), parent, bound, below)

    def _storage(self) -> sql.Composed:
        relation = self.original.relation
        clauses: list[sql.Composable] = []
        if relation.access_method:
            clauses.append(sql.SQL(" USING {}").format(sql.Identifier(relation.access_method)))
        options = [_option(each) for each in relation.options]
        options += [_option(each, "toast") for each in relation.toast_options]
        if options:
            clauses.append(sql.SQL(" WITH ({})").format(sql.SQL(", ").join(options)))
        if relation.tablespace:
            clauses.append(sql.SQL(" TABLESPACE {}").format(sql.Identifier(relation.tablespace)))
        return sql.Composed(clauses)

    def _column_settings(self) -> Iterator[sql.Composed]:
        leaves = [self.in_schema(part.name) for part in self.shape.leaves] if self.shape else []
        for column in self.original.columns:
            for table in [self.identifier, *leaves]:
                change = sql.SQL("ALTER TABLE ONLY {} ALTER COLUMN {}").format(table, sql.Identifier(column.name))
                if column.target is not None:
                    yield sql.SQL("{} SET STATISTICS {}").format(change, sql.Literal(column.target))
                if column.options:
                    options = sql.SQL(", ").join(_option(each) for each in column.options)
                    yield sql.SQL("{} SET ({})").format(change, options)

    def _index(self, index: Index) -> Iterator[sql.Composed]:
        name = self.provisional(index.name)
        yield sql.SQL("SET LOCAL default_tablespace = {}").format(sql.Literal(index.tablespace))
        if index.constraint_definition is None:
            yield sql.SQL("CREATE {}INDEX {} ON {} {}").format(
                sql.SQL("UNIQUE " if index.is_unique else ""),
                sql.Identifier(name),
                self.identifier,
                sql.SQL(index.definition),
            )
        else:
            yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                self.identifier, sql.Identifier(name), sql.SQL(index.constraint_definition)
            )
        if index.comment is not None:
            yield sql.SQL("COMMENT ON INDEX {} IS {}").format(self.in_schema(name), sql.Literal(index.comment))
        if index.constraint_comment is not None:
            yield sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                sql.Identifier(name), self.identifier, sql.Literal(index.constraint_comment)
            )

    def _statistics(self, statistics: Statistics) -> Iterator[sql.Composed]:
        name = sql.Identifier(statistics.schema, self.provisional(statistics.name))
        kinds = sql.SQL(", ").join(sql.SQL(_KINDS[kind]) for kind in statistics.kinds if kind in _KINDS)
        listed = sql.SQL(" ({})").format(kinds) if kinds.as_string(None) else sql.SQL("")
        columns = sql.SQL(statistics.columns)
        yield sql.SQL("CREATE STATISTICS {}{} ON {} FROM {}").format(name, listed, columns, self.identifier)
        if statistics.target is not None:
            yield sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(name, sql.Literal(statistics.target))
        if statistics.comment is not None:
            yield sql.SQL("COMMENT ON STATISTICS {} IS {}").format(name, sql.Literal(statistics.comment))


def _partition_by(column: str) -> sql.Composed:
    return sql.SQL(" PARTITION BY LIST ({})").format(sql.Identifier(column))


def _option(text: str, *namespace: str) -> sql.Composed:
    name, _, value = text.partition("=")
    return sql.SQL("{} = {}").format(sql.Identifier(*namespace, name), sql.Literal(value))
