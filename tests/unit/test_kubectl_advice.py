"""What `kubectl trending status` tells a person to do: from reasons, runs and the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from demo.pictures import NOW, ago, condition, job, schedule
from trending.cli.kubectl.seen import read_schedule, see

HOUR = timedelta(hours=1)
CONNECTION_ERROR = condition("Succeeded", "False", "ConnectionError", "no route")


def advice(
    *,
    conditions: dict[str, dict[str, Any]] | None = None,
    active: list[str] | None = None,
    data: timedelta | None = timedelta(minutes=20),
    status: dict[str, Any] | None = None,
    jobs: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> tuple[str, ...]:
    """What is said of a schedule that is well but for what is given."""
    target: dict[str, Any] = {"name": "tracks"}
    if data is not None:
        target |= {"dataTimestamp": ago(data), "staleTime": ago(data - 2 * HOUR)}
    body = schedule("hourly", "0 * * * *", **spec)
    usual = {each["type"]: each for each in body["status"]["conditions"]}
    body["status"] |= {
        "conditions": list((usual | (conditions or {})).values()),
        "active": [{"name": name, "uid": name} for name in active or []],
        "targets": [target],
        "lastSuccessfulTime": ago(HOUR) if data is not None else None,
        **(status or {}),
    }
    return see(read_schedule(body), jobs or [], [], NOW, flags=" -n discovery").advice


def test_nothing_is_advised_where_all_is_well() -> None:
    assert advice() == ()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("InvalidSchedule", "Correct spec.schedule: `kubectl -n discovery edit ts hourly`."),
        ("UnknownTimeZone", "Write an IANA name"),
        ("UnknownPreset", "Name a preset"),
        ("OverlappingSlices", "Give the two targets slices that share no row"),
        ("NameTooLong", "A name cannot be changed"),
        ("SpecTooLarge", "Shorten the queries"),
        ("SomethingNew", "Correct the spec: `kubectl -n discovery edit ts hourly`."),
    ],
)
def test_a_schedule_that_is_not_accepted_is_to_be_corrected_and_nothing_else_is_said(reason: str, said: str) -> None:
    refused = {"Accepted": condition("Accepted", "False", reason, ""), "Succeeded": CONNECTION_ERROR}
    told = advice(conditions=refused, data=5 * HOUR, suspend=True)
    assert len(told) == 1
    assert told[0].startswith(said)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("ConfigurationError", "`kubectl trending plan hourly -n discovery` says all that is wrong."),
        ("ConnectionError", "key uri of Secret discovery-db leads to it. Then `kubectl trending run hourly -n discov"),
        ("DeadlineExceeded", "activeDeadlineSeconds allows (1h)"),
        ("JobFailed", "`kubectl -n discovery describe job hourly-29924280` may tell why"),
        ("RunFailed", "`kubectl trending logs hourly -n discovery` tells more"),
        ("SomethingNew", "`kubectl trending logs hourly -n discovery` tells more"),
    ],
)
def test_a_run_that_failed_is_told_with_what_helps_against_its_reason(reason: str, said: str) -> None:
    told = advice(conditions={"Succeeded": condition("Succeeded", "False", reason, "")})
    assert len(told) == 1
    assert said in told[0]


def test_while_a_run_is_active_the_failure_before_it_is_not_dwelt_on() -> None:
    told = advice(conditions={"Succeeded": CONNECTION_ERROR}, active=["hourly-1"])
    assert told == ()


def test_a_failure_explains_why_data_are_stale() -> None:
    stale = condition("Fresh", "False", "TooOld", "")
    assert len(advice(conditions={"Succeeded": CONNECTION_ERROR, "Fresh": stale}, data=5 * HOUR)) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"data": None}, "No run has succeeded yet", id="never"),
        pytest.param({"data": None, "active": ["hourly-1"]}, "A run is active, and brings fresh data", id="first run"),
        pytest.param(
            {"data": None, "status": {"lastSuccessfulTime": ago(HOUR)}}, "A run by hand rewrites all", id="new target"
        ),
        pytest.param({"data": 5 * HOUR}, "too far apart for staleAfter", id="old"),
    ],
)
def test_data_that_are_not_fresh_are_told_with_what_brings_fresh_ones(given: dict[str, Any], said: str) -> None:
    stale = condition("Fresh", "False", "TooOld", "")
    told = advice(conditions={"Fresh": stale}, **given)
    assert len(told) == 1
    assert said in told[0]


@pytest.mark.parametrize(("data", "said"), [(HOUR, "will go stale"), (5 * HOUR, "are stale")])
def test_a_suspended_schedule_is_told_as_such_with_how_to_go_on(data: timedelta, said: str) -> None:
    stale = condition("Fresh", "False", "TooOld", "")
    told = advice(data=data, suspend=True, status={"nextScheduleTime": None}, conditions={"Fresh": stale})
    assert len(told) == 1
    assert said in told[0]
    assert "`kubectl trending resume hourly -n discovery`" in told[0]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"status": {"nextScheduleTime": ago(minutes=3)}}, id="a slot is not started"),
        pytest.param({"status": {"conditions": []}}, id="never seen"),
        pytest.param({"data": 3 * HOUR}, id="stale, and still told as fresh"),
    ],
)
def test_a_controller_that_does_not_act_is_noticed(given: dict[str, Any]) -> None:
    assert advice(**given)[0].startswith("The controller does not act")


def test_a_slot_that_waits_for_an_active_run_is_no_sign_of_a_dead_controller() -> None:
    assert advice(status={"nextScheduleTime": ago(minutes=30)}, active=["hourly-1"]) == ()


def test_a_pod_that_does_not_start_is_to_be_looked_at() -> None:
    waiting = condition("Progressing", "True", "WaitingForPod", "")
    active = [job("hourly", hours=0, minutes=1) | {"status": {}}]
    told = advice(conditions={"Progressing": waiting}, active=["hourly-1"], jobs=active)
    name = active[0]["metadata"]["name"]
    assert told == (f"The run's pod does not start: `kubectl -n discovery describe pod -l job-name={name}` says why.",)
    assert advice(conditions={"Progressing": waiting | {"lastTransitionTime": ago(seconds=30)}}, active=["x"]) == ()


def test_data_that_are_missing_because_a_pod_does_not_start_are_no_second_matter() -> None:
    waiting = condition("Progressing", "True", "WaitingForPod", "")
    told = advice(data=None, conditions={"Progressing": waiting}, active=["hourly-1"])
    assert len(told) == 1


def test_runs_that_come_near_the_interval_are_told_before_data_are_stale() -> None:
    told = advice(conditions={"CadenceAtRisk": condition("CadenceAtRisk", "True", "NearInterval", "")})
    assert len(told) == 1
    assert "raise spec.database.parallelism" in told[0]


def test_runs_that_are_replaced_again_and_again_are_told_as_such() -> None:
    last = {"result": "Replaced", "reason": "Replaced"}
    stale = condition("Fresh", "False", "TooOld", "")
    told = advice(data=5 * HOUR, last=last, conditions={"Fresh": stale})
    assert len(told) == 1
    assert "concurrencyPolicy: Forbid" in told[0]
