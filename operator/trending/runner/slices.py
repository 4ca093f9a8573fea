"""A slice: which rows of a table are a target's, in one canonical form whatever way it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from trending.runner.failure import ConfigurationError
from trending.runner.table import Table

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Slice:
    """Some rows of a table: those whose columns have one of the values, in the column's own text form."""

    table: Table
    values: Mapping[str, tuple[str, ...]]
    """Columns in order, with their values distinct and in order; empty for the whole table."""

    @property
    def constants(self) -> dict[str, str]:
        """The columns for which there is one value."""
        return {name: values[0] for name, values in self.values.items() if len(values) == 1}

    @property
    def lists(self) -> tuple[str, ...]:
        """The columns for which there are several values."""
        return tuple(name for name, values in self.values.items() if len(values) > 1)

    @property
    def canonical(self) -> str:
        """The slice as JSON, the same for the same slice: the ledger's `slice`."""
        return json.dumps(self.values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def lock_key(self) -> int:
        """What two writers of this slice meet at: 64 bits of SHA-256 over table and slice, as a signed number."""
        digest = hashlib.sha256(f"{self.table.qualified}\n{self.canonical}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def overlaps(self, other: Slice) -> bool:
        """Tell whether a row could be in both, as far as their values say (see `kin.share_rows`)."""
        one, another = self.table, other.table
        if one.oid != another.oid and one.oid not in another.ancestors and another.oid not in one.ancestors:
            return False
        return all(set(values) & set(other.values.get(name, values)) for name, values in self.values.items())

    def condition(self, alias: str, columns: Iterable[str] | None = None) -> sql.Composable:
        """Return the SQL condition that a row of `alias` is in the slice, judged by these columns (default all)."""
        tests = [self._has(alias, name) for name in (self.values if columns is None else columns)]
        return sql.SQL(" AND ").join(tests) if tests else sql.SQL("true")

    def _has(self, alias: str, column: str) -> sql.Composed:
        of_type = self.table.columns[column].type
        values = sql.SQL(", ").join(sql.SQL("{}::{}").format(value, of_type) for value in self.values[column])
        return sql.SQL("{} IN ({})").format(sql.Identifier(alias, column), values)

    def __str__(self) -> str:
        return f"{self.table.qualified} {self.canonical}"


def canonical_slice(connection: Connection, table: Table, slice_: Mapping[str, Sequence[str]], *, where: str) -> Slice:
    """Have the server cast each value to its column's type and back (see Column.canonical).

    Raises ConfigurationError, which begins with `where`, for an unknown column or a value that it cannot hold.
    """
    values = {
        name: _canonical_values(connection, table, name, texts, f"{where}.{name}") for name, texts in slice_.items()
    }
    return Slice(table=table, values=dict(sorted(values.items())))


def _canonical_values(
    connection: Connection, table: Table, name: str, texts: Sequence[str], where: str
) -> tuple[str, ...]:
    column = table.column(name, where)
    value, declared = sql.Identifier("v"), sql.SQL("v::{}::text").format(sql.SQL(column.declared))
    meant = value if column.cuts else column.canonical(value)
    query = sql.SQL("SELECT v, {}, {}, {} FROM unnest({}::text[]) AS v").format(
        meant, declared, column.canonical(declared), list(texts)
    )
    try:
        rows = connection.execute(query).fetchall()  # without parameters, so that a % in a name is nothing special
    except (psycopg.DataError, psycopg.IntegrityError) as error:  # the latter is a domain's constraint
        raise ConfigurationError(
            f"{where}: a value is none for that column of {table.qualified}", server=error
        ) from None
    for given, canonical, stored, canonical_stored in rows:
        if canonical != canonical_stored:  # a row with this value would be stored with that one, outside the slice
            raise ConfigurationError(
                f"{where}: that column of {table.qualified} is {column.declared} and cannot hold {given!r}, which it "
                f"would make {stored!r}"
            )
    return tuple(sorted({canonical for _, canonical, _, _ in rows}))
