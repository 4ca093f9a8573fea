"""`kubectl trending run` and `explain`: a run is requested, waited for, and told as it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from demo.pictures import condition, schedule
from tests.unit.api_server import ApiServer
from tests.unit.kube import job_body, pod_body, report
from tests.unit.plugin import call
from trending.api.instant import format_instant
from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.cli.kubectl import awaited, seen
from trending.report import write_termination_message
from trending.report.event import RunEvent
from trending.schedule.job_names import manual_job_name

REQUEST = "2026-11-23T18:00:00.000000Z"
JOB = manual_job_name("hourly", REQUEST)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaited, "_PAUSE", 0.01)


def its_job(body: dict[str, Any]) -> str:
    """The name of the Job that the request on a schedule is to have."""
    return manual_job_name(body["metadata"]["name"], body["metadata"]["annotations"][REQUESTED_AT_ANNOTATION])


def controller(*states: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Act as a controller: each time that the schedule is looked at, bring it into the next state."""
    left = list(states)

    def acts(body: dict[str, Any]) -> None:
        if body.get("kind") == "TrendingSchedule" and left:
            left.pop(0)(body)

    return acts


def waits(body: dict[str, Any]) -> None:
    body["status"] = {"active": [{"name": "hourly-1", "uid": "u"}], "activeCount": 1}


def runs(body: dict[str, Any]) -> None:
    body["status"] = {
        "active": [{"name": its_job(body), "uid": "u"}],
        "lastHandledRequest": body["metadata"]["annotations"][REQUESTED_AT_ANNOTATION],
        "conditions": [condition("Progressing", "True", "RunActive", f"Job {its_job(body)} is running.")],
    }


def ended(result: str, message: str = "All is written.") -> Callable[[dict[str, Any]], None]:
    def ends(body: dict[str, Any]) -> None:
        last = {"job": its_job(body), "duration": "3m2s", "result": result, "message": message}
        body["status"] = {"lastRun": last}

    return ends


def test_a_run_is_requested_by_the_annotation_and_its_job_is_known_at_once(server: ApiServer) -> None:
    result = call("run", "hourly")
    assert result.stdout == "hourly: a run is requested; see it with: kubectl trending status hourly\n"
    assert call("run", "hourly", "-o", "name").stdout == f"job.batch/{its_job(server.schedules[0])}\n"
    assert json.loads(call("run", "hourly", "-o", "json").stdout)["job"] == its_job(server.schedules[0])
    assert len({json.dumps(patch) for patch in server.patched}) == 3, "each request is a new one"


def test_wait_tells_what_is_waited_for_and_how_the_run_ended(server: ApiServer) -> None:
    server.meanwhile = controller(lambda _: None, waits, waits, runs, ended("Succeeded"))
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "hourly: it waits for the controller to start it",
        "hourly: it waits for Job hourly-1 to end",
        f"hourly: Job {its_job(server.schedules[0])} is running",
    ]
    assert result.stdout == "Succeeded in 3m2s: All is written.\n"


@pytest.mark.parametrize(
    ("how", "code"),
    [("Succeeded", 0), ("Superseded", 0), ("Failed", 1), ("DeadlineExceeded", 1), ("Replaced", 1)],
)
def test_the_exit_code_of_wait_says_whether_the_run_did_its_work(server: ApiServer, how: str, code: int) -> None:
    server.meanwhile = controller(runs, ended(how, "So it went."))
    result = call("run", "hourly", "--wait", "-o", "json")
    assert (result.exit_code, result.stderr) == (code, "")
    assert json.loads(result.stdout)["result"] == how


def test_a_schedule_that_is_not_accepted_is_not_waited_for(server: ApiServer) -> None:
    server.schedules[0]["status"] = {
        "observedGeneration": 1,
        "conditions": [condition("Accepted", "False", "UnknownTimeZone", "no zone Mars")],
    }
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 1
    assert "Error: hourly is not accepted, and starts this run only when it is corrected: no zone Mars" in result.stderr


def test_a_run_that_takes_too_long_is_no_longer_waited_for_and_goes_on(server: ApiServer) -> None:
    server.meanwhile = controller(runs)
    result = call("run", "hourly", "--wait", "--timeout", "1s")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: hourly: the run has not ended in time; it goes on\n")


def test_timeout_without_wait_is_a_usage_error(server: ApiServer) -> None:
    assert call("run", "hourly", "--timeout", "1s").exit_code == 2
    assert call("run", "hourly", "--wait", "--timeout", "soon").exit_code == 2
    assert server.patched == []


