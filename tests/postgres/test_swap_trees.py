"""On random trees of partitions: what is found is exactly the slice, and what is refused is no whole partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.postgres.server import PostgresServer
from tests.postgres.swaps import slice_of
from trending.runner.rewrite.swap.tree import Found, descend

# The last value of each is in no slice and no list: only a DEFAULT partition takes it.
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "a": ("x", "y", "z", None, "w"),
    "b": ("p", "q", "r", None, "w"),
    "id": tuple(range(1, 13)),
}


@dataclass(frozen=True)
class Tree:
    """A table, partitioned by `method` or not at all; one clause (FOR VALUES .. or DEFAULT) for each child."""

    method: str = ""
    children: tuple[tuple[str, Tree], ...] = ()

    def statements(self, name: str, clause: str) -> Iterator[str]:
        by = f" PARTITION BY {self.method}" if self.method else ""
        yield f"CREATE TABLE {name} {clause}{by}"
        for number, (bound, child) in enumerate(self.children):
            yield from child.statements(f"{name}_{number}", f"PARTITION OF {name} {bound}")


def lists(column: str) -> st.SearchStrategy[list[str]]:
    """The bounds of a table that is partitioned by a list: some of the values, dealt out to up to three children."""
    literals = [f"'{value}'" if value else "NULL" for value in VALUES[column][:-1]]
    dealt = st.lists(st.integers(0, 3), min_size=len(literals), max_size=len(literals))

    def bounds(dealt_to: list[int], has_default: bool) -> list[str]:
        held = [[text for text, hand in zip(literals, dealt_to, strict=True) if hand == each] for each in range(3)]
        found = [f"FOR VALUES IN ({', '.join(hand)})" for hand in held if hand]
        return [*found, "DEFAULT"] if has_default or not found else found

    return st.builds(bounds, dealt, st.booleans())


def partitioned(depth: int, columns: frozenset[str] = frozenset(VALUES)) -> st.SearchStrategy[Tree]:
    """A tree of so many levels below the root's children, partitioned by each of the columns once on a way at most."""
    halves = ["FOR VALUES WITH (MODULUS 2, REMAINDER 0)", "FOR VALUES WITH (MODULUS 2, REMAINDER 1)"]
    ranges = ["FOR VALUES FROM (MINVALUE) TO (7)", "FOR VALUES FROM (7) TO (MAXVALUE)"]
    found = [tree_of(f"LIST ({name})", lists(name), depth, columns - {name}) for name in sorted(columns - {"id"})]
    if "id" in columns:
        found += [
            tree_of(method, st.just(bounds), depth, columns - {"id"})
            for method, bounds in (("HASH (id)", halves), ("RANGE (id)", ranges))
        ]
    return st.one_of(found)


def tree_of(
    method: str, bounds: st.SearchStrategy[list[str]], depth: int, columns: frozenset[str]
) -> st.SearchStrategy[Tree]:
    leaf = st.just(Tree())
    below = st.one_of(leaf, st.deferred(lambda: partitioned(depth - 1, columns))) if depth else leaf

    def with_children(found: list[str]) -> st.SearchStrategy[Tree]:
        return st.tuples(*(below for _ in found)).map(
            lambda children: Tree(method, tuple(zip(found, children, strict=True)))
        )

    return bounds.flatmap(with_children)


def hands(tree: Tree, column: str) -> Iterator[list[str]]:
    """The values of each of the tree's partitions by a list of this column."""
    for bound, child in tree.children:
        if tree.method == f"LIST ({column})" and bound != "DEFAULT":
            yield [value for value in VALUES[column] if f"'{value}'" in bound]
        yield from hands(child, column)


def some_of(tree: Tree, column: str) -> st.SearchStrategy[list[str]]:
    """Values of a column: those of one of the tree's partitions, or any."""
    any_values = st.lists(st.sampled_from([value for value in VALUES[column][:-1] if value]), min_size=1, unique=True)
    dealt = [hand for hand in hands(tree, column) if hand]
    return st.one_of(st.sampled_from(dealt), any_values) if dealt else any_values


def slices(tree: Tree) -> st.SearchStrategy[dict[str, list[str]]]:
    listed = {name: some_of(tree, name) for name in ("a", "b")}
    return st.one_of(
        st.fixed_dictionaries({}, optional=listed), *(st.fixed_dictionaries({name: listed[name]}) for name in listed)
    )


TREES = partitioned(2).flatmap(lambda tree: st.tuples(st.just(tree), slices(tree)))

FILL = """
    DO $$ DECLARE row record; BEGIN
        FOR row IN SELECT * FROM wanted LOOP
            BEGIN INSERT INTO scores SELECT row.a, row.b, row.id;
            EXCEPTION WHEN check_violation THEN NULL; END;
        END LOOP;
    END $$
"""


@pytest.fixture(scope="module")
def connection(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with server.database() as database, database.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE wanted (a text, b text, id int)")
        with connection.cursor().copy("COPY wanted FROM STDIN") as copy:
            for row in product(*VALUES.values()):
                copy.write_row(row)
        connection.commit()
        yield connection


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(both=TREES)
def test_what_is_found_is_exactly_the_slice(
    connection: psycopg.Connection[Any], both: tuple[Tree, dict[str, list[str]]]
) -> None:
    tree, values = both
    with connection.transaction(force_rollback=True):
        for statement in tree.statements("scores", ""):
            text = "(a text, b text, id int)" if statement.startswith("CREATE TABLE scores ") else ""
            connection.execute(statement.replace("CREATE TABLE scores ", f"CREATE TABLE scores {text}", 1))
        connection.execute(FILL)
        rows = connection.execute("SELECT tableoid::regclass::text, a, b, id FROM scores").fetchall()
        answer = descend(connection, slice_of(connection, values))
    event(f"{type(answer).__name__} of {len(values)} columns")
    check(rows, values, {leaf.name for leaf in answer.leaves} if isinstance(answer, Found) else None)


def check(rows: list[Any], values: dict[str, list[str]], found: set[str] | None) -> None:
    def is_wanted(a: str | None, b: str | None) -> bool:
        return a in values.get("a", [a]) and b in values.get("b", [b])

    inside = {leaf for leaf, a, b, _ in rows if is_wanted(a, b)}
    outside = {leaf for leaf, a, b, _ in rows if not is_wanted(a, b)}
    if found is not None:
        assert inside <= found, "a leaf with rows of the slice is not among those that would be exchanged"
        assert not found & outside, "a leaf that would be exchanged has rows of others"
        held = {tuple(value for name, value in (("a", a), ("b", b)) if name in values) for _, a, b, _ in rows}
        wanted_values = set(product(*(values[name] for name in ("a", "b") if name in values)))
        assert wanted_values <= held, "some of the slice's values have no partition"
        return
    there = {(a, b, number) for _, a, b, number in rows}
    present = [sorted({row[at] for row in there}, key=str) for at in range(3)]
    wanted = product(values.get("a", present[0]), values.get("b", present[1]), present[2])
    assert inside & outside or not set(wanted) <= there or not inside, "it is whole partitions, and was refused"
