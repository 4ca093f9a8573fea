"""What a step is expected to take, from the steps before."""

from __future__ import annotations

from typing import Any

from trending.api.status import Step
from trending.runner.history import Estimate, History


def rewrite(seconds: float | None, *, wal: int | None = None, changed: int = 0, **fields: Any) -> Step:
    counts = {"rows_inserted": 0, "rows_updated": changed, "rows_deleted": 0, "rows_unchanged": 9}
    step = {"name": "own", "action": "Rewrite", "strategy": "Merge", "seconds": seconds, "wal_bytes": wal, **counts}
    return Step.model_validate({**step, **fields})


def estimate(*steps: Step, how: str = "Merge", changes: int | None = None) -> Estimate:
    return History(steps).estimate("Rewrite", "own", how, changes=changes)


def test_without_a_run_nothing_is_known() -> None:
    assert estimate() == Estimate(seconds=None, wal_bytes=None, runs=0)


def test_time_is_the_median_so_that_one_slow_run_says_nothing() -> None:
    assert estimate(rewrite(1), rewrite(2), rewrite(90)).seconds == 2
    assert estimate(rewrite(1), rewrite(2)).seconds == 1.5


def test_only_steps_of_this_target_done_in_this_way_count() -> None:
    steps = (
        rewrite(1),
        rewrite(50, strategy="DeleteInsert"),
        rewrite(60, name="other"),
        rewrite(None),
        rewrite(70, strategy=None),  # superseded
        Step(name="own", action="Refresh", mode="Concurrent", seconds=80),
    )
    assert estimate(*steps) == Estimate(seconds=1, wal_bytes=None, runs=1)
    assert estimate(*steps, how="DeleteInsert").seconds == 50
    assert History(steps).estimate("Refresh", "own", "Concurrent").seconds == 80
    assert History(steps).estimate("Refresh", "own", "Blocking") == Estimate()


def test_the_wal_of_a_merge_grows_with_the_rows_that_change() -> None:
    steps = (rewrite(1, wal=1000, changed=10), rewrite(1, wal=4000, changed=20), rewrite(1, wal=30))
    assert estimate(*steps, changes=2).wal_bytes == 300
    assert estimate(*steps, changes=0).wal_bytes == 30


def test_what_no_run_has_shown_is_not_made_up() -> None:
    assert estimate(rewrite(1, wal=1000, changed=10), changes=0).wal_bytes is None
    assert estimate(rewrite(1, wal=30), changes=5).wal_bytes is None


def test_the_wal_of_a_whole_slice_written_anew_is_that_of_the_runs_before() -> None:
    steps = (rewrite(1, wal=1000, changed=10, strategy="Swap"), rewrite(1, wal=3000, changed=1, strategy="Swap"))
    assert estimate(*steps, how="Swap", changes=1).wal_bytes == 2000