def test_ctrl_c_ends_the_wait_and_says_that_the_run_goes_on(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(awaited, "tell", interrupt)
    result = call("run", "hourly", "--wait", "-n", "default")
    assert result.exit_code == 130
    assert "hourly: the run goes on; see it with: kubectl trending logs hourly -n default -f" in result.stderr
    assert len(server.patched) == 1


def test_an_api_server_that_is_away_for_a_moment_is_asked_again(server: ApiServer) -> None:
    def away(_: dict[str, Any]) -> None:
        server.refusals.append((503, "etcd elects"))

    server.meanwhile = controller(away, runs, ended("Succeeded"))
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 0
    assert "hourly: the API server does not answer; it is asked again" in result.stderr


@pytest.mark.parametrize("reports", [True, False])
def test_follow_shows_what_the_run_says_and_its_end_once(server: ApiServer, *, reports: bool) -> None:
    def starts(body: dict[str, Any]) -> None:
        runs(body)
        done = {"type": "Complete", "status": "True", "lastTransitionTime": format_instant(datetime.now(UTC))}
        server.jobs.append(job_body(its_job(body)) | {"status": {"conditions": [done]}})
        pod = pod_body(write_termination_message(report(its_job(body))))
        pod["metadata"] |= {
            "name": "its-pod",
            "namespace": "default",
            "labels": {"batch.kubernetes.io/controller-uid": "j1"},
        }
        server.pods.append(pod)
        says = RunEvent(time=datetime.now(UTC), event="say", text="waiting for a lock")
        end = RunEvent(time=datetime.now(UTC), event="report", result="Succeeded", message="All is written.")
        server.logs["its-pod"] = "".join(f"{event.to_line()}\n" for event in ([says, end] if reports else [says]))

    server.meanwhile = controller(starts, ended("Succeeded"))
    result = call("run", "hourly", "--follow")
    assert result.exit_code == 0
    assert "waiting for a lock" in result.stdout
    assert result.stdout.count("All is written.") == 1


def test_following_a_run_that_is_replaced_ends_with_what_the_status_tells(server: ApiServer) -> None:
    server.meanwhile = controller(runs, ended("Replaced", "The run was ended to make way."))
    result = call("run", "hourly", "--follow")
    assert result.exit_code == 1
    assert result.stdout == "Replaced in 3m2s: The run was ended to make way.\n"


def test_a_program_that_follows_gets_the_end_alone(server: ApiServer) -> None:
    server.meanwhile = controller(runs, ended("Succeeded"))
    assert json.loads(call("run", "hourly", "--follow", "-o", "json").stdout)["result"] == "Succeeded"


def test_a_run_whose_end_the_status_no_longer_tells_is_told_by_its_job(server: ApiServer) -> None:
    def overtaken(body: dict[str, Any]) -> None:
        job = job_body(its_job(body), owner=body["metadata"]["uid"])
        done = {"type": "Complete", "status": "True", "lastTransitionTime": format_instant(datetime.now(UTC))}
        server.jobs.append(job | {"kind": "Job", "status": {"conditions": [done]}})
        pod = pod_body(write_termination_message(report(its_job(body))))
        pod["metadata"] |= {"namespace": "default", "labels": {"batch.kubernetes.io/controller-uid": "j1"}}
        server.pods.append(pod)
        body["status"] = {
            "lastHandledRequest": body["metadata"]["annotations"][REQUESTED_AT_ANNOTATION],
            "lastRun": {"job": "hourly-2", "result": "Failed"},
        }

    server.meanwhile = controller(runs, overtaken)
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 0
    assert "Succeeded" in result.stdout
    assert "All is written." in result.stdout


def test_a_request_that_a_newer_one_replaced_is_told_as_such(server: ApiServer) -> None:
    def another(body: dict[str, Any]) -> None:
        body["metadata"]["annotations"][REQUESTED_AT_ANNOTATION] = "newer"

    server.meanwhile = controller(another)
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 1
    assert result.stderr == "Error: a newer request has taken this one's place: it starts no run\n"


def test_a_job_that_somebody_deleted_is_told_as_such(server: ApiServer) -> None:
    def deleted(body: dict[str, Any]) -> None:
        body["status"] = {"lastHandledRequest": body["metadata"]["annotations"][REQUESTED_AT_ANNOTATION]}

    server.meanwhile = controller(runs, deleted)
    result = call("run", "hourly", "--wait")
    assert result.exit_code == 1
    assert f"Job {its_job(server.schedules[0])} is gone" in result.stderr


def test_an_old_refusal_of_a_spec_that_was_corrected_since_is_waited_out() -> None:
    body = schedule(
        "hourly", "0 * * * *", status={"conditions": [condition("Accepted", "False", "InvalidSchedule", "")]}
    )
    body["metadata"] |= {"generation": 2, "annotations": {REQUESTED_AT_ANNOTATION: REQUEST}}
    told = awaited.tell(seen.read_schedule(body), REQUEST)
    assert told == awaited.Awaited("it waits for the controller to start it", begun=False)
    body["status"]["observedGeneration"] = 2
    with pytest.raises(click.ClickException, match="not accepted"):
        awaited.tell(seen.read_schedule(body), REQUEST)


def test_explain_decides_by_the_live_object_and_its_jobs(server: ApiServer) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    server.schedules[0]["spec"]["schedule"] = "@every 1h"
    server.schedules[0]["metadata"]["creationTimestamp"] = format_instant(now - timedelta(minutes=90))
    server.schedules[0]["status"] = {
        "scheduleSince": format_instant(now - timedelta(minutes=90)),
        "observedSchedule": {"schedule": "@every 1h", "timeZone": "Etc/UTC"},
    }
    read = json.loads(call("explain", "hourly", "-o", "json").stdout)
    assert read["action"] == "start"
    assert "would be started now" in call("explain", "hourly").stdout
    active = job_body("hourly-1", slot="08:00")
    active["metadata"]["annotations"] = {}
    server.jobs.append(active)
    assert json.loads(call("explain", "hourly", "-o", "json").stdout)["action"] == "skip"
    assert "Nothing is started now" in call("explain", "hourly").stdout
