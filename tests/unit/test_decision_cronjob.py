"""Decided as the CronJob controller decides: the scenarios of its own tests, for the fields that are shared.

They are those of `TestControllerV2SyncCronJob` in kubernetes/pkg/controller/cronjob: an hourly schedule that never ran,
or ran at 09:01 and is done, or still active; just before the hour or just after it, or a week later. There is no Allow.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any, Final, Literal, NamedTuple

import pytest

from tests.unit.schedules import at, job, schedule, written
from trending.schedule.decision import Decision, decide
from trending.schedule.job_names import slot_job_name
from trending.schedule.observed import Job, Schedule

HOURLY: Final = "0 * * * ?"
SHORT, MEDIUM, LONG = 10, 2 * 60 * 60, 1_000_000
WEEK: Final = timedelta(days=7)
TEN: Final = slot_job_name("hourly", at("10:00"))
A_WEEK_ON: Final = slot_job_name("hourly", at("10:00") + WEEK)
POLICIES: Final = ("Forbid", "Replace")

Past = Literal["never ran", "ran and is done", "still active"]


class Scenario(NamedTuple):
    past: Past
    time: str
    deadline: int | None
    suspend: bool
    creates: bool
    """Whether a Job is created; under Forbid never beside an active one."""
    warns: bool = False
    """Whether a warning asks if clock and deadline are right, after so many missed slots."""


BEFORE, AFTER, LATE, WEEK_LATER = "09:59", "10:01", "10:12", "a week later"

SCENARIOS: Final = (
    Scenario("never ran", BEFORE, None, suspend=False, creates=False),
    Scenario("never ran", AFTER, None, suspend=False, creates=True),
    Scenario("never ran", AFTER, None, suspend=True, creates=False),
    Scenario("never ran", LATE, SHORT, suspend=False, creates=False),
    Scenario("never ran", AFTER, LONG, suspend=False, creates=True),
    Scenario("ran and is done", BEFORE, None, suspend=False, creates=False),
    Scenario("ran and is done", AFTER, None, suspend=False, creates=True),
    Scenario("ran and is done", AFTER, None, suspend=True, creates=False),
    Scenario("ran and is done", AFTER, SHORT, suspend=False, creates=False),
    Scenario("ran and is done", AFTER, LONG, suspend=False, creates=True),
    Scenario("still active", BEFORE, None, suspend=False, creates=False),
    Scenario("still active", AFTER, None, suspend=False, creates=True),
    Scenario("still active", AFTER, None, suspend=True, creates=False),
    Scenario("still active", AFTER, SHORT, suspend=False, creates=False),
    Scenario("still active", AFTER, LONG, suspend=False, creates=True),
    Scenario("ran and is done", WEEK_LATER, None, suspend=False, creates=True, warns=True),
    Scenario("ran and is done", WEEK_LATER, LONG, suspend=False, creates=True, warns=True),
    Scenario("ran and is done", WEEK_LATER, MEDIUM, suspend=False, creates=True),
    Scenario("ran and is done", WEEK_LATER, SHORT, suspend=False, creates=True),
)


def observed(scenario: Scenario, policy: str) -> tuple[Schedule, list[Job]]:
    """The schedule and its Jobs as the controller sees them."""
    spec: dict[str, Any] = {"schedule": HOURLY, "concurrencyPolicy": policy, "suspend": scenario.suspend}
    if scenario.deadline:
        spec["startingDeadlineSeconds"] = scenario.deadline
    if scenario.past == "never ran":
        return schedule(created="09:59", status=written(since="09:59", expression=HOURLY), **spec), []
    status = written(since="08:59", expression=HOURLY, last_schedule_time=at("09:01"))
    ran = job("09:01", ended="09:02" if scenario.past == "ran and is done" else None)
    return schedule(created="08:59", status=status, **spec), [ran]


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


@pytest.mark.parametrize(
    ("scenario", "policy"),
    [
        pytest.param(
            scenario,
            policy,
            id=f"{policy}: {scenario.past}, {scenario.time}, deadline {scenario.deadline}"
            + (", suspended" if scenario.suspend else ""),
        )
        for scenario, policy in product(SCENARIOS, POLICIES)
    ],
)
def test_a_job_is_created_and_an_active_one_deleted_when_cronjob_would(scenario: Scenario, policy: str) -> None:
    seen, jobs = observed(scenario, policy)
    now = at("10:00") + WEEK if scenario.time == WEEK_LATER else at(scenario.time)
    decision = decide(seen, jobs, now)
    active = scenario.past == "still active"
    creates = scenario.creates and not (active and policy == "Forbid")
    assert decision.starts is creates
    if creates:
        assert decision.job == (A_WEEK_ON if scenario.time == WEEK_LATER else TEN)
    assert decision.replaces == ((jobs[0].name,) if creates and active else ())
    assert ("TooManyMissedTimes" in told(decision)) is scenario.warns
    assert ("JobAlreadyActive" in told(decision)) is (scenario.creates and active and policy == "Forbid")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("past", ["never ran", "ran and is done", "still active"])
def test_an_expression_that_cannot_be_read_starts_nothing_and_is_warned_of(past: Past, policy: str) -> None:
    seen, jobs = observed(Scenario(past, AFTER, None, suspend=False, creates=False), policy)
    unreadable = replace(seen, spec=seen.spec.model_copy(update={"schedule": "obvious error schedule"}))
    decision = decide(unreadable, jobs, at(AFTER))
    assert (decision.action, decision.replaces, told(decision)) == ("none", (), ["InvalidSchedule"])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("last", "jobs", "now"),
    [
        pytest.param("10:00", [], "10:01", id="the status tells, its Job has gone missing"),
        pytest.param("09:00", [job("10:00")], "10:01", id="its active Job tells, the status does not yet"),
        pytest.param("09:00", [job("10:00", ended="10:01")], "10:02", id="its finished Job tells"),
        pytest.param("10:00", [job("10:00")], "09:59", id="both tell, and the clock has been set back"),
        pytest.param("10:00", [job("10:00", ended="10:01")], "09:59", id="it is done, and the clock was set back"),
    ],
)
def test_a_slot_that_was_started_is_not_started_again_nor_does_it_replace_itself(
    last: str, jobs: list[Job], now: str, policy: str
) -> None:
    status = written(expression=HOURLY, last_schedule_time=at(last))
    decision = decide(schedule(schedule=HOURLY, concurrencyPolicy=policy, status=status), jobs, at(now))
    assert (decision.action, decision.next_schedule_time) == ("wait", at("11:00"))


@pytest.mark.parametrize(
    ("late", "creates"),
    [(timedelta(seconds=10), False), (timedelta(seconds=10) - timedelta(microseconds=1), True)],
    ids=["by the deadline to the second", "by a microsecond less"],
)
def test_the_deadline_ends_where_cronjobs_does(late: timedelta, creates: bool) -> None:
    """CronJob looks for slots later than now - deadline: one exactly so old is not among them."""
    seen, _ = observed(Scenario("never ran", AFTER, SHORT, suspend=False, creates=False), "Forbid")
    assert decide(seen, [], at("10:00") + late).starts is creates
