"""`kubectl trending logs`: which run it shows, how, and until when."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.unit.api_server import ApiServer
from tests.unit.kube import Clock, job_body, pod_body, report
from tests.unit.plugin import call
from trending.api.status import Step
from trending.cli.kubectl.log_view import DrawnView
from trending.cli.live_table import LiveTable
from trending.cli.run_lines import JsonLines
from trending.report import write_termination_message
from trending.runner.progress import Advance
from trending.runner.record import Outcome

RUNNING: dict[str, Any] = {"status": {"containerStatuses": [{"name": "run", "state": {"running": {}}}]}}


def log_of(capsys: pytest.CaptureFixture[str], *, ended: bool = True) -> str:
    """What a pod logs: events, and at its end the report."""
    clock = Clock("09:00:05")
    told = JsonLines(clock)
    told.expects({("Rewrite", "week"): 8.0})
    told.plans([("Refresh", "plays"), ("Rewrite", "week")])
    told.starts("Refresh", "plays")
    told.ends(Step(name="plays", action="Refresh", mode="Concurrent", seconds=1.5))
    told.starts("Rewrite", "week")
    clock.advance(6)
    told.advances("Rewrite", "week", Advance(phase="building index 2 of 6", done=1, total=2, unit="tuples"))
    text = capsys.readouterr().err
    if ended:
        told.ends(Step(name="week", action="Rewrite", strategy="Swap", seconds=9.5, rows_inserted=3))
        told.reports(Outcome(report(), 0))
        text += capsys.readouterr().err + report().model_dump_json(by_alias=True, exclude_none=True) + "\n"
    return text


def run(server: ApiServer, name: str, *, at: str = "09:00", log: str | None = None, ended: bool = True) -> None:
    """Have a Job of the schedule, with a pod that has logged so."""
    job = job_body(name, slot=at, uid=f"uid-of-{name}")
    if ended:
        job["status"] = {
            "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-23T09:03:00Z"}]
        }
    server.jobs.append(job)
    if log is not None:
        add_pod(server, job, log, ended=ended)


def add_pod(server: ApiServer, job: dict[str, Any], log: str, *, ended: bool = True, **terminated: Any) -> None:
    name = f"{job['metadata']['name']}-abcde"
    done = pod_body(write_termination_message(report()), **terminated)
    pod: dict[str, Any] = done if ended else {"metadata": {}, **RUNNING}
    pod["metadata"] |= {
        "name": name,
        "namespace": "default",
        "labels": {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]},
    }
    server.pods.append(pod)
    server.logs[name] = log


def test_where_no_terminal_is_the_log_comes_in_sentences_with_its_own_times(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(server, "hourly-1", log="a driver's warning\n" + log_of(capsys))
    shown = call("logs", "hourly", "-f")
    assert shown.exit_code == 0
    assert shown.stderr == "pod hourly-1-abcde of Job hourly-1\n"
    assert shown.stdout.splitlines() == [
        "a driver's warning",
        "2026-11-23T09:00:05Z to do: refresh plays, rewrite week",
        "2026-11-23T09:00:05Z refresh plays",
        "2026-11-23T09:00:05Z refresh plays: Concurrent, 1.5 s",
        "2026-11-23T09:00:05Z rewrite week (usually 8.0 s)",
        "2026-11-23T09:00:11Z rewrite week: building index 2 of 6, 50 % of 2 tuples",
        "2026-11-23T09:00:11Z rewrite week: Swap, 9.5 s, +3 ~None -None =None",
        "2026-11-23T09:00:11Z Succeeded: All is written.",
    ]


def test_raw_is_the_log_as_it_is(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_of(capsys)
    run(server, "hourly-1", log=log)
    assert call("logs", "hourly", "--raw").stdout == log


def test_the_active_run_is_shown_else_the_newest_else_the_one_named(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_of(capsys)
    run(server, "hourly-1", at="09:00", log=log)
    run(server, "hourly-2", at="10:00", log=log)
    assert "of Job hourly-2" in call("logs", "hourly").stderr
    assert "of Job hourly-1" in call("logs", "hourly", "--job", "hourly-1").stderr
    run(server, "hourly-0", at="08:00", log=log, ended=False)
    assert "of Job hourly-0" in call("logs", "hourly").stderr


def test_what_cannot_be_shown_is_told_with_what_can(server: ApiServer) -> None:
    assert "hourly has no run whose log could be shown" in call("logs", "hourly").stderr
    run(server, "hourly-1")
    none = call("logs", "hourly", "--job", "hourly-7")
    assert (none.exit_code, none.stderr) == (1, "Error: hourly has no Job hourly-7; there are hourly-1\n")
    assert "no pod of Job hourly-1 has a log" in call("logs", "hourly").stderr


def test_before_the_container_starts_it_says_what_it_waits_for(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_of(capsys)
    run(server, "hourly-1", log=log)
    (pod,) = server.pods
    started = pod["status"]
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: ErrImagePull: not found"}
    looks = iter(
        [
            {"containerStatuses": [{"name": "run", "image": "x:1", "state": {"waiting": waiting}}]},
            {},
        ]
    )
    finished = server.jobs[0]["status"]

    def meanwhile(body: dict[str, Any]) -> None:
        if body is not server.jobs[0]:
            return
        pod["status"] = next(looks, started)
        server.jobs[0]["status"] = finished if pod["status"] is started else {}

    server.meanwhile = meanwhile
    said = call("logs", "hourly", "-f").stderr.splitlines()
    assert said == [
        "Job hourly-1: its image x:1 cannot be pulled: not found",
        "Job hourly-1: waiting for pod hourly-1-abcde to start",
        "pod hourly-1-abcde of Job hourly-1",
    ]


def test_a_terminal_is_drawn_the_steps_from_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=140)
    table = LiveTable()
    view = DrawnView(table, console)
    for line in log_of(capsys, ended=False).splitlines():
        view.line(line)
    with console.capture() as capture:
        console.print(table)
    plays, week, where_it_is = capture.get().splitlines()
    assert plays.split() == ["✓", "refresh", "plays", "1.5", "s"]
    assert week.split()[:3] == ["▸", "rewrite", "week"]
    assert where_it_is.strip() == "building index 2 of 6, 50 % of 2 tuples"
    assert view.report is None
    view.line(report().model_dump_json(by_alias=True, exclude_none=True))
    assert view.report == report()


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [(0, "its pod has ended"), (2, "its pod has ended"), (1, "waiting for its next pod to be made")],
)
def test_a_next_attempt_is_awaited_only_where_there_will_be_one(
    server: ApiServer, capsys: pytest.CaptureFixture[str], exit_code: int, said: str
) -> None:
    job = job_body("hourly-1", uid="uid-of-hourly-1")
    server.jobs.append(job)
    add_pod(server, job, log_of(capsys), exitCode=exit_code)
    looks = iter([None, None])

    def meanwhile(body: dict[str, Any]) -> None:
        if body is job and next(looks, job) is job:
            job["status"] = {
                "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-23T09:03:00Z"}]
            }

    server.meanwhile = meanwhile
    assert f"Job hourly-1: {said}" in call("logs", "hourly", "-f", "--job", "hourly-1").stderr
