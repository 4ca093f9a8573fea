"""Passes while something is refused, taken, deleted or cut off: each thing goes wrong alone."""

import logging
from collections import Counter
from typing import Any, ClassVar

import pytest

from tests.unit.kube import at, job_body, refusal, report, schedule_body
from tests.unit.test_controller_reconcile import HOURLY, World, is_at_rest, job_at
from tests.unit.test_controller_status import TWO, follow, run
from trending.controller.kube import JsonObject
from trending.controller.reconcile import CreateRefusedError
from trending.controller.store import Key, Store
from trending.schedule.job_names import manual_job_name


@pytest.fixture
def world() -> World:
    return World()


async def with_data(world: World, **spec: Any) -> World:
    """A schedule whose run of 09:00 went well."""
    world.kube.apply(schedule_body(**spec))
    await world.look()
    await world.run("09:00", end="09:03")
    return world


class TestWhileJobsAreRefused:
    async def test_data_become_stale_all_the_same(self, world: World) -> None:
        await with_data(world, staleAfter="90m")
        world.kube.refuse["create_job"] = refusal(403, "exceeded quota")
        with pytest.raises(CreateRefusedError):
            await world.look("10:00")
        assert world.condition("Fresh") == ("True", "UpToDate")
        with pytest.raises(CreateRefusedError):
            await world.look("10:30")
        assert world.condition("Fresh") == ("False", "TooOld")
        assert "DataStale" in world.kube.reasons

    async def test_missed_slots_are_told(self, world: World) -> None:
        await with_data(world)
        world.kube.refuse["create_job"] = refusal(500, "webhook failed")
        with pytest.raises(CreateRefusedError):
            await world.look("11:00")
        assert world.kube.status()["lastMissedTime"] == "2026-11-23T10:00:00Z"
        assert world.kube.status()["lastScheduleTime"] == "2026-11-23T09:00:00Z"
        assert world.kube.status()["nextScheduleTime"] == "2026-11-23T11:00:00Z"
        assert world.kube.reasons.count("MissSchedule") == 1

    async def test_nothing_is_written_again_and_again(self, world: World) -> None:
        await with_data(world)
        world.kube.refuse["create_job"] = refusal(403, "exceeded quota")
        for _ in range(2):
            with pytest.raises(CreateRefusedError):
                await world.look("10:00")
        world.kube.writes.clear()
        with pytest.raises(CreateRefusedError):
            await world.look("10:00:05")
        assert world.kube.writes == ["create_job"]

    async def test_the_status_says_why_nothing_starts_until_it_does(self, world: World) -> None:
        await with_data(world)
        world.kube.refuse["create_job"] = refusal(403, "exceeded quota.")
        with pytest.raises(CreateRefusedError):
            await world.look("10:00")
        assert world.condition("Progressing") == ("False", "Idle")
        (told,) = [c for c in world.kube.status()["conditions"] if c["type"] == "Progressing"]
        assert told["message"] == "A run is due, and its Job cannot be created: exceeded quota."
        del world.kube.refuse["create_job"]
        await world.look("10:01")
        assert world.condition("Progressing")[0] == "True"

    async def test_a_refusal_is_forgotten_with_the_slot_that_it_was_about(self, world: World) -> None:
        await with_data(world, startingDeadlineSeconds=600)
        world.kube.refuse["create_job"] = refusal(403, "exceeded quota")
        with pytest.raises(CreateRefusedError):
            await world.look("10:00")
        await world.look("10:20")
        (told,) = [c for c in world.kube.status()["conditions"] if c["type"] == "Progressing"]
        assert told["message"] == "No run is active."

    async def test_history_is_trimmed_before_a_job_is_created(self, world: World) -> None:
        """A quota on Jobs may be what refuses it."""
        await with_data(world)
        world.kube.apply(schedule_body(successfulJobsHistoryLimit=0))
        world.kube.writes.clear()
        await world.look("10:00")
        assert world.kube.writes.index("delete_job") < world.kube.writes.index("create_job")
        assert world.kube.job_names == [job_at("10:00")]


