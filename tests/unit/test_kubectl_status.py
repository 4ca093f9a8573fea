"""`kubectl trending status` and `history`: what is known of a schedule, by the clock, and what is not."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType

from demo.pictures import FOLDER, NOW, PICTURES, WIDTH, ZONE, ago, draw, job, pod, schedule, unwell, well
from tests.unit.api_server import ApiServer
from tests.unit.plugin import call
from trending.api.instant import format_instant
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, SCHEDULE_LABEL
from trending.cli.kubectl.history_view import history_view
from trending.cli.kubectl.past_runs import past_runs
from trending.cli.kubectl.run_table import format_bytes, sparkline
from trending.cli.kubectl.seen import next_runs, read_schedule, see
from trending.cli.kubectl.status_view import status_view

LABELS = {MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: "hourly"}


def drawn(view: RenderableType, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_screen_says_when_it_runs_how_fresh_it_is_and_how_it_went() -> None:
    shown = drawn(status_view(well(), width=100, zone=ZONE))
    for said in (
        "hourly in discovery: fresh until 21:01",
        "every hour at minute 0, Europe/Berlin  0 * * * *",
        "20:00 (in 36m), 21:00, 22:00",
        "22m of 2h   8,412,005 rows",
        "22h of 26h",
        "✓ last run succeeded",
        "target tracks goes stale first, at 21:01.",
    ):
        assert " ".join(said.split()) in " ".join(shown.split())
    assert "What to do" not in shown


def test_long_spans_are_told_in_days() -> None:
    body = schedule("yearly", "0 0 29 2 *", data=timedelta(hours=50), allowed=timedelta(days=70))
    body["status"]["targets"] = [
        {"name": "tracks", "rows": 1} | {k: body["status"][k] for k in ("dataTimestamp", "staleTime")}
    ]
    assert "2d2h of 70d  1 row" in drawn(status_view(see(read_schedule(body), [], [], NOW), width=100))


def test_what_is_stale_is_told_with_why_and_what_to_do() -> None:
    shown = drawn(status_view(unwell(), width=100, zone=ZONE))
    for said in (
        "not fresh, since 05:23",
        "━" * 20 + "  18h of 4h",
        "Failed, 3 attempts",
        "✗ last run failed",
        "→ See whether the database is up",
    ):
        assert said in shown


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", [name for name in PICTURES if name != "list"])
def test_it_fits_a_narrow_screen(name: str, width: int) -> None:
    shown = drawn(PICTURES[name][1](width), width)
    assert max(map(len, shown.splitlines())) <= width
    if name != "logs":  # what is redrawn while one looks is cut, since a folded line could not be redrawn
        assert "…" not in shown


@pytest.mark.parametrize(("age", "code"), [(timedelta(minutes=5), 0), (timedelta(hours=5), 3)])
def test_the_exit_code_says_whether_the_data_are_fresh(server: ApiServer, age: timedelta, code: int) -> None:
    data = datetime.now(UTC) - age
    server.schedules[0]["status"] = {
        "targets": [
            {
                "name": "week",
                "dataTimestamp": format_instant(data),
                "staleTime": format_instant(data + timedelta(hours=2)),
            }
        ],
        "lastSuccessfulTime": format_instant(data),
    }
    for output in ((), ("-o", "json"), ("-o", "yaml")):
        assert call("status", "hourly", *output).exit_code == code
    assert json.loads(call("status", "hourly", "-o", "json").stdout)["fresh"] is (code == 0)


def test_a_schedule_without_a_status_is_not_fresh_and_no_error(server: ApiServer) -> None:
    server.schedules[0].pop("status", None)
    result = call("status", "hourly")
    assert (result.exit_code, result.stderr) == (3, "")
    assert "it has no data" in result.stdout
    assert "no data yet" in result.stdout


def test_without_a_terminal_no_line_is_folded_and_none_ends_in_spaces(server: ApiServer) -> None:
    server.schedules[:] = [schedule("hourly", "0 * * * *", data=None, namespace="default")]
    server.jobs.append(job("hourly", hours=1, minutes=3))
    server.jobs[0]["metadata"] |= {"labels": LABELS, "namespace": "default"}
    for command in ("status", "history"):
        shown = call(command, "hourly").stdout
        assert shown
        assert [line for line in shown.splitlines() if line != line.rstrip()] == []


def test_a_schedule_that_does_not_exist_is_an_error_not_a_stale_one(server: ApiServer) -> None:
    server.schedules.clear()
    assert call("status", "hourly").exit_code == 1


def test_a_schedule_of_a_newer_operator_is_told_as_such(server: ApiServer) -> None:
    server.schedules[0]["spec"]["mood"] = "good"
    result = call("status", "hourly")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: schedule hourly cannot be read by this version of the plugin, which may be older than the operator: "
        "hourly.mood: there is no such field\n"
    )


def test_who_may_not_read_pods_is_still_told_what_jobs_tell(server: ApiServer) -> None:
    server.jobs.append(job("hourly", hours=1, minutes=3))
    server.jobs[0]["metadata"] |= {
        "labels": LABELS,
        "namespace": "default",
        "ownerReferences": [{"uid": "u1", "controller": True}],
    }
    server.refused_kinds.add("pods")
    runs = json.loads(call("history", "hourly", "-o", "json").stdout)
    assert [(run["result"], run["duration"], run.get("rowsChanged")) for run in runs] == [("Succeeded", "3m", None)]


def test_runs_come_from_retained_jobs_and_from_the_status_newest_first_each_once() -> None:
    jobs = [job("hourly", hours=hours, minutes=2) for hours in (3, 1)]
    foreign = job("hourly", hours=2, minutes=2)
    foreign["metadata"]["ownerReferences"][0]["uid"] = "another"
    body = schedule("hourly", "0 * * * *", last={"job": "hourly-m12345678", "startTime": ago(hours=2)})
    runs = past_runs(read_schedule(body), [*jobs, foreign], [pod(jobs[0], rows=100)])
    assert [run.job for run in runs] == [jobs[1]["metadata"]["name"], "hourly-m12345678", jobs[0]["metadata"]["name"]]
    assert [run.trigger for run in runs] == ["Schedule", "Manual", "Schedule"]
    assert [run.reported for run in runs] == [False, True, True]
    assert (runs[2].wal_bytes, runs[2].ended and runs[2].ended.rows_changed) == (130_000, 115)


def test_an_active_run_is_listed_as_running() -> None:
    active = job("hourly", hours=0, minutes=1) | {"status": {}}
    seen = see(read_schedule(schedule("hourly", "0 * * * *", status={"lastRun": None})), [active], [], NOW)
    assert "running" in drawn(history_view(seen, zone=ZONE))
    assert seen.runs[0].to_json_object()["result"] == "Active"


def test_history_says_what_is_not_kept_and_where_it_is() -> None:
    silent = job("hourly", hours=1, minutes=3)
    shown = drawn(history_view(see(read_schedule(schedule("hourly", "0 * * * *")), [silent], [], NOW), zone=ZONE), 300)
    assert "successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1" in shown
    assert "table trending.run of the database keeps all" in shown
    assert f"What {silent['metadata']['name']} did is not known here" in shown


def test_wide_history_shows_each_step() -> None:
    shown = drawn(history_view(well(), steps=True, zone=ZONE), 120)
    assert "rewrite underground Merge 44.0 s +12 ~24106 -3 =8412005 9.1 MB" in " ".join(shown.split())


@pytest.mark.usefixtures("server")
def test_a_schedule_that_never_ran_has_an_empty_history() -> None:
    result = call("history", "hourly")
    assert result.exit_code == 0
    assert result.stdout.startswith("No run of hourly is known here.\n")
    assert call("history", "hourly", "-o", "json").stdout == "[]\n"


def test_the_line_of_durations_is_drawn_oldest_first_up_to_the_longest() -> None:
    assert sparkline(well().runs).plain == "▄█▄▅▃▄▄▄"


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (70_500_000, "70.5 MB"), (10**10, "10.0 GB")]
)
def test_bytes_are_written_for_people(count: int, said: str) -> None:
    assert format_bytes(count) == said


def upcoming(expression: str, **status: Any) -> list[str]:
    spec = status.pop("spec", {})
    body = schedule("hourly", expression, status=status, **spec)
    return [f"{moment.astimezone(ZoneInfo('Etc/UTC')):%H:%M:%S}" for moment in next_runs(read_schedule(body), NOW)]


def test_the_next_runs_begin_with_what_the_controller_says_which_knows_what_holds_a_slot_back() -> None:
    assert upcoming("0 * * * *") == ["19:00:00", "20:00:00", "21:00:00"]
    assert upcoming("0 * * * *", nextScheduleTime="2026-11-23T19:40:00Z") == ["19:40:00", "20:00:00", "21:00:00"]
    late = "2026-11-23T18:00:00Z"
    assert upcoming("0 * * * *", nextScheduleTime=late) == ["18:00:00", "19:00:00", "20:00:00"]


def test_what_is_suspended_or_not_accepted_has_no_next_run() -> None:
    assert upcoming("0 * * * *", spec={"suspend": True}) == []
    refused = {"type": "Accepted", "status": "False", "reason": "InvalidSchedule", "message": ""}
    assert upcoming("nonsense", conditions=[{**refused, "lastTransitionTime": ago(hours=1)}]) == []


@pytest.mark.parametrize("name", PICTURES)
def test_the_documents_show_what_the_plugin_draws(name: str) -> None:
    shown = (FOLDER / f"kubectl-trending-{name}.svg").read_text()
    assert shown == draw(name, width=WIDTH), "the views have changed: `make pictures`, and look at them"
