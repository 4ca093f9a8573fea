"""What a bench makes of its measurements."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from trending.bench.campaign import Campaign
from trending.bench.machine import Machine
from trending.bench.measure import Measured
from trending.bench.plot import NoPlotError, check_plot, draw
from trending.bench.report import FIRST, Findings
from trending.bench.threshold import crossing, thresholds
from trending.bench.view import print_bout
from trending.bench.work import Bout
from trending.bench.yard import Kind

PNG = b"\x89PNG\r\n"


def measured(strategy: Any, share: float, cpu: float | None, **fields: Any) -> Measured:
    usual: dict[str, Any] = {
        "kind": "plain",
        "round": 1,
        "nth": 2,
        "wall": 10.0,
        "wal": 1_000_000,
        "changed": 10,
        "ran": strategy,
        "note": None,
        "vacuum_wall": 1.0,
        "vacuum_cpu": 1.0,
        "vacuum_wal": 1000,
    }
    return Measured(strategy=strategy, share=share, cpu=cpu, **{**usual, **fields})


def machine(*, is_local: bool = True) -> Machine:
    return Machine(
        server="PostgreSQL 15.18 on x",
        settings={"shared_buffers": "4GB"},
        is_local=is_local,
        cores=2,
        memory_gib=24,
        system="Linux",
        load_average=0.5,
    )


def bout(*runs: Measured, is_local: bool = True) -> Bout:
    parameters = {"rows": 4_000_000, "slices": 3, "rounds": 3, "settings": {"work_mem": "256MB"}}
    return Bout(machine=machine(is_local=is_local), parameters=parameters, runs=list(runs))


def grid(kind: Kind, rival: Any, *, flat: float) -> list[Measured]:
    """Merge costs 1 s and 10 s for each tenth that changes; its rival always the same."""
    return [
        measured(strategy, share, cpu, kind=kind)
        for share in (0.0, 0.02, 0.1, 0.6)
        for strategy, cpu in (("Merge", 1 + 100 * share), (rival, flat))
    ]


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([(0.0, -4.0), (0.1, 4.0)], 0.05),
        ([(0.0, -4.0), (0.1, -1.0), (0.6, 4.0)], 0.2),
        ([(0.0, 1.0), (0.6, 4.0)], 0.0),  # never cheaper
        ([(0.0, -4.0), (0.5, -2.0)], 1.0),  # on a straight line the two meet at all rows
        ([(0.0, -4.0), (0.6, -1.0)], 0.8),
        ([(0.0, -4.0), (0.6, -4.0)], 1.0),  # they never meet
        ([(0.0, 0.1), (0.02, -0.1), (0.6, 1.0)], 0.02 + 0.58 * 0.1 / 1.1),  # noise at the cheap end does not count
    ],
)
def test_merge_is_the_cheaper_one_below_the_last_crossing(points: list[tuple[float, float]], share: float) -> None:
    assert crossing(points) == pytest.approx(share)


def test_thresholds_are_against_what_auto_would_take_instead() -> None:
    found = thresholds(Findings([*grid("plain", "DeleteInsert", flat=41), *grid("partitioned", "Swap", flat=9)]))
    assert found == {"plain": pytest.approx(0.4), "partitioned": pytest.approx(0.08)}


def test_a_rival_that_fell_back_gives_no_threshold() -> None:
    runs = [measured("Merge", 0.0, 1), measured("Merge", 0.6, 50)]
    runs += [measured("DeleteInsert", share, 9, ran="Merge") for share in (0.0, 0.6)]
    assert thresholds(Findings(runs)) == {}


def test_figures_are_medians_with_their_spread() -> None:
    findings = Findings([measured("Merge", 0.02, cpu) for cpu in (3.0, 1.0, 7.0)])
    cell = findings.cell("plain", 0.02, "Merge")
    assert cell is not None
    assert cell.cpu is not None
    assert (cell.cpu.median, cell.cpu.least, cell.cpu.most, cell.runs) == (3, 1, 7, 3)


def test_the_first_delete_insert_after_a_load_is_told_apart() -> None:
    findings = Findings([measured("DeleteInsert", 0.02, 90, nth=1), measured("DeleteInsert", 0.02, 40, nth=2)])
    assert [(cell.label, cell.cost.median) for cell in findings.cells("plain", 0.02)] == [
        (FIRST, 90),
        ("DeleteInsert", 40),
    ]


def test_what_writes_every_row_counts_at_shares_where_it_was_not_measured() -> None:
    findings = Findings([measured("Merge", 0.6, 50), measured("DeleteInsert", 0.02, 40)])
    cell = findings.cell("plain", 0.6, "DeleteInsert")
    assert cell is not None
    assert cell.is_of_other_shares
    assert findings.cell("plain", 0.02, "Merge") is None


def test_auto_is_compared_with_the_best_fixed_strategy_and_never_with_a_first_run() -> None:
    findings = Findings(
        [
            measured("Merge", 0.6, 50),
            measured("DeleteInsert", 0.6, 10, nth=1),
            measured("DeleteInsert", 0.6, 40),
            measured("Auto", 0.6, 44, ran="DeleteInsert"),
        ]
    )
    assert findings.auto_to_best("plain", 0.6) == pytest.approx(1.1)


def test_without_cpu_time_the_comparison_is_by_time() -> None:
    findings = Findings([measured("Merge", 0.6, None, wall=5.0), measured("Auto", 0.6, None, wall=6.0)])
    assert findings.auto_to_best("plain", 0.6) == pytest.approx(1.2)


def test_people_see_what_it_was_measured_on_and_who_did_it() -> None:
    out = io.StringIO()
    seen = bout(measured("Merge", 0.6, 50), measured("Auto", 0.6, 55, ran="Merge"))
    seen.thresholds["plain"] = 0.714
    print_bout(Console(file=out, width=200), seen)
    text = out.getvalue()
    assert "PostgreSQL 15.18" in text
    assert "2 cores" in text
    assert "Auto (Merge 1x)" in text
    assert "1.10" in text
    assert "Merge costs less than DeleteInsert where fewer than 71.4% change" in text


def test_a_server_elsewhere_is_told_to_have_no_cpu_time() -> None:
    out = io.StringIO()
    print_bout(Console(file=out, width=200), bout(measured("Merge", 0.6, None), is_local=False))
    assert "no CPU time is told" in out.getvalue()


def test_swap_is_not_measured_on_a_plain_table() -> None:
    campaign = Campaign(kinds=["plain"], strategies=["Merge", "Swap"], shares=[0, 0.1], rounds=2)
    assert campaign.runs == 4
    assert campaign.strategies_at("plain", 0.1, 1) == ["Merge"]


def test_rivals_take_turns_at_being_first() -> None:
    campaign = Campaign(kinds=["partitioned"], strategies=["Merge", "Swap", "Auto"], shares=[0.1], rounds=3)
    orders = [campaign.strategies_at("partitioned", 0.1, round_) for round_ in (1, 2, 3)]
    assert [order[0] for order in orders] == ["Merge", "Swap", "Auto"]


def test_what_takes_long_may_be_measured_once_a_round() -> None:
    campaign = Campaign(
        kinds=["partitioned"], strategies=["Merge", "Swap"], shares=[0, 0.02, 0.1], rounds=2, once=["Swap"]
    )
    assert campaign.runs == 2 * 4
    assert campaign.strategies_at("partitioned", 0.02, 1) == ["Merge", "Swap"]


def test_the_plot_is_a_png(tmp_path: Path) -> None:
    picture = tmp_path / "bench.png"
    check_plot(picture)
    draw(Findings(grid("plain", "DeleteInsert", flat=41)), picture, title="a bench")
    assert picture.read_bytes().startswith(PNG)


def test_a_plot_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(NoPlotError, match="there is no folder"):
        check_plot(tmp_path / "missing" / "bench.png")