class TestWhileDeletionsAreRefused:
    async def test_the_next_slot_starts_at_its_instant(self, world: World) -> None:
        await with_data(world, successfulJobsHistoryLimit=0)
        world.kube.put_job(job_body(job_at("08:00"), slot="08:00", uid="old"))
        world.clock.set("09:03:30")
        world.kube.succeed(job_at("08:00"), data=at("08:00"))
        world.kube.refuse["delete_job"] = refusal(403, "not allowed")
        await world.look()
        assert world.wake == at("09:04:30")
        await world.look("09:59:30")
        assert world.wake == at("10:00"), "the slot comes before the next attempt to delete"
        await world.look("10:00")
        assert job_at("10:00") in world.kube.job_names
        assert world.kube.reasons.count("FailedDelete") == 1

    async def test_a_job_that_somebody_else_deleted_first_is_no_failure(self, world: World) -> None:
        await with_data(world)
        world.kube.apply(schedule_body(successfulJobsHistoryLimit=0))
        world.kube.before["delete_job"] = lambda: world.kube.remove_job(job_at("09:00"))
        await world.look("09:10")
        assert "FailedDelete" not in world.kube.reasons
        assert world.wake == at("10:00")


class TestWhileARunEnds:
    """What a Job's status shows, as seen on Kubernetes 1.35: ready, not ready, uncounted, Complete."""

    STEPS: ClassVar[list[JsonObject]] = [
        {"active": 1, "ready": 0, "uncountedTerminatedPods": {}},
        {"active": 1, "ready": 1, "uncountedTerminatedPods": {}},
        {"active": 1, "ready": 0, "uncountedTerminatedPods": {}},
        {
            "ready": 0,
            "uncountedTerminatedPods": {"succeeded": ["p"]},
            "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}],
        },
    ]

    async def test_a_run_that_goes_well_costs_three_status_writes_two_events_a_job_and_a_deletion(
        self, world: World
    ) -> None:
        await with_data(world, successfulJobsHistoryLimit=1)
        world.kube.writes.clear()
        await world.look("10:00")
        told = []
        for step in self.STEPS:
            world.kube.show(job_at("10:00"), **step)
            await world.look()
            told.append(world.condition("Progressing")[1])
        world.clock.set("10:03")
        world.kube.succeed(job_at("10:00"), data=at("10:00"))
        await world.look()
        assert told == ["WaitingForPod", "RunActive", "RunActive", "RunActive"]
        assert Counter(world.kube.writes) == {"create_job": 1, "replace_status": 3, "create_event": 2, "delete_job": 1}

    async def test_a_pod_that_is_to_be_tried_again_is_waited_for(self, world: World) -> None:
        await with_data(world)
        await world.look("10:00")
        for status in (self.STEPS[1], {"active": 0, "ready": 0, "failed": 1}):
            world.kube.show(job_at("10:00"), **status)
            await world.look()
        assert world.condition("Progressing") == ("True", "WaitingForPod")
        world.kube.show(job_at("10:00"), active=1, ready=1, failed=1)
        await world.look()
        assert world.condition("Progressing") == ("True", "RunActive")

    async def test_the_next_run_waits_for_a_pod_of_its_own(self, world: World) -> None:
        await with_data(world)
        await world.look("10:00")
        assert world.condition("Progressing") == ("True", "WaitingForPod")


class TestWhileNamesAreTaken:
    async def test_a_request_whose_name_is_taken_leaves_the_slot_that_is_due_to_a_run_of_its_own(
        self, world: World
    ) -> None:
        await with_data(world)
        world.kube.put_job(job_body(manual_job_name("hourly", "now"), uid="foreign", owner="somebody else"))
        world.kube.annotate(requestedAt="now")
        await world.look("10:00")
        assert job_at("10:00") in world.kube.job_names
        assert world.kube.status()["lastHandledRequest"] == "now"
        assert world.kube.reasons.count("UnexpectedJob") == 1
        assert await is_at_rest(world)


