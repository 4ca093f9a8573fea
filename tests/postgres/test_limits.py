"""A broken source does not empty a ranking: allowEmpty and maxDeletePercent, whatever the strategy."""

from __future__ import annotations

import pytest

from tests.postgres.boards import OLD, STRATEGIES, board_for, rows, target
from tests.postgres.runs import report_of, run
from tests.postgres.server import Database

ALL = ("Auto", *STRATEGIES)


@pytest.fixture
def board(database: Database, request: pytest.FixtureRequest) -> Database:
    """Ten rows in the slice, as many in others."""
    board = board_for(database, request)
    board.execute(
        "INSERT INTO hot (board, kind, post_id, score, genre, created_at) "
        f"SELECT b, k, g, g, 'x', '{OLD}' FROM generate_series(1, 5) AS g, "
        "(VALUES ('main', 'a'), ('main', 'b'), ('main', 'c'), ('side', 'a')) AS v (b, k)"
    )
    return board


def keep(board: Database, number: int) -> None:
    """Have the source hold so many of the slice's ten rows, and as many others as are missing."""
    kept = f"SELECT kind, post_id, 0, 'new' FROM hot WHERE board = 'main' AND kind <> 'c' LIMIT {number}"
    board.execute(f"INSERT INTO source {kept}")
    board.execute(f"INSERT INTO source SELECT 'a', 100 + g, 0, 'new' FROM generate_series({number}, 9) AS g")


def all_rows(board: Database) -> object:
    return board.execute("SELECT *, tableoid, xmin::text, ctid::text FROM hot ORDER BY board, kind, post_id")


@pytest.mark.parametrize("strategy", ALL)
def test_an_empty_source_fails_the_target_and_says_what_to_write(board: Database, strategy: str) -> None:
    before = all_rows(board)
    report = report_of(run(board, target(strategy, maxDeletePercent=100)), exit_code=2)
    assert report.reason == "RunFailed"
    assert "spec.rewrite[0].query: it returned no rows" in report.message
    assert "allowEmpty: true in spec.rewrite[0]" in report.message
    assert all_rows(board) == before


@pytest.mark.parametrize("strategy", ALL)
def test_a_source_that_may_be_empty_empties_its_slice_and_no_other(board: Database, strategy: str) -> None:
    report = report_of(run(board, target(strategy, allowEmpty=True, maxDeletePercent=0)))
    assert rows(board) == []
    assert board.execute("SELECT board, kind, count(*) FROM hot GROUP BY 1, 2 ORDER BY 1, 2") == [
        ("main", "c", 5),
        ("side", "a", 5),
    ]
    assert report.targets[0].rows == 0


@pytest.mark.parametrize("strategy", ALL)
def test_as_many_rows_as_the_limit_allows_may_go_and_not_one_more(board: Database, strategy: str) -> None:
    keep(board, 6)
    before = all_rows(board)
    report = report_of(run(board, target(strategy, maxDeletePercent=39)), exit_code=2)
    assert "4 of the slice's 10 rows would be deleted, and maxDeletePercent allows 39 %" in report.message
    assert "spec.rewrite[0].maxDeletePercent" in report.message
    assert all_rows(board) == before
    report_of(run(board, target(strategy, maxDeletePercent=40)))
    assert rows(board) == board.execute("SELECT * FROM source ORDER BY kind, post_id")


@pytest.mark.parametrize("strategy", ALL)
def test_where_nothing_may_be_deleted_rows_still_change_and_come(board: Database, strategy: str) -> None:
    keep(board, 10)
    board.execute("INSERT INTO source VALUES ('b', 900, 1, 'new')")
    report_of(run(board, target(strategy, maxDeletePercent=0)))
    assert rows(board) == board.execute("SELECT * FROM source ORDER BY kind, post_id")


@pytest.mark.parametrize("strategy", ALL)
def test_a_slice_without_rows_has_none_to_lose(board: Database, strategy: str) -> None:
    board.execute("DELETE FROM hot; INSERT INTO source VALUES ('a', 1, 1, 'x')")
    report_of(run(board, target(strategy, maxDeletePercent=0)))
    assert len(rows(board)) == 1


@pytest.mark.parametrize("strategy", ALL)
def test_an_empty_source_fails_for_an_empty_slice_too(board: Database, strategy: str) -> None:
    board.execute("DELETE FROM hot")
    assert "it returned no rows" in report_of(run(board, target(strategy)), exit_code=2).message
