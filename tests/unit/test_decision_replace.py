"""concurrencyPolicy, as a table: a schedule, its Jobs and the time -> what starts, and what has to go for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.schedules import at, job, schedule, written
from trending.schedule.decision import Decision, decide, is_told
from trending.schedule.job_names import manual_job_name, slot_job_name
from trending.schedule.observed import Job, Schedule

NINE, TEN = (slot_job_name("hourly", at(slot)) for slot in ("09:00", "10:00"))
BY_HAND = manual_job_name("hourly", "now")


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def forbid(*, policy: str = "Forbid", **fields: Any) -> Schedule:
    fields.setdefault("status", written(last_schedule_time=at("09:00")))
    return schedule(concurrencyPolicy=policy, **fields)


def replaces(**fields: Any) -> Schedule:
    return forbid(policy="Replace", **fields)


@pytest.mark.parametrize(
    ("seen", "jobs", "now", "action", "started", "replaced", "reason"),
    [
        pytest.param(forbid(), [job("09:00")], "09:30", "wait", None, (), None, id="Forbid: active, nothing due"),
        pytest.param(replaces(), [job("09:00")], "09:30", "wait", None, (), None, id="Replace: active, nothing due"),
        pytest.param(forbid(), [job("09:00")], "10:00", "skip", TEN, (), "JobAlreadyActive", id="Forbid: held"),
        pytest.param(
            replaces(), [job("09:00")], "10:00", "replace", TEN, (NINE,), "SuccessfulCreate", id="Replace: it goes"
        ),
        pytest.param(
            replaces(),
            [job("09:00", ended="09:05")],
            "10:00",
            "start",
            TEN,
            (),
            "SuccessfulCreate",
            id="Replace: one that has finished stays",
        ),
        pytest.param(
            replaces(),
            [job("09:00", owner="u0")],
            "10:00",
            "start",
            TEN,
            (),
            "SuccessfulCreate",
            id="Replace: another object's Job is not touched",
        ),
        pytest.param(
            replaces(),
            [job("09:00"), job("09:20", request="now")],
            "10:00",
            "replace",
            TEN,
            (NINE, BY_HAND),
            "SuccessfulCreate",
            id="Replace: all that are active go, runs by hand too",
        ),
        pytest.param(
            replaces(startingDeadlineSeconds=60),
            [job("09:00")],
            "10:01",
            "skip",
            None,
            (),
            "MissSchedule",
            id="Replace: a slot past its deadline replaces nothing",
        ),
        pytest.param(replaces(suspend=True), [job("09:00")], "10:00", "none", None, (), None, id="Replace: suspended"),
        pytest.param(
            replaces(schedule="0 0 31 2 *"),
            [job("09:00")],
            "10:00",
            "none",
            None,
            (),
            "InvalidSchedule",
            id="Replace: an invalid schedule replaces nothing",
        ),
        pytest.param(
            forbid(requested="now"),
            [job("09:00")],
            "09:30",
            "skip",
            BY_HAND,
            (),
            "JobAlreadyActive",
            id="Forbid: request",
        ),
        pytest.param(
            replaces(requested="now"),
            [job("09:00")],
            "09:30",
            "replace",
            BY_HAND,
            (NINE,),
            "SuccessfulCreate",
            id="Replace: a request replaces the active run",
        ),
        pytest.param(
            replaces(requested="now", suspend=True),
            [job("09:00")],
            "09:30",
            "replace",
            BY_HAND,
            (NINE,),
            "SuccessfulCreate",
            id="Replace: a request does while suspended too",
        ),
        pytest.param(
            replaces(requested="now", status=written(last_schedule_time=at("09:00"), last_handled_request="now")),
            [job("09:30", request="now")],
            "10:00",
            "replace",
            TEN,
            (BY_HAND,),
            "SuccessfulCreate",
            id="Replace: a later slot replaces a run by hand",
        ),
        pytest.param(
            replaces(requested="then", status=written(last_schedule_time=at("09:00"), last_handled_request="now")),
            [job("09:30", request="now")],
            "09:40",
            "replace",
            manual_job_name("hourly", "then"),
            (BY_HAND,),
            "SuccessfulCreate",
            id="Replace: the newest request wins",
        ),
        pytest.param(
            replaces(requested="now"),
            [job("09:30", request="now")],
            "09:40",
            "wait",
            None,
            (),
            None,
            id="Replace: a request whose Job exists is handled, and does not replace itself",
        ),
        pytest.param(
            replaces(
                minInterval="90m", status=written(last_schedule_time=at("09:00"), last_successful_time=at("09:50"))
            ),
            [job("09:00")],
            "10:00",
            "skip",
            TEN,
            (),
            None,
            id="Replace: a slot that minInterval holds replaces nothing",
        ),
        pytest.param(
            replaces(
                requested="now",
                minInterval="90m",
                status=written(last_schedule_time=at("09:00"), last_successful_time=at("09:50")),
            ),
            [job("09:00")],
            "10:00",
            "replace",
            BY_HAND,
            (NINE,),
            "SuccessfulCreate",
            id="Replace: a request does though minInterval would hold a slot",
        ),
    ],
)
def test_an_active_run_is_waited_for_or_makes_way(
    seen: Schedule,
    jobs: list[Job],
    now: str,
    action: str,
    started: str | None,
    replaced: tuple[str, ...],
    reason: str | None,
) -> None:
    decision = decide(seen, jobs, at(now))
    assert (decision.action, decision.job, decision.replaces, decision.reason) == (action, started, replaced, reason)


def test_a_start_that_replaces_moves_on_as_any_other() -> None:
    decision = decide(replaces(), [job("09:00")], at("10:00:05"))
    assert decision.started is not None
    assert (decision.starts, decision.started.last_schedule_time) == (True, at("10:00"))
    assert (decision.next_schedule_time, decision.wake) == (at("11:00"), at("11:00"))
    assert told(decision) == ["SuccessfulCreate"]


def test_a_request_that_replaces_serves_the_slot_that_is_due() -> None:
    decision = decide(replaces(requested="now"), [job("09:00")], at("10:00:05"))
    assert decision.started is not None
    assert (decision.trigger, decision.started.last_schedule_time) == ("Manual", at("10:00"))
    assert (decision.started.last_handled_request, decision.next_schedule_time) == ("now", at("11:00"))


def test_a_slot_that_forbid_held_replaces_once_the_policy_is_edited() -> None:
    active = job("09:00")
    assert decide(forbid(), [active], at("10:20")).action == "skip"
    assert decide(replaces(), [active], at("10:20")).action == "replace"


def test_a_slot_waits_once_the_policy_is_edited_back() -> None:
    status = written(last_schedule_time=at("10:00"))
    assert decide(forbid(status=status), [job("10:00")], at("11:00")).reason == "JobAlreadyActive"


def test_what_a_job_alone_tells_is_told_before_it_may_go() -> None:
    """The controller died after it created the Job of 09:00: with the Job the memory of that start would go."""
    seen = replaces(status=written(last_schedule_time=at("08:00")))
    decision = decide(seen, [job("09:00")], at("10:00"))
    assert (decision.action, decision.progress.last_schedule_time) == ("replace", at("09:00"))
    assert not is_told(seen, decision)
    written_down = replace(seen, status=seen.status.model_copy(update={"last_schedule_time": at("09:00")}))
    assert is_told(written_down, decide(written_down, [job("09:00")], at("10:00")))


def test_a_slot_that_comes_every_minute_replaces_every_minute() -> None:
    seen = replaces(schedule="* * * * *", status=written(expression="* * * * *", last_schedule_time=at("09:00")))
    for minute in range(1, 4):
        now = at("09:00") + minute * timedelta(minutes=1)
        active = job(f"09:{minute - 1:02}")
        status = seen.status.model_copy(update={"last_schedule_time": active.scheduled_time})
        decision = decide(replace(seen, status=status), [active], now)
        assert (decision.action, decision.replaces, decision.scheduled_time) == ("replace", (active.name,), now)
