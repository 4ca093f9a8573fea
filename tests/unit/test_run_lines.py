"""A run's progress as lines: seldom enough for a pod's log, whole, and read back as it was written."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from tests.unit.kube import Clock, report
from trending.api.status import Step
from trending.cli.live_table import LiveTable
from trending.cli.run_lines import JsonLines, LogLines, lines, where
from trending.report.event import RunEvent, Work, read_event
from trending.runner.progress import Advance, CloseProgress
from trending.runner.record import Outcome

STEP = Step(name="week", action="Rewrite", strategy="Swap", seconds=8.25, rows_inserted=4, rows_updated=0)


def written(capsys: pytest.CaptureFixture[str]) -> list[RunEvent]:
    events = [read_event(line) for line in capsys.readouterr().err.splitlines()]
    assert None not in events
    return [event for event in events if event]


def at_index(done: int) -> Advance:
    detail = "building index: loading tuples in tree"
    return Advance(phase="building index 2 of 6", detail=detail, done=done, total=1_200_000, unit="tuples")


def test_what_is_written_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock("09:00:00")
    told = JsonLines(clock)
    told.expects({("Rewrite", "week"): 7.5})
    told.plans([("Refresh", "plays"), ("Rewrite", "week")])
    told.starts("Rewrite", "week")
    clock.advance(5)
    told.advances("Rewrite", "week", at_index(600_000))
    told.says("waiting for a lock on “week”")
    told.ends(STEP)
    told.reports(Outcome(report(), 0))
    plan, start, progress, say, end, last = written(capsys)
    assert plan.work == (
        Work(action="Refresh", name="plays"),
        Work(action="Rewrite", name="week", expected_seconds=7.5),
    )
    assert (start.event, start.action, start.name, start.time) == ("start", "Rewrite", "week", clock.now - SECONDS_5)
    assert (progress.phase, progress.done, progress.total, progress.unit) == (
        "building index 2 of 6",
        600_000,
        1_200_000,
        "tuples",
    )
    assert say.text == "waiting for a lock on “week”"
    assert end.step == STEP
    assert (last.result, last.reason, last.exit_code) == ("Succeeded", "RunSucceeded", 0)


SECONDS_5 = timedelta(seconds=5)


@pytest.mark.parametrize("lines_of", [JsonLines, LogLines])
def test_one_step_is_told_of_every_five_seconds_at_most_and_never_twice_the_same(
    lines_of: type[JsonLines | LogLines], capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock("09:00:00")
    told = lines_of(clock)
    told.starts("Rewrite", "week")
    for second in range(3600):
        clock.advance(1)
        # For half of the time it does not get on.
        told.advances("Rewrite", "week", at_index(min(second, 1800)))
        told.advances("Rewrite", "month", Advance(phase="staging"))
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "month" in line]) == 1
    assert 360 <= len([line for line in said if "week" in line]) <= 363


def test_a_phase_that_is_held_back_is_written_when_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock("09:00:00")
    told = JsonLines(clock)
    told.starts("Rewrite", "week")
    for second in range(6):
        told.advances("Rewrite", "week", Advance(phase="staging" if second == 0 else "comparing"))
        clock.advance(1)
    assert [event.phase for event in written(capsys)] == [None, "comparing"]


def test_people_read_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock("09:00:00")
    told = LogLines(clock)
    told.expects({("Rewrite", "week"): 7.5})
    told.starts("Rewrite", "week")
    clock.advance(6)
    told.advances("Rewrite", "week", at_index(600_000))
    assert capsys.readouterr().err.splitlines() == [
        "2026-11-23T09:00:00Z rewrite week (usually 7.5 s)",
        "2026-11-23T09:00:06Z rewrite week: building index 2 of 6, 50 % of 1,200,000 tuples (loading tuples in tree)",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "{",
        '{"job":"hourly-1","result":"Succeeded"}',
        '{"time":"2026-11-23T09:00:00Z","event":"unheard of"}',
        '{"time":"yesterday","event":"say"}',
        "[1]",
    ],
)
def test_what_is_no_event_is_none(line: str) -> None:
    assert read_event(line) is None


def test_an_event_of_a_newer_operator_is_read_without_what_is_new_in_it() -> None:
    event = read_event('{"time":"2026-11-23T09:00:00Z","event":"say","text":"hello","mood":"good"}')
    assert event is not None
    assert event.text == "hello"


def test_the_environment_says_which_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRENDING_LOG_FORMAT", raising=False)
    assert isinstance(lines(), LogLines)
    monkeypatch.setenv("TRENDING_LOG_FORMAT", "json")
    assert isinstance(lines(), JsonLines)


@pytest.mark.parametrize("told", [JsonLines(), LogLines(), LiveTable()])
def test_all_who_draw_or_write_listen_closely(told: object) -> None:
    assert isinstance(told, CloseProgress)


def test_more_than_all_is_never_told() -> None:
    """The server's totals are estimates where a table grows meanwhile."""
    assert where(at_index(1_300_000)) == "building index 2 of 6, 100 % of 1,200,000 tuples (loading tuples in tree)"


def drawn(table: LiveTable, *, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def test_the_table_shows_what_is_done_what_goes_on_and_what_is_to_come() -> None:
    table = LiveTable()
    table.expects({("Rewrite", "week"): 60.0, ("Rewrite", "month"): 120.0})
    table.plans([("Refresh", "plays"), ("Rewrite", "week"), ("Rewrite", "month")])
    table.starts("Refresh", "plays")
    table.ends(Step(name="plays", action="Refresh", mode="Concurrent", seconds=12.3))
    table.starts("Rewrite", "week", ago=45)
    table.advances("Rewrite", "week", at_index(600_000))
    table.says("waiting for a lock on week, held by 42")
    plays, week, where_it_is, month, said = drawn(table, width=88)
    assert plays.split() == ["✓", "refresh", "plays", "12.3", "s"]
    assert week.split()[:3] == ["▸", "rewrite", "week"]
    assert week.endswith("━" * 12 + "─" * 4 + "  about 15 s left")
    assert where_it_is.strip() == "building index 2 of 6, 50 % of 1,200,000 tuples (loading tuples in tree)"
    assert month.split() == ["·", "rewrite", "month", "usually", "120", "s"]
    assert said.strip() == "waiting for a lock on week, held by 42"


def test_a_step_that_takes_longer_than_usual_says_so_instead_of_promising() -> None:
    table = LiveTable()
    table.expects({("Rewrite", "week"): 60.0})
    table.plans([("Rewrite", "week")])
    table.starts("Rewrite", "week", ago=61)
    assert "longer than the usual 60 s" in drawn(table)[0]


def test_the_table_fits_a_narrow_screen() -> None:
    table = LiveTable()
    table.expects({("Rewrite", "week"): 60.0})
    table.plans([("Rewrite", "week")])
    table.starts("Rewrite", "week")
    table.advances("Rewrite", "week", at_index(600_000))
    lines = drawn(table, width=60)
    assert [len(line) <= 60 for line in lines] == [True, True]
    assert lines[1].endswith("…")
