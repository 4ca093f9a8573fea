"""concurrencyPolicy Replace on an API server in memory: the active Job goes, is told of, and the next one starts."""

from collections import Counter
from datetime import timedelta

import pytest
from kubernetes.aio.client.exceptions import ApiException

from tests.unit.kube import job_body, refusal, schedule_body
from tests.unit.test_controller_reconcile import HOURLY, World, job_at
from trending.controller.reconcile import DeleteRefusedError
from trending.schedule.job_names import manual_job_name

NINE, TEN = job_at("09:00"), job_at("10:00")


@pytest.fixture
async def active() -> World:
    """A schedule that replaces, whose run of 09:00 is active."""
    world = World()
    world.kube.apply(schedule_body(concurrencyPolicy="Replace"))
    await world.look()
    await world.look("09:00")
    world.kube.make_ready(NINE)
    await world.look()
    assert world.kube.job_names == [NINE]
    return world


async def test_the_active_run_makes_way_for_the_slot_and_both_are_told(active: World) -> None:
    writes = await active.look("10:00:01")
    status = active.kube.status()
    assert active.kube.job_names == [TEN]
    assert [run["name"] for run in status["active"]] == [TEN]
    assert (status["lastScheduleTime"], status["nextScheduleTime"]) == ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z")
    last = status["lastRun"]
    assert (last["job"], last["result"], last["reason"], last["attempts"]) == (NINE, "Replaced", "Replaced", 1)
    assert (last["startTime"], last["completionTime"]) == ("2026-11-23T09:00:00Z", "2026-11-23T10:00:01Z")
    assert last["message"] == f"The run was ended to make way for Job {TEN}; nothing half written remains."
    assert writes == {"delete_job": 1, "create_job": 1, "replace_status": 2, "create_event": 1}


async def test_a_replaced_run_is_neither_success_nor_failure_nor_a_missing_job(active: World) -> None:
    await active.look("10:00:01")
    status = active.kube.status()
    assert active.kube.reasons == ["SuccessfulCreate", "SuccessfulCreate"]
    assert {"lastSuccessfulTime", "lastFailureTime"} & set(status) == set()
    assert status["consecutiveFailures"] == 0
    assert "Succeeded" not in [condition["type"] for condition in status["conditions"]]
    active.kube.succeed(TEN)
    await active.look("10:02")
    assert active.kube.status()["lastRun"]["job"] == TEN
    assert active.kube.reasons[2:] == ["RunSucceeded", "DataFresh"]


async def test_a_request_replaces_and_is_replaced_by_a_later_slot(active: World) -> None:
    by_hand = manual_job_name("hourly", "now")
    active.kube.annotate(requestedAt="now")
    await active.look("09:30")
    assert active.kube.job_names == [by_hand]
    assert active.kube.status()["lastRun"]["job"] == NINE
    await active.look("10:00")
    assert active.kube.job_names == [TEN]
    assert active.kube.status()["lastRun"]["job"] == by_hand


async def test_a_run_that_has_just_finished_is_recorded_and_not_replaced(active: World) -> None:
    """The watch has not told yet: the Job is looked at as it is before it is deleted."""
    active.clock.set("10:00:01")
    await active.see()
    active.kube.succeed(NINE)
    await active.reconciler.reconcile(HOURLY)
    assert active.kube.job_names == [NINE, TEN]
    assert active.kube.status()["lastRun"]["result"] == "Succeeded"


async def test_a_run_that_finishes_in_the_moment_of_its_deletion_is_recorded_and_not_replaced(active: World) -> None:
    active.clock.set("10:00:01")
    await active.see()
    active.kube.before["delete_job"] = lambda: active.kube.succeed(NINE)
    await active.reconciler.reconcile(HOURLY)
    assert active.kube.job_names == [NINE, TEN]
    assert active.kube.status()["lastRun"]["result"] == "Succeeded"


async def test_what_is_told_of_it_is_how_it_was_in_the_end(active: World) -> None:
    """The watch has not told yet that its first pod failed."""
    active.clock.set("10:00:01")
    await active.see()
    active.kube.show(NINE, failed=1, active=1)
    await active.reconciler.reconcile(HOURLY)
    assert active.kube.status()["lastRun"]["attempts"] == 2


async def test_a_deletion_that_is_refused_is_told_and_starts_nothing(active: World) -> None:
    active.kube.refuse["delete_job"] = refusal(403, "jobs is forbidden")
    with pytest.raises(DeleteRefusedError, match=f"Error deleting job {NINE}: jobs is forbidden"):
        await active.look("10:00")
    assert active.kube.job_names == [NINE]
    assert active.kube.reasons[-1] == "FailedDelete"
    del active.kube.refuse["delete_job"]
    await active.look("10:00:05")
    assert active.kube.job_names == [TEN]


