"""What Swap promises: whole partitions hold the stage's rows, are as before in all else, and others are untouched."""

from __future__ import annotations

import pytest

from tests.postgres.server import Database
from tests.postgres.swaps import NOW, SCORES, built, put, ranking, swapped

OTHERS = (
    "SELECT *, tableoid::regclass::text, ctid::text, xmin::text FROM scores WHERE (version, span) <> ('v1', 'week')"
)


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


def test_the_slice_holds_the_stages_rows_and_others_are_untouched(scores: Database) -> None:
    before = scores.execute(OTHERS)
    with scores.connect(autocommit=True) as connection:
        made = swapped(connection, ranking(7, rows=120))
    assert made.rows == 120
    assert made.note == "columns that the query does not return have their defaults: extra"
    assert scores.execute(OTHERS) == before
    assert scores.execute(
        "SELECT count(*), sum(score), min(genre), min(extra), min(created_at), max(created_at), "
        "min(tableoid::regclass::text) FROM scores WHERE version = 'v1' AND span = 'week'"
    ) == [(120, 7 * 7260, "jazz", "default", NOW, NOW, "scores_v1_week")]


def test_repeated_swaps_change_no_name_and_leave_nothing(scores: Database) -> None:
    names = (
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "UNION ALL SELECT conname, contype FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    before = scores.execute(names)
    with scores.connect(autocommit=True) as connection:
        for factor in (2, 3, 4):
            swapped(connection, ranking(factor))
            assert scores.execute(names) == before
    assert scores.execute("SELECT sum(score) FROM scores_v1_week") == [(4 * 5050,)]


def test_the_exchange_makes_no_index_and_reads_no_row(scores: Database) -> None:
    with scores.connect(autocommit=True) as connection:
        made = built(connection, ranking(2))
        (new,) = made.leaves
        indexes = f"SELECT indexrelid::int FROM pg_index WHERE indrelid = {new.oid} ORDER BY 1"
        before = scores.execute(indexes)
        connection.execute("SET client_min_messages = debug1")
        heard: list[str] = []
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        put(connection, made)
    assert len(before) == 3
    assert scores.execute(indexes) == before
    assert any("implied by existing constraints" in line for line in heard), heard
    attached = "SELECT count(*) FROM pg_inherits WHERE inhrelid = ANY(%s)"
    assert scores.execute(attached, [[oid for (oid,) in before]]) == [(3,)]
