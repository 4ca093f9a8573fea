"""What a run vacuums."""

from __future__ import annotations

import pytest

from trending.api.status import Step
from trending.runner.maintenance import Churned, dead_rows, why_vacuum


def table(*, rows: float, dead: int = 0, trigger: float | None = None) -> Churned:
    usual = 50 + 0.2 * rows
    return Churned(
        schema="public",
        name="hot",
        rows=rows,
        dead=dead,
        trigger=usual if trigger is None else trigger,
        is_ours=True,
    )


@pytest.mark.parametrize(
    ("found", "written", "vacuum"),
    [
        pytest.param(table(rows=1e6), 0, False, id="nothing written"),
        pytest.param(table(rows=100), 100, False, id="a small table, all of it"),
        pytest.param(table(rows=1e4), 999, False, id="below a thousand"),
        pytest.param(table(rows=1e4), 1000, True, id="a tenth"),
        pytest.param(table(rows=1e6), 99_999, False, id="below a tenth"),
        pytest.param(table(rows=1e6, dead=100_000), 5_000, True, id="what earlier runs left counts"),
        pytest.param(table(rows=1e6, dead=99_999), 99_999, False, id="this run's are not counted twice"),
        pytest.param(table(rows=1e6, trigger=20_000), 20_000, True, id="the table's own settings"),
        pytest.param(table(rows=-1), 5_000, True, id="never analysed"),
    ],
)
def test_a_tenth_of_the_rows_or_autovacuum_s_own_trigger(found: Churned, written: int, vacuum: bool) -> None:
    assert (why_vacuum(found, written=written) is not None) is vacuum


def test_updated_and_deleted_rows_are_dead_but_for_those_that_swap_left_behind() -> None:
    steps = [
        Step(name="a", action="Rewrite", strategy="Merge", rows_inserted=5, rows_updated=7, rows_deleted=11),
        Step(name="b", action="Rewrite", strategy="Swap", rows_inserted=5, rows_updated=7, rows_deleted=11),
        Step(name="c", action="Rewrite", note="not due"),
    ]
    assert dead_rows(steps) == 18