class TestWhileTheScheduleIsBeingDeleted:
    """Somebody's finalizer, or deletion in the foreground, keeps it there for a while."""

    @staticmethod
    def delete(world: World, **spec: Any) -> None:
        body = schedule_body(**spec)
        body["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
        world.kube.apply(body)

    async def test_the_end_of_a_run_is_told_and_no_other_starts(self, world: World) -> None:
        await with_data(world)
        await world.look("10:00")
        self.delete(world)
        world.clock.set("10:03")
        world.kube.succeed(job_at("10:00"))
        await world.look()
        assert world.kube.status()["lastRun"]["job"] == job_at("10:00")
        assert not await world.look("11:00")
        assert job_at("11:00") not in world.kube.job_names

    async def test_history_is_trimmed(self, world: World) -> None:
        await with_data(world)
        self.delete(world, successfulJobsHistoryLimit=0)
        await world.look("10:01")
        assert world.kube.job_names == []

    async def test_jobs_that_go_with_it_are_not_told_as_missing(self, world: World) -> None:
        await with_data(world)
        await world.look("10:00")
        self.delete(world)
        world.kube.remove_job(job_at("10:00"))
        await world.look("10:01")
        assert world.kube.status()["activeCount"] == 0
        assert "MissingJob" not in world.kube.reasons


@pytest.mark.parametrize("error", [ConnectionResetError("reset by peer"), TimeoutError(), RuntimeError("closed")])
async def test_an_event_that_is_cut_off_is_logged_and_holds_no_run_up(
    world: World, error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_off(_: JsonObject) -> None:
        raise error

    world.kube.apply(schedule_body())
    await world.look()
    monkeypatch.setattr(world.kube, "create_event", cut_off)
    with caplog.at_level(logging.WARNING):
        await world.look("09:00")
    assert world.kube.job_names == [job_at("09:00")]
    assert f"event SuccessfulCreate of default/hourly: {type(error).__name__}" in caplog.text


class TestWhatIsGone:
    """A watch tells that an object is gone; an older word of it may still be on its way."""

    @pytest.fixture
    def store(self) -> Store:
        return Store(changed=lambda _: None)

    @staticmethod
    def versioned(version: int, uid: str = "u1") -> JsonObject:
        body = schedule_body()
        body["metadata"] |= {"resourceVersion": str(version), "uid": uid}
        return body

    def test_a_late_answer_to_a_write_does_not_bring_a_schedule_back(self, store: Store) -> None:
        store.put_schedule(self.versioned(10))
        store.remove_schedule(HOURLY, uid="u1", version=12)
        store.put_schedule(self.versioned(11))
        assert store.schedule(HOURLY) is None

    def test_a_page_of_an_older_list_does_not_bring_a_schedule_back_that_was_never_seen(self, store: Store) -> None:
        store.remove_schedule(HOURLY, uid="u1", version=12)
        store.put_schedule(self.versioned(10))
        assert store.schedule(HOURLY) is None

    def test_a_schedule_made_anew_is_not_taken_for_the_one_that_is_gone(self, store: Store) -> None:
        store.put_schedule(self.versioned(20, uid="u2"))
        store.remove_schedule(HOURLY, uid="u1", version=12)
        assert store.schedule(HOURLY) is not None

    def test_a_late_word_does_not_bring_a_job_back(self, store: Store) -> None:
        store.put_job(job_body("hourly-1", version=10))
        store.remove_job(job_body("hourly-1", version=12))
        store.put_job(job_body("hourly-1", version=11))
        assert store.jobs(HOURLY) == []

    def test_a_job_that_we_deleted_ourselves_has_no_later_word(self, store: Store) -> None:
        store.put_job(job_body("hourly-1", version=10))
        store.forget_job(HOURLY, "hourly-1", uid="j1")
        store.put_job(job_body("hourly-1", version=11))
        assert store.jobs(HOURLY) == []

    def test_a_job_that_got_its_label_back_is_there_again(self, store: Store) -> None:
        """To a watch of a label, an object that loses it is gone."""
        store.remove_job(job_body("hourly-1", version=12))
        store.put_job(job_body("hourly-1", version=13))
        assert [job.name for job in store.jobs(HOURLY)] == ["hourly-1"]

    def test_what_is_gone_is_remembered_until_everything_was_listed_anew(self, store: Store) -> None:
        store.remove_schedule(HOURLY, uid="u1", version=12)
        store.remove_job(job_body("hourly-1", version=12))
        store.keep_schedules([], 20)
        store.keep_jobs([], 20)
        store.forget_gone()
        assert (store._gone_schedules, store._gone_jobs) == ({}, {})

    def test_a_schedule_found_to_be_gone_is_forgotten_for_good(self, store: Store) -> None:
        store.put_schedule(self.versioned(10))
        store.remove_schedule(HOURLY)
        store.remove_schedule(Key("default", "never-there"))
        store.put_schedule(self.versioned(11))
        assert store.schedule(HOURLY) is None


def test_new_data_reported_while_the_schedule_is_invalid_keep_the_promise_made_before() -> None:
    before = follow(now="09:03", runs=[run(report(targets=("a", "b"), data=at("09:00")))], **TWO)
    later = run(report(targets=("a", "b"), data=at("09:30")), name="hourly-2", ended="09:33")
    invalid = follow(before, now="09:34", runs=[later], schedule="0 0 31 2 *", **TWO)
    assert [(target.data_timestamp, target.stale_time) for target in invalid.targets] == [
        (at("09:30"), at("11:30"))
    ] * 2
    assert [c.status for c in invalid.conditions if c.type in ("Accepted", "Fresh")] == ["False", "True"]
