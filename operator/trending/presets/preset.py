"""A preset by its name: everything that a target needs, except how and when to write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trending.api.spec import Persist
from trending.presets.audius import RANKINGS, Input

_BY_NAME: Final = {ranking.name: ranking for ranking in RANKINGS}
_INPUTS_SCHEMA: Final = "pg_temp."


class PresetError(ValueError):
    """A preset that cannot be had; its text is a sentence with what to write instead."""


class UnknownPreset(PresetError):  # noqa: N818 - the word of the condition's reason
    """No preset has this name."""


class UnknownTimeRange(PresetError):  # noqa: N818 - as UnknownPreset
    """The preset does not have this time range, or none was asked for."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A target's table, slice, key, stamp and query.

    `table` and `reads` are names as written in SQL, resolved by the server's search path. `slice` maps columns to the
    values they have in the rows this target owns; `key` is the table's primary key less the slice's single-valued
    columns. `query` is one statement without a semicolon; `:now` in it stands for a timestamptz, the data timestamp. It
    returns every column but the stamp and those of type and version, `time_range` even where the slice has only one.
    `reads` are the materialized views that it needs populated.

    `inputs` are what presets of one family have in common: an input of the same name is the same query. `query` has
    them within; `query_of_inputs` returns the same rows from temporary tables of these names that hold the inputs' rows
    as of the same `:now`, and reads nothing else. Without inputs both are the same.
    """

    name: str
    table: str
    slice: Mapping[str, tuple[str, ...]]
    key: tuple[str, ...]
    stamp: str
    query: str
    reads: tuple[str, ...]
    inputs: tuple[Input, ...]
    query_of_inputs: str


def known_presets() -> dict[str, tuple[str, ...]]:
    """The time ranges of each preset, by its name."""
    return {name: tuple(ranking.sources) for name, ranking in _BY_NAME.items()}


def load_preset(name: str, time_ranges: Sequence[str], *, persist: Persist = "all") -> Preset:
    """The preset `name` for these time ranges, of which one or more must be given and repeated ones count once.

    With `persist` positive its query returns only scores above zero. Raises UnknownPreset or UnknownTimeRange with a
    sentence that lists what there is.
    """
    if name not in _BY_NAME:
        raise UnknownPreset(f"There is no preset {name!r}; the presets are: {', '.join(sorted(_BY_NAME))}.")
    ranking = _BY_NAME[name]
    wanted = tuple(dict.fromkeys(time_ranges))
    known = ", ".join(ranking.sources)
    if not wanted:
        raise UnknownTimeRange(f"The preset {name} needs one or more of its time ranges: {known}.")
    for time_range in wanted:
        if time_range not in ranking.sources:
            raise UnknownTimeRange(f"The preset {name} has no time range {time_range!r}; it has: {known}.")
    slice_ = {"type": (ranking.type,), "version": (ranking.strategy.version,), "time_range": wanted}
    inputs = ranking.inputs(wanted)
    return Preset(
        name=name,
        table=ranking.table,
        slice=slice_,
        key=tuple(column for column in ranking.primary_key if len(slice_.get(column, ())) != 1),
        stamp=ranking.stamp,
        query=_with_inputs(_persisted(ranking.query(wanted), persist), inputs),
        reads=tuple(dict.fromkeys(view for time_range in wanted for view in ranking.sources[time_range].reads)),
        inputs=inputs,
        query_of_inputs=_persisted(ranking.query(wanted, schema=_INPUTS_SCHEMA), persist),
    )


def _persisted(query: str, persist: Persist) -> str:
    if persist == "all":
        return query
    # OFFSET 0 has a score computed once, and not for the condition and the row.
    return "\n".join(("SELECT * FROM (", query, "OFFSET 0", ") AS scores", "WHERE score > 0"))


def _with_inputs(query: str, inputs: Sequence[Input]) -> str:
    if not inputs:
        return query
    return "WITH " + ", ".join(f"{each.name} AS (\n{each.query}\n)" for each in inputs) + f"\n{query}"
