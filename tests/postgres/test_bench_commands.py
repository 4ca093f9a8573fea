"""The commands of bench/, at a size at which their figures mean nothing: they work, and tell the log right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import console, grid, imports, memory, stall, unchanged


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(console, "RESULTS", tmp_path)
    monkeypatch.setattr(grid, "RESULTS", tmp_path)
    return tmp_path


def test_the_log_of_a_run_is_read_record_by_record() -> None:
    found = unchanged.unchanged(2000, 2, strategies=["Merge", "Upsert"], kinds=["plain"])
    merge, upsert = found["runs"]
    assert set(merge["on_target"]) <= {unchanged.ALLOWED}
    assert 0 < merge["bytes"] < unchanged.MOST
    assert merge["isWell"]
    # Upsert locks every row that it finds to be as it should: the reader of records sees it.
    assert upsert["on_target"]["Heap/LOCK"] == 2000
    assert not upsert["isWell"]


def test_the_grid_is_printed_and_kept(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--rows", "2000", "--slices", "2", "--shares", "0,50", "--rounds", "1"]
    grid.main([*sizes, "--kind", "plain", "--strategy", "Merge", "--strategy", "DeleteInsert"])
    kept = json.loads((results / "grid-plain.json").read_text())
    assert len(kept["runs"]) == 4
    assert kept["ended"] is None
    assert (results / "grid-plain.png").exists()
    assert "DeleteInsert, first run" in capsys.readouterr().out


def test_memory_is_that_of_a_process_of_its_own() -> None:
    (run,) = memory.memory([2000], [("plain", "Merge")])["runs"]
    assert 20 < run["mib"] < memory.MOST
    assert run["changed"] == pytest.approx(600, abs=120)


def test_imports_are_timed_beside_an_empty_program() -> None:
    found = imports.imports(1)
    assert found["programs"]["the runner"]["median"] > found["programs"]["an empty program"]["median"]


def test_a_long_reader_stalls_the_others_where_there_is_no_lock_timeout() -> None:
    ways = {each["way"]: each for each in stall.stall(20_000, 1)["ways"]}
    assert all(each["reads"] and each["holes"] == 0 for each in ways.values())
    # It waited for the 3 s reader, the others behind it. How long Swap has them wait is a figure, not a promise of a
    # test's; that the reader was in its way, and it let the others through, is.
    assert ways[stall.RIVAL]["worst"][0] > stall.MOST
    assert "refused" in ways[stall.SWAP]["notes"][0]