async def test_a_conflict_on_the_status_write_does_not_forget_what_was_replaced(active: World) -> None:
    active.kube.before["replace_status"] = lambda: active.kube.annotate(other="x")
    await active.look("10:00")
    assert active.kube.status()["lastRun"]["result"] == "Replaced"
    assert "MissingJob" not in active.kube.reasons


async def test_a_failed_status_write_does_not_either_and_nothing_starts_beside_it(active: World) -> None:
    active.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await active.look("10:00")
    assert active.kube.job_names == []
    del active.kube.refuse["replace_status"]
    await active.look("10:00:02")
    assert active.kube.job_names == [TEN]
    assert active.kube.status()["lastRun"]["job"] == NINE
    assert "MissingJob" not in active.kube.reasons


async def test_a_controller_that_dies_after_the_deletion_leaves_the_slot_to_the_next_one(active: World) -> None:
    active.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await active.look("10:00")
    del active.kube.refuse["replace_status"]
    active.restart()
    await active.look("10:00:20")
    assert active.kube.job_names == [TEN]
    assert sorted(active.kube.reasons) == ["MissingJob", "SuccessfulCreate", "SuccessfulCreate"]


async def test_a_start_that_no_status_tells_is_written_down_before_its_job_goes() -> None:
    """The Job of 09:00 is there and the status does not tell: were it deleted first, 09:00 might be run again."""
    world = World()
    world.kube.apply(schedule_body(concurrencyPolicy="Replace"))
    await world.look()
    world.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await world.look("09:00")
    del world.kube.refuse["replace_status"]
    world.restart()
    world.kube.writes.clear()
    await world.look("10:00")
    assert world.kube.writes[:3] == ["replace_status", "create_event", "delete_job"]
    assert Counter(world.kube.writes)["create_job"] == 1
    assert world.kube.job_names == [TEN]


async def test_nothing_is_remembered_of_a_schedule_that_is_gone(active: World) -> None:
    active.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await active.look("10:00")
    active.kube.remove_schedule()
    assert await active.look("10:00:02") == Counter()
    assert active.reconciler._replacements._untold == {}


async def test_an_active_run_is_left_alone_where_the_next_ones_name_is_another_jobs(active: World) -> None:
    """Nothing would come of ending it: a CronJob of the same name has the slot's Job."""
    active.kube.put_job(job_body(TEN, uid="foreign", owner="somebody else"))
    await active.look("10:00:01")
    assert active.kube.job_names == [NINE, TEN]
    assert active.kube.reasons == ["SuccessfulCreate", "UnexpectedJob"]
    status = active.kube.status()
    assert [run["name"] for run in status["active"]] == [NINE]
    assert (status["lastScheduleTime"], status["nextScheduleTime"]) == ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z")
    await active.look("11:00")
    assert active.kube.job_names == [TEN, job_at("11:00")]


async def test_a_run_after_one_that_made_way_is_told_though_the_controllers_clock_is_ahead(active: World) -> None:
    """By its clock the run of 09:00 was replaced five minutes later than by the API server's."""
    active.kube.api_clock = lambda: active.clock() - timedelta(minutes=5)
    await active.look("10:00:01")
    assert active.kube.status()["lastRun"]["completionTime"] == "2026-11-23T10:00:01Z"
    active.clock.advance(120)
    active.kube.succeed(TEN)
    await active.look()
    last = active.kube.status()["lastRun"]
    assert (last["job"], last["result"], last["completionTime"]) == (TEN, "Succeeded", "2026-11-23T09:57:01Z")


async def test_a_job_that_a_finalizer_holds_is_active_while_it_is_there_and_told_once(active: World) -> None:
    """Such as one of a queue of Jobs: its deletion takes effect when whoever has put it there has taken it off."""
    active.kube.held.add(NINE)
    await active.look("10:00:01")
    active.kube.make_ready(TEN)
    await active.look("10:05")
    await active.look("10:10")  # it was to be gone until everything has been listed once more
    assert active.kube.job_names == [NINE, TEN]
    assert {run["name"] for run in active.kube.status()["active"]} == {NINE, TEN}
    await active.look("11:00")
    assert [run["name"] for run in active.kube.status()["active"]] == [job_at("11:00")]
    assert active.kube.status()["lastRun"]["job"] == TEN
    told = [tally.results["Replaced"] for tally in active.metrics.tallies._tallies.values()]
    assert (told, active.kube.reasons) == ([2], ["SuccessfulCreate"] * 3)
