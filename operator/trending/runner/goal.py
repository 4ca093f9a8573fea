"""What a target asks for, resolved against the database: its table, slice, key, stamp and query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import psycopg

from trending.api.spec import Strategy, Target
from trending.presets import Preset, PresetError, load_preset
from trending.runner.failure import ConfigurationError
from trending.runner.kin import share_rows
from trending.runner.now_parameter import BoundQuery, bind_now
from trending.runner.slices import Slice, canonical_slice
from trending.runner.table import Table, look_up

Connection = psycopg.Connection[Any]

_USUAL_STAMP: Final = "created_at"
_LEDGER: Final = "trending"
"""The schema of the ledger."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A query that several goals' scores are made from."""

    name: str
    """What its temporary table is called; the same in another goal only where the query is."""
    query: BoundQuery


@dataclass(frozen=True, kw_only=True)
class SharedQuery:
    """A goal's query once more, over inputs that other goals of the run may have too."""

    inputs: tuple[Input, ...]
    """At least one."""
    query: BoundQuery
    """The same rows as the goal's own query, read from `pg_temp.<name>` of each input and from nothing else."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A target as it is written in the spec, whether by preset or in full."""

    name: str
    where: str
    """Its place in the spec, such as `spec.rewrite[0]`."""
    table: str
    slice: Mapping[str, Sequence[str]]
    key: Sequence[str] | None
    stamp: str | None
    query: str
    strategy: Strategy
    allow_empty: bool
    max_delete_percent: int
    shared: SharedQuery | None = None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A target that the database can have."""

    name: str
    where: str
    slice: Slice
    key: tuple[str, ...]
    stamp: str | None
    """The column to set in rows that change, where there is one."""
    names_stamp: bool
    """Whether the user, or the preset, named the stamp."""
    query: BoundQuery
    """Complete in itself."""
    strategy: Strategy
    shared: SharedQuery | None = None
    """What may be run instead, where other goals of the run have its inputs too."""
    allow_empty: bool = False
    """Whether a source without rows may empty the slice."""
    max_delete_percent: int = 50
    """Of the slice's rows, how many in a hundred a run may delete."""

    @property
    def table(self) -> Table:
        """The table it rewrites a slice of."""
        return self.slice.table


def wish(target: Target, where: str) -> Wish:
    """Read a target of the spec. Raises ConfigurationError for a preset that there is not."""
    if target.preset is None:
        return Wish(
            name=target.name,
            where=where,
            table=target.table or "",
            slice=target.slice or {},
            key=target.key,
            stamp=target.stamp,
            query=target.query or "",
            strategy=target.strategy,
            allow_empty=target.allow_empty,
            max_delete_percent=target.max_delete_percent,
        )
    try:
        preset = load_preset(target.preset.name, target.preset.time_ranges, persist=target.preset.persist)
    except PresetError as error:
        raise ConfigurationError(f"{where}.preset: {error}") from None
    return Wish(
        name=target.name,
        where=where,
        table=preset.table,
        slice=preset.slice,
        key=preset.key,
        stamp=preset.stamp,
        query=preset.query,
        shared=_shared(preset),
        strategy=target.strategy,
        allow_empty=target.allow_empty,
        max_delete_percent=target.max_delete_percent,
    )


def resolve(connection: Connection, wish: Wish) -> Goal:
    """Look up what a target names. Raises ConfigurationError, which names the field, for what is not there."""
    table = look_up(connection, wish.table, where=f"{wish.where}.table")
    if table.schema == _LEDGER:
        raise ConfigurationError(f"{wish.where}.table: {table.qualified} is of the ledger, which runs keep themselves")
    slice_ = canonical_slice(connection, table, wish.slice, where=f"{wish.where}.slice")
    try:
        query = bind_now(wish.query)
    except ConfigurationError as error:
        raise ConfigurationError(f"{wish.where}.query: {error}") from None
    return Goal(
        name=wish.name,
        where=wish.where,
        slice=slice_,
        key=_key(table, slice_, wish),
        stamp=_stamp(table, wish),
        names_stamp=wish.stamp is not None,
        query=query,
        shared=wish.shared,
        strategy=wish.strategy,
        allow_empty=wish.allow_empty,
        max_delete_percent=wish.max_delete_percent,
    )


def overlap(connection: Connection, goals: Sequence[Goal]) -> str | None:
    """Return a sentence on two targets of one run that own the same rows; None where there are none."""
    for one, other in combinations(goals, 2):
        if share_rows(connection, one.slice, other.slice):
            same = one.table.oid == other.table.oid
            where = one.table.qualified if same else f"{one.table.qualified} that are rows of {other.table.qualified}"
            return (
                f"targets {one.name} and {other.name} both rewrite rows of {where}, and would undo each other's work: "
                "give them slices that have no row in common"
            )
    return None


def _shared(preset: Preset) -> SharedQuery | None:
    if not preset.inputs:
        return None
    inputs = tuple(Input(name=each.name, query=bind_now(each.query)) for each in preset.inputs)
    return SharedQuery(inputs=inputs, query=bind_now(preset.query_of_inputs))


def _key(table: Table, slice_: Slice, wish: Wish) -> tuple[str, ...]:
    if wish.key:
        for name in wish.key:
            table.column(name, f"{wish.where}.key")
        return tuple(wish.key)
    if not table.primary_key:
        raise ConfigurationError(
            f"{wish.where}: table {table.qualified} has no primary key: name the columns that tell its rows apart in "
            f"{wish.where}.key"
        )
    # With one value for each column of the primary key the slice has one row, which these columns still tell.
    return tuple(name for name in table.primary_key if name not in slice_.constants) or table.primary_key


def _stamp(table: Table, wish: Wish) -> str | None:
    if wish.stamp is None:
        usual = table.columns.get(_USUAL_STAMP)
        return _USUAL_STAMP if usual and usual.is_moment and not usual.is_servers else None
    where = f"{wish.where}.stamp"
    column = table.column(wish.stamp, where)
    if not column.is_moment or column.is_servers:
        raise ConfigurationError(
            f"{where}: column {wish.stamp!r} of {table.qualified} is no date or timestamp to be set"
        )
    return wish.stamp
