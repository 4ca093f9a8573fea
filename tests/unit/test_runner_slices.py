"""Slices: one form, one lock key, and which of them have rows in common."""

from typing import Any

import pytest

from trending.runner.slices import Slice
from trending.runner.table import Table


def table(**fields: Any) -> Table:
    defaults: dict[str, Any] = {"oid": 1, "schema": "public", "name": "t", "qualified": "public.t"}
    return Table(**(defaults | {"columns": {}, "primary_key": (), "unique_keys": ()} | fields))


def of(values: dict[str, tuple[str, ...]], **fields: Any) -> Slice:
    return Slice(table=table(**fields), values=values)


def test_the_canonical_form_and_the_lock_key_never_change() -> None:
    slice_ = of({"type": ("TRACKS",), "time_range": ("month", "week"), "größe": ('"',)})
    assert slice_.canonical == r'{"größe":["\""],"time_range":["month","week"],"type":["TRACKS"]}'
    # Runners of two versions meet at this number.
    assert slice_.lock_key == of(dict(reversed(list(slice_.values.items())))).lock_key == -6247629889095101003
    assert -(2**63) <= slice_.lock_key < 2**63


def test_another_table_or_value_is_another_lock() -> None:
    keys = [
        of({}).lock_key,
        of({}, qualified="other.t").lock_key,
        of({"a": ("1",)}).lock_key,
        of({"a": ("2",)}).lock_key,
        of({"b": ("1",)}).lock_key,
        of({"a": ("1", "2")}).lock_key,
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ({}, {}, True),
        ({}, {"a": ("1",)}, True),
        ({"a": ("1",)}, {"a": ("1", "2")}, True),
        ({"a": ("1",)}, {"a": ("2",)}, False),
        ({"a": ("1",)}, {"b": ("2",)}, True),
        ({"a": ("1",), "b": ("1",)}, {"a": ("1",), "b": ("2",)}, False),
        ({"a": ("1", "2"), "b": ("1", "3")}, {"a": ("2",), "b": ("3",)}, True),
    ],
)
def test_slices_overlap_where_a_row_could_be_in_both(
    one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]], overlap: bool
) -> None:
    assert of(one).overlaps(of(other)) is overlap
    assert of(other).overlaps(of(one)) is overlap
    assert not of(one).overlaps(of(other, oid=2))


def test_columns_with_one_value_are_constants() -> None:
    slice_ = of({"a": ("1",), "b": ("2", "3")})
    assert slice_.constants == {"a": "1"}
    assert slice_.lists == ("b",)
