"""`kubectl trending list`: what is most stale comes first, and a line is never folded."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from demo.pictures import NOW, schedule, schedules
from tests.unit.api_server import ApiServer
from tests.unit.plugin import call
from trending.cli.kubectl.list_view import list_table, most_stale_first
from trending.cli.kubectl.times import human_age, local_time, localized


def lines(*, width: int, wide: bool = False, bodies: list[dict[str, Any]] | None = None) -> list[str]:
    """The table on a screen of that width, without colours."""
    console = Console(width=2000 if wide else width, file=io.StringIO(), color_system=None)
    rows = most_stale_first(schedules() if bodies is None else bodies, NOW)
    console.print(list_table(rows, NOW, everywhere=True, wide=wide, width=width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_what_has_no_data_comes_first_then_what_is_stale_then_what_goes_stale_next() -> None:
    names = [row.body["metadata"]["name"] for row in most_stale_first(schedules(), NOW)]
    assert names == ["boards", "underground", "playlists", "hourly", "charts"]


def test_data_are_stale_by_the_clock_though_no_controller_is_there_to_say_so() -> None:
    body = schedule("hourly", "0 * * * *")
    body["status"]["staleTime"] = "2026-11-23T18:23:10Z"
    assert body["status"]["conditions"][1]["status"] == "True"
    assert "False" in lines(width=200, bodies=[body])[1]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_screen_gets_fewer_columns_and_no_folded_line(width: int) -> None:
    shown = lines(width=width)
    assert len(shown) == 1 + len(schedules())
    assert all(len(line) <= width for line in shown)
    for column in ("NAMESPACE", "NAME", "FRESH", "DATA-AGE", "NEXT"):
        assert column in shown[0]
    assert "…" not in "".join(shown)


def test_wide_has_all_columns_however_narrow_the_screen() -> None:
    assert lines(width=60, wide=True)[0].split() == [
        *(
            "NAMESPACE",
            "NAME",
            "SCHEDULE",
            "SUSPEND",
            "ACTIVE",
            "FRESH",
            "DATA-AGE",
            "LAST-RUN",
            "RESULT",
            "NEXT",
            "AGE",
        ),
        *("DURATION", "ROWS", "STRATEGY", "FAILURES"),
    ]


def test_a_schedule_of_a_newer_operator_is_listed_too() -> None:
    body = schedule("hourly", "0 * * * *", spelling="new") | {}
    body["status"]["mood"] = "good"
    assert "Succeeded" in lines(width=200, bodies=[body])[1]
    body["status"]["lastRun"]["result"] = "Enchanted"
    assert "hourly" in lines(width=200, bodies=[body])[1]


def test_a_schedule_that_no_controller_has_seen_yet_is_listed_too(server: ApiServer) -> None:
    server.schedules[0].pop("status", None)
    result = call("list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].split()[:2] == ["hourly", "0"]


def test_without_a_terminal_a_schedule_is_a_line_without_colours(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    server.schedules += schedules()
    result = call("list", "-A")
    assert len(result.stdout.splitlines()) == 1 + len(server.schedules)
    assert "\x1b" not in result.stdout
    assert "AGE" in result.stdout.splitlines()[0]


def test_a_terminal_gets_colours_unless_no_color_is_set(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.schedules[:] = schedules()
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if there were a terminal
    red = "\x1b[1;31m"
    assert red in call("list", "-A").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert red not in call("list", "-A").stdout


def test_one_namespace_is_listed_unless_all_are_asked_for(server: ApiServer) -> None:
    server.schedules += schedules()
    assert call("list", "-o", "name").stdout == "trendingschedule.trending.dev/hourly\n"
    assert len(call("list", "-A", "-o", "name").stdout.splitlines()) == len(server.schedules)
    assert "charts" in call("list", "-n", "reports").stdout


def test_programs_get_the_objects_most_stale_first(server: ApiServer) -> None:
    server.schedules[:] = schedules()
    read = json.loads(call("list", "-A", "-o", "json").stdout)
    assert (read["kind"], read["apiVersion"]) == ("List", "v1")
    assert read["items"][0]["metadata"]["name"] == "boards"


def test_no_schedule_is_no_error_and_nothing_on_standard_output(server: ApiServer) -> None:
    server.schedules.clear()
    result = call("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "There is no schedule in namespace default.\n"
    assert call("list", "-A").stderr == "There is no schedule in any namespace.\n"


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119.9), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=5, seconds=10), "5m10s"),
        (timedelta(minutes=12, seconds=59), "12m"),
        (timedelta(hours=3, minutes=5), "3h5m"),
        (timedelta(hours=8, minutes=5), "8h"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=3, hours=4), "3d4h"),
        (timedelta(days=300, hours=5), "300d"),
        (timedelta(days=800), "2y70d"),
        (timedelta(days=4000), "10y"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(span: timedelta, written: str) -> None:
    assert human_age(span) == written


def test_times_are_those_of_who_reads_them() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # an hour ahead
    assert local_time(NOW, NOW, berlin) == "19:23"
    assert local_time(NOW + timedelta(hours=5), NOW, berlin) == "tomorrow 00:23"
    assert local_time(NOW - timedelta(hours=20), NOW, berlin) == "yesterday 23:23"
    assert local_time(NOW + timedelta(days=4), NOW, berlin) == "Friday 19:23"
    assert local_time(NOW - timedelta(days=4), NOW, berlin) == "19 November 19:23"
    assert local_time(NOW + timedelta(days=90), NOW, berlin) == "21 February 2027 19:23"
    said = "The data are of 2026-11-23T17:00:00Z or newer; it ends at 2026-11-24T18:00:00.250000Z."
    assert localized(said, NOW, berlin) == "The data are of 18:00 or newer; it ends at tomorrow 19:00."
