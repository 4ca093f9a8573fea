"""How a finished run is told: by its report, else by what its Job and pods left."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.kube import at, pod_body, report
from trending.controller.runs import FinishedRun, Remains, as_replaced, finish, finish_replaced, read_pods
from trending.report import Report, write_termination_message
from trending.schedule.observed import Finish, Job


def job(finished: Finish = "Complete", *, reason: str | None = None, message: str | None = None) -> Job:
    return Job(
        namespace="default",
        name="hourly-1",
        uid="j1",
        owner="u1",
        created=at("09:00"),
        started=at("09:00:01"),
        scheduled_time=at("09:00"),
        trigger="Schedule",
        finished=finished,
        ended=at("09:03:03"),
        end_reason=reason,
        end_message=message,
    )


def failure(**changed: Any) -> Report:
    fields = {"result": "Failed", "reason": "ConnectionError", "message": "No connection.", "targets": (), **changed}
    return report().model_copy(update=fields)


def text(told: Report) -> str:
    return write_termination_message(told)


def outcome(run: FinishedRun) -> tuple[str, str | None]:
    return run.last_run.result, run.last_run.reason


def test_a_report_tells_all_and_the_job_its_times() -> None:
    run = finish(job(), read_pods([pod_body(text(report()))]))
    last = run.last_run
    assert outcome(run) == ("Succeeded", "RunSucceeded")
    assert run.succeeded
    assert not run.failed
    assert (last.job, last.scheduled_time, last.message) == ("hourly-1", at("09:00"), "All is written.")
    assert (last.start_time, last.completion_time, last.duration) == (at("09:00:01"), at("09:03:03"), "3m2s")
    assert (last.rows_changed, last.strategies, last.attempts) == (7, "Merge", 1)
    assert [step.name for step in last.steps] == ["week"]


def test_a_report_wins_over_the_jobs_own_words() -> None:
    ended = job("Failed", reason="PodFailurePolicy", message="Container run failed with exit code 2")
    run = finish(ended, read_pods([pod_body(text(failure(reason="ConfigurationError", message="No such view.")))]))
    assert outcome(run) == ("Failed", "ConfigurationError")
    assert run.last_run.message == "No such view."
    assert run.failed


def test_a_run_that_was_stopped_says_who_took_its_pod_away() -> None:
    """The kubelet counts what fills its disk as failed, and the run itself knows of a signal alone."""
    evicted = pod_body(text(failure(message="target week: the run was stopped by SIGTERM")), exitCode=1)
    full = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "
    evicted["status"] |= {"phase": "Failed", "reason": "Evicted", "message": full}
    evicted["spec"] = {"nodeName": "n1"}
    run = finish(job("Failed", reason="BackoffLimitExceeded"), read_pods([evicted]))
    assert run.last_run.message == (
        "target week: the run was stopped by SIGTERM; its pod was taken away: node n1 evicted it: "
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki"
    )


def test_a_run_that_ended_well_before_its_pod_was_taken_away_says_nothing_of_it() -> None:
    pod = pod_body(text(report()))
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    assert finish(job(), read_pods([pod])).last_run.message == "All is written."


def test_a_run_that_was_superseded_is_neither_success_nor_failure() -> None:
    run = finish(job(), read_pods([pod_body(text(report().model_copy(update={"result": "Superseded"})))]))
    assert run.last_run.result == "Superseded"
    assert not run.succeeded
    assert not run.failed


@pytest.mark.parametrize(
    ("finished", "told"),
    [
        pytest.param("Failed", report(), id="a success, but the Job failed"),
        pytest.param("Complete", failure(), id="a failure, but the Job is complete"),
    ],
)
def test_a_report_of_an_attempt_that_did_not_end_the_job_is_passed_over(finished: Finish, told: Report) -> None:
    run = finish(job(finished), read_pods([pod_body(text(told))]))
    assert run.report is None
    assert run.succeeded is (finished == "Complete")


def test_of_several_pods_the_newest_tells() -> None:
    old = pod_body(text(failure()), created="09:00", ended="09:01")
    new = pod_body(text(report()), created="09:02", ended="09:03")
    for pods in ([old, new], [new, old]):
        run = finish(job(), read_pods(pods))
        assert run.last_run.message == "All is written."
        assert run.last_run.attempts == 2


def test_a_last_attempt_that_was_killed_is_not_told_by_the_report_of_the_one_before() -> None:
    first = pod_body(text(failure()), created="09:00", ended="09:01", exitCode=1)
    killed = pod_body(None, created="09:02", ended="09:03", exitCode=137, reason="OOMKilled")
    ended = job("Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
    run = finish(ended, read_pods([first, killed]))
    assert outcome(run) == ("Failed", "JobFailed")
    assert run.last_run.message == (
        "The run failed and its container was killed for using up all memory that it could have (OOMKilled, exit code "
        "137): raise spec.template.spec.resources.limits.memory; "
        "BackoffLimitExceeded: Job has reached the specified backoff limit"
    )


def test_a_last_attempt_lost_with_its_node_is_not_told_by_the_report_of_the_one_before() -> None:
    first = pod_body(text(failure()), created="09:00", ended="09:01", exitCode=1)
    lost = pod_body(None, created="09:02", exitCode=137, reason="ContainerStatusUnknown", finishedAt=None)
    run = finish(job("Failed"), read_pods([first, lost]))
    assert outcome(run) == ("Failed", "JobFailed")
    assert "ContainerStatusUnknown, exit code 137" in str(run.last_run.message)


def test_a_job_ended_by_its_deadline_whose_pods_are_gone_is_told_as_such() -> None:
    run = finish(job("Failed", reason="DeadlineExceeded"), read_pods([]))
    assert outcome(run) == ("DeadlineExceeded", "DeadlineExceeded")
    assert "activeDeadlineSeconds" in str(run.last_run.message)
    assert run.failed
    assert run.last_run.attempts is None, "nobody knows"


def test_a_job_ended_by_its_deadline_is_not_told_by_the_failure_of_an_attempt_before() -> None:
    run = finish(job("Failed", reason="DeadlineExceeded"), read_pods([pod_body(text(failure()))]))
    assert outcome(run) == ("DeadlineExceeded", "DeadlineExceeded")


def test_a_runner_that_reported_its_own_deadline_is_believed() -> None:
    told = failure(result="DeadlineExceeded", reason="DeadlineExceeded", message="No time left for target week.")
    run = finish(job("Failed", reason="DeadlineExceeded"), read_pods([pod_body(text(told))]))
    assert run.last_run.message == "No time left for target week."


def test_a_complete_job_whose_report_was_lost_has_succeeded() -> None:
    run = finish(job(), Remains())
    assert outcome(run) == ("Succeeded", "RunSucceeded")
    assert run.report is None
    assert "report could not be read" in str(run.last_run.message)


@pytest.mark.parametrize("left", ["", "Killed", '{"job": "hourly-1"', "{}", "[]", "null"])
def test_what_is_no_report_is_not_taken_for_one(left: str) -> None:
    run = finish(job("Failed"), read_pods([pod_body(left, exitCode=1, reason="Error")]))
    assert run.last_run.message == "The run failed and its container ended without a report (Error, exit code 1)"


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param({}, id="no status"),
        pytest.param({"status": {"phase": "Pending"}}, id="no containers"),
        pytest.param({"status": {"containerStatuses": [{"name": "run", "state": {"waiting": {}}}]}}, id="waiting"),
        pytest.param(
            {"status": {"containerStatuses": [{"name": "proxy", "state": {"terminated": {"message": "{}"}}}]}},
            id="a sidecar that a webhook added",
        ),
    ],
)
def test_a_pod_that_never_ran_left_no_report(pod: dict[str, Any]) -> None:
    assert read_pods([pod]) == Remains(pods=1)
    assert finish(job("Failed"), read_pods([pod])).last_run.message == "The run failed and it left no report"


def test_a_job_that_never_started_has_no_negative_duration() -> None:
    never = Job(
        namespace="default",
        name="hourly-1",
        uid="j1",
        owner="u1",
        created=at("09:00"),
        started=None,
        scheduled_time=None,
        trigger="Schedule",
        finished="Failed",
        ended=None,
    )
    assert finish(never, Remains()).last_run.duration == "0s"


def test_a_last_attempt_that_was_evicted_before_its_container_started_is_told_and_not_the_one_before() -> None:
    first = pod_body(text(failure()), created="09:00", ended="09:01", exitCode=1)
    evicted = {
        "metadata": {"creationTimestamp": "2026-11-23T09:02:00Z"},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "},
    }
    run = finish(job("Failed"), read_pods([first, evicted]))
    assert run.last_run.message == (
        "The run failed and its pod was taken away: node n1 evicted it: The node was low on resource: memory"
    )


def test_a_deadline_that_passed_while_the_pod_waited_tells_what_for() -> None:
    waited = "no node can take its pod: 0/1 nodes are available: 1 Insufficient memory"
    run = finish(job("Failed", reason="DeadlineExceeded"), Remains(waited=waited))
    assert run.last_run.message == (
        f"The run was ended by activeDeadlineSeconds while it waited for its pod to run: {waited}; "
        "nothing half written remains."
    )


def test_a_run_that_made_way_while_its_pod_waited_tells_what_for() -> None:
    replaced = as_replaced(replace(job(), finished=None), by="hourly-2", now=at("09:04"), waited="its node is gone")
    assert finish_replaced(replaced).last_run.message == (
        "The run was ended to make way for Job hourly-2 while it waited for its pod to run: its node is gone; "
        "nothing half written remains."
    )


def test_a_run_that_made_way_did_not_end_before_it_started_though_the_controllers_clock_is_behind() -> None:
    """Else it would count as told already, like all that ended before the last run that is told."""
    replaced = as_replaced(job(), by="hourly-2", now=at("08:59"))
    assert replaced.ended == replaced.started == at("09:00:01")
