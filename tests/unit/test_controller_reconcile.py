"""A pass over a schedule, against an API server in memory and a clock that is set by hand."""

import logging
from collections import Counter
from functools import partial

import pytest
from kubernetes.aio.client.exceptions import ApiException

from tests.unit.kube import SETTINGS, Clock, FakeKube, at, job_body, refusal, report, schedule_body
from trending.api.names import RUN_ANNOTATION
from trending.controller.kube import JsonObject
from trending.controller.metrics import Metrics
from trending.controller.reconcile import CreateRefusedError, Reconciler
from trending.controller.store import Key, Store
from trending.report import write_termination_message
from trending.schedule.job_names import manual_job_name, slot_job_name

HOURLY = Key("default", "hourly")


def job_at(slot: str) -> str:
    return slot_job_name("hourly", at(slot))


class World:
    """A cluster and a controller in it."""

    def __init__(self, time: str = "08:30") -> None:
        self.clock = Clock(time)
        self.kube = FakeKube(self.clock)
        self.wake: object = None
        self.restart()

    def restart(self) -> None:
        """Have a new controller, which knows nothing but what it reads."""
        self.store = Store(changed=lambda _: None)
        self.metrics = Metrics(self.store, decides=lambda: True)
        self.reconciler = Reconciler(
            kube=self.kube, store=self.store, settings=SETTINGS, clock=self.clock, tallies=self.metrics.tallies
        )

    async def see(self) -> None:
        """Have the controller see the cluster as it is."""
        keys, uids, version = [], [], 0
        async for page, listed in self.kube.schedules():
            version = int(listed)
            for body in page:
                self.store.put_schedule(body)
                keys.append(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
        self.store.keep_schedules(keys, version)
        async for page, listed in self.kube.jobs():
            version = int(listed)
            for body in page:
                self.store.put_job(body)
                uids.append(body["metadata"]["uid"])
        self.store.keep_jobs(uids, version)
        self.store.forget_gone()

    async def look(self, time: str | None = None) -> Counter[str]:
        """Have a pass at this time; return how often it wrote, by method."""
        if time:
            self.clock.set(time)
        await self.see()
        before = Counter(self.kube.writes)
        self.wake = await self.reconciler.reconcile(HOURLY)
        return Counter(self.kube.writes) - before

    async def run(self, slot: str, *, end: str) -> None:
        """Have the run of a slot go well, as a cluster shows it step by step."""
        await self.look(slot)
        self.kube.make_ready(job_at(slot))
        await self.look()
        self.clock.set(end)
        self.kube.succeed(job_at(slot), data=at(slot))
        await self.look()

    def condition(self, kind: str) -> tuple[str, str]:
        [found] = [c for c in self.kube.status()["conditions"] if c["type"] == kind]
        return found["status"], found["reason"]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def hourly(world: World) -> World:
    world.kube.apply(schedule_body())
    return world


async def test_a_slot_starts_one_job_and_the_status_says_so(hourly: World) -> None:
    assert await hourly.look() == {"replace_status": 1}
    assert hourly.wake == at("09:00")
    await hourly.look("09:00")
    assert hourly.kube.job_names == [job_at("09:00")]
    status = hourly.kube.status()
    assert status["lastScheduleTime"] == "2026-11-23T09:00:00Z"
    assert status["nextScheduleTime"] == "2026-11-23T10:00:00Z"
    assert [run["name"] for run in status["active"]] == [job_at("09:00")]
    assert hourly.kube.reasons == ["SuccessfulCreate"]
    assert hourly.condition("Progressing") == ("True", "WaitingForPod")


async def test_a_first_look_at_a_due_slot_notes_from_when_slots_count_before_it_starts_anything(hourly: World) -> None:
    await hourly.look("09:10")
    assert hourly.kube.writes[:2] == ["replace_status", "create_job"]
    assert hourly.kube.status()["scheduleSince"] == "2026-11-23T08:30:00Z"


async def test_the_run_document_of_a_job_is_the_one_of_its_slot(hourly: World) -> None:
    await hourly.look("09:00:30")
    job = await hourly.kube.get_job("default", job_at("09:00"))
    document = job["spec"]["template"]["metadata"]["annotations"][RUN_ANNOTATION]
    assert '"scheduledTime":"2026-11-23T09:00:00Z"' in document
    assert '"deadline":"2026-11-23T09:59:45Z"' in document, "an hour from its creation, less 45 s"


async def test_a_run_that_goes_well_costs_few_writes(world: World) -> None:
    world.kube.apply(schedule_body(successfulJobsHistoryLimit=1))
    await world.look()
    await world.run("09:00", end="09:03")
    world.kube.writes.clear()
    await world.run("10:00", end="10:03")
    assert Counter(world.kube.writes) == {"create_job": 1, "replace_status": 3, "create_event": 2, "delete_job": 1}
    assert world.kube.reasons == ["SuccessfulCreate", "RunSucceeded", "DataFresh", "SuccessfulCreate", "RunSucceeded"]
    assert world.kube.job_names == [job_at("10:00")]
    last = world.kube.status()["lastRun"]
    assert (last["job"], last["result"], last["duration"]) == (job_at("10:00"), "Succeeded", "3m")


async def test_a_crash_between_the_job_and_the_status_neither_repeats_nor_loses_the_run(hourly: World) -> None:
    await hourly.look()
    hourly.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await hourly.look("09:00")
    assert hourly.kube.job_names == [job_at("09:00")]
    del hourly.kube.refuse["replace_status"]
    hourly.restart()
    assert (await hourly.look("09:01"))["create_job"] == 0
    assert hourly.kube.status()["lastScheduleTime"] == "2026-11-23T09:00:00Z"
    assert hourly.kube.status()["activeCount"] == 1
    hourly.kube.succeed(job_at("09:00"))
    hourly.restart()
    await hourly.look("09:05")
    assert hourly.kube.status()["lastRun"]["job"] == job_at("09:00")
    assert hourly.kube.reasons.count("RunSucceeded") == 1
    assert hourly.kube.job_names == [job_at("09:00")]


async def test_a_job_that_ended_while_nobody_wrote_its_start_is_recorded_all_the_same(hourly: World) -> None:
    await hourly.look()
    hourly.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await hourly.look("09:00")
    del hourly.kube.refuse["replace_status"]
    hourly.clock.set("09:02")
    hourly.kube.succeed(job_at("09:00"))
    hourly.restart()
    await hourly.look("09:05")
    status = hourly.kube.status()
    assert (status["lastRun"]["job"], status["lastScheduleTime"]) == (job_at("09:00"), "2026-11-23T09:00:00Z")
    assert hourly.kube.job_names == [job_at("09:00")]


async def test_a_job_that_the_store_does_not_show_yet_is_adopted_by_its_name(hourly: World) -> None:
    await hourly.look()
    hourly.clock.set("09:00")
    await hourly.see()
    hourly.kube.put_job(job_body(job_at("09:00"), uid="made before"))
    await hourly.reconciler.reconcile(HOURLY)
    assert [run["uid"] for run in hourly.kube.status()["active"]] == ["made before"]
    assert "UnexpectedJob" not in hourly.kube.reasons


async def test_after_a_conflict_it_reads_again_and_decides_again(hourly: World) -> None:
    await hourly.look()
    hourly.clock.set("08:45")
    await hourly.see()
    hourly.kube.apply(schedule_body(suspend=True))
    hourly.store.put_job(job_body("hourly-x", uid="something to write"))
    await hourly.reconciler.reconcile(HOURLY)
    assert hourly.kube.status()["observedGeneration"] == 2
    assert "nextScheduleTime" not in hourly.kube.status(), "decided on the edited spec"


async def test_a_conflict_on_the_write_after_the_start_starts_nothing_twice(hourly: World) -> None:
    await hourly.look()
    hourly.kube.before["replace_status"] = lambda: hourly.kube.annotate(other="x")
    await hourly.look("09:00")
    assert hourly.kube.writes.count("create_job") == 1
    assert hourly.kube.status()["lastScheduleTime"] == "2026-11-23T09:00:00Z"


async def test_somebody_who_changes_the_object_all_the_time_does_not_hold_the_others_up(hourly: World) -> None:
    def again() -> None:
        hourly.kube.annotate(other="x")
        hourly.kube.before["replace_status"] = again

    hourly.kube.before["replace_status"] = again
    await hourly.look()
    assert hourly.wake == at("08:30:02")
    assert hourly.kube.writes.count("replace_status") < 20


async def test_a_run_is_told_though_the_clock_that_ends_are_told_by_was_ahead_for_the_one_before(hourly: World) -> None:
    """As where controller managers follow each other on nodes whose clocks differ."""
    await hourly.look()
    await hourly.look("09:00")
    hourly.kube.api_clock = Clock("09:20")
    hourly.kube.succeed(job_at("09:00"))
    hourly.kube.api_clock = hourly.clock
    await hourly.look("09:01")
    hourly.kube.annotate(requestedAt="now")
    await hourly.look("09:02")
    by_hand = manual_job_name("hourly", "now")
    hourly.clock.set("09:03")
    hourly.kube.succeed(by_hand)
    await hourly.look()
    assert hourly.kube.status()["lastRun"]["job"] == by_hand
    assert hourly.kube.reasons.count("RunSucceeded") == 2
    assert not await hourly.look("09:04"), "each is told once"


async def test_each_run_is_told_though_the_clock_that_jobs_are_created_by_was_ahead_for_one(world: World) -> None:
    world.kube.apply(schedule_body(schedule="*/5 * * * *"))
    await world.look()
    for minute in (0, 5, 10):
        slot = f"09:{minute:02}"
        world.kube.api_clock = Clock("09:20") if minute == 0 else world.clock
        await world.look(slot)
        world.kube.api_clock = world.clock
        world.kube.make_ready(job_at(slot))
        await world.look()
        world.clock.advance(2)
        world.kube.succeed(job_at(slot))
        await world.look()
        assert world.kube.status()["lastRun"]["job"] == job_at(slot)
        if minute == 0:
            continue
        by_hand = manual_job_name("hourly", slot)
        world.kube.annotate(requestedAt=slot)
        await world.look()
        world.kube.make_ready(by_hand)
        await world.look()
        world.clock.advance(2)
        world.kube.succeed(by_hand)
        await world.look()
        assert world.kube.status()["lastRun"]["job"] == by_hand
    assert world.kube.reasons.count("RunSucceeded") == 5


async def test_a_foreign_job_of_the_slots_name_is_told_once_and_left_alone(hourly: World) -> None:
    await hourly.look()
    hourly.kube.put_job(job_body(job_at("09:00"), uid="foreign", owner="somebody else"))
    await hourly.look("09:00")
    assert hourly.kube.reasons == ["UnexpectedJob"]
    status = hourly.kube.status()
    assert (status["lastScheduleTime"], status["nextScheduleTime"]) == ("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z")
    assert status["active"] == []
    assert hourly.wake == at("10:00")
    assert not await hourly.look("09:01")
    hourly.restart()
    await hourly.look("09:02")
    assert hourly.kube.reasons == ["UnexpectedJob"]
    await hourly.look("10:00")
    assert hourly.kube.job_names == [job_at("09:00"), job_at("10:00")]


async def test_an_immediate_run_waits_for_the_job_of_the_schedule_that_was_there_before(world: World) -> None:
    """`kubectl replace --force`, or delete and apply: the garbage collector takes the old one's Job a moment later."""
    world.kube.apply(schedule_body(immediate=True))
    await world.look("08:30")
    [job] = world.kube.job_names
    world.kube.remove_schedule()
    await world.look("08:30:05")
    body = schedule_body(immediate=True)
    body["metadata"] |= {"uid": "u2", "creationTimestamp": "2026-11-23T08:30:10Z"}
    world.kube.apply(body)
    with pytest.raises(CreateRefusedError, match="is still there, of the schedule of this name that was deleted"):
        await world.look("08:30:11")
    [progressing] = [c for c in world.kube.status()["conditions"] if c["type"] == "Progressing"]
    assert f"its Job cannot be created: Job {job} is still there" in progressing["message"]
    world.kube.remove_job(job)
    await world.look("08:30:12")
    assert [run["name"] for run in world.kube.status()["active"]] == [job]
    assert "UnexpectedJob" not in world.kube.reasons


async def test_a_slot_missed_before_one_whose_name_is_taken_is_still_told(hourly: World) -> None:
    await hourly.look()
    hourly.kube.put_job(job_body(job_at("10:00"), uid="foreign", owner="somebody else"))
    await hourly.look("10:00")
    assert sorted(hourly.kube.reasons) == ["MissSchedule", "UnexpectedJob"]


async def test_slots_missed_before_a_start_are_told_though_somebody_changed_the_object_meanwhile(hourly: World) -> None:
    await hourly.look()
    hourly.kube.before["create_job"] = lambda: hourly.kube.annotate(other="x")
    await hourly.look("11:00")
    assert hourly.kube.job_names == [job_at("11:00")]
    assert hourly.kube.status()["lastMissedTime"] == "2026-11-23T10:00:00Z"
    assert hourly.kube.reasons == ["MissSchedule", "SuccessfulCreate"]


async def test_a_refused_creation_is_told_raised_and_succeeds_later(hourly: World) -> None:
    await hourly.look()
    hourly.kube.refuse["create_job"] = refusal(403, "exceeded quota: jobs")
    for time in ("09:00", "09:00:01"):
        with pytest.raises(CreateRefusedError, match="exceeded quota: jobs"):
            await hourly.look(time)
    assert hourly.kube.reasons == ["FailedCreate"]
    assert "lastScheduleTime" not in hourly.kube.status()
    del hourly.kube.refuse["create_job"]
    await hourly.look("09:00:03")
    assert hourly.kube.job_names == [job_at("09:00")]
    assert hourly.kube.reasons == ["FailedCreate", "SuccessfulCreate"]


async def test_a_refused_run_by_hand_is_told_once_however_often_it_is_tried(hourly: World) -> None:
    hourly.kube.annotate(requestedAt="now")
    hourly.kube.refuse["create_job"] = refusal(403, "exceeded quota: jobs")
    for time in ("08:31", "08:32", "08:33"):
        with pytest.raises(CreateRefusedError):
            await hourly.look(time)
    assert hourly.kube.reasons == ["FailedCreate"]


async def test_a_refusal_of_any_length_is_told_in_the_status(hourly: World) -> None:
    """An admission webhook may answer what it likes; a condition's message has a limit."""
    hourly.kube.refuse["create_job"] = refusal(403, "denied: " + "x" * 100_000)
    with pytest.raises(CreateRefusedError):
        await hourly.look("09:00")
    [progressing] = [each for each in hourly.kube.status()["conditions"] if each["type"] == "Progressing"]
    assert progressing["message"].startswith("A run is due, and its Job cannot be created: denied: xxx")
    assert len(progressing["message"]) < 1000


async def test_what_a_pod_has_left_behind_is_one_line_of_the_log(
    hourly: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may make pods may have them say anything, a line that looks like the controller's own too."""
    await hourly.look()
    await hourly.look("09:00")
    told = report().model_copy(update={"message": "All is written.\n2026-11-23 CRITICAL forged"})
    hourly.kube.end_job(job_at("09:00"), write_termination_message(told))
    with caplog.at_level(logging.INFO):
        await hourly.look("09:03")
    assert "Succeeded: All is written. 2026-11-23 CRITICAL forged" in caplog.text
    assert not [record for record in caplog.records if "\n" in record.getMessage()]


async def is_at_rest(world: World) -> bool:
    """Tell whether neither this controller nor one that starts anew writes anything more, a second later."""
    world.clock.advance(1)
    again = await world.look()
    world.restart()
    anew = await world.look()
    return not again and set(anew) <= {"create_event"}


async def test_at_rest_nothing_is_written_while_a_run_is_active(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    hourly.kube.make_ready(job_at("09:00"))
    await hourly.look("09:00:10")
    assert await is_at_rest(hourly)


async def test_at_rest_nothing_is_written_while_idle(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03:07")
    assert await is_at_rest(hourly)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="new"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"schedule": "0 0 31 2 *"}, id="a schedule that never fires"),
        pytest.param({"timeZone": "Mars/Olympus"}, id="an unknown zone"),
    ],
)
async def test_at_rest_nothing_is_written_when_nothing_runs(world: World, spec: JsonObject) -> None:
    world.kube.apply(schedule_body(**spec))
    await world.look("08:45:20")
    assert await is_at_rest(world)


async def test_at_rest_nothing_is_written_while_forbid_holds_a_slot(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    await hourly.look("10:00")
    assert "JobAlreadyActive" in hourly.kube.reasons
    assert await is_at_rest(hourly)
    assert hourly.kube.job_names == [job_at("09:00")]


async def test_a_held_slot_starts_when_the_way_is_free(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    await hourly.look("10:00")
    hourly.clock.set("10:10")
    hourly.kube.succeed(job_at("09:00"))
    await hourly.look()
    assert hourly.kube.job_names == [job_at("09:00"), job_at("10:00")]
    assert hourly.kube.status()["lastRun"]["job"] == job_at("09:00")


async def test_a_job_is_deleted_only_after_its_end_is_in_the_status(world: World) -> None:
    world.kube.apply(schedule_body(successfulJobsHistoryLimit=0))
    await world.look()
    await world.look("09:00")
    world.kube.succeed(job_at("09:00"))
    world.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await world.look("09:03")
    assert world.kube.job_names == [job_at("09:00")]
    del world.kube.refuse["replace_status"]
    world.kube.writes.clear()
    await world.look()
    assert world.kube.job_names == []
    assert world.kube.writes.index("replace_status") < world.kube.writes.index("delete_job")
    assert world.kube.status()["lastRun"]["result"] == "Succeeded"
    assert await is_at_rest(world)


async def test_a_deletion_that_is_refused_is_told_and_tried_again(world: World) -> None:
    world.kube.apply(schedule_body(successfulJobsHistoryLimit=0))
    await world.look()
    await world.look("09:00")
    world.kube.succeed(job_at("09:00"))
    world.kube.refuse["delete_job"] = refusal(403, "not allowed")
    await world.look("09:03")
    assert world.kube.reasons[-1] == "FailedDelete"
    assert world.wake == at("09:04"), "long before the next slot"
    del world.kube.refuse["delete_job"]
    await world.look()
    assert world.kube.job_names == []


async def test_an_active_job_that_somebody_deleted_is_told_and_no_longer_active(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    hourly.kube.remove_job(job_at("09:00"))
    await hourly.look("09:05")
    assert hourly.kube.reasons == ["SuccessfulCreate", "MissingJob"]
    assert hourly.kube.status()["activeCount"] == 0
    assert hourly.kube.job_names == [], "a slot runs at most once"
    assert await is_at_rest(hourly)


async def test_a_deleted_schedule_is_left_alone(hourly: World) -> None:
    await hourly.look()
    hourly.kube.remove_schedule()
    assert not await hourly.look("09:00")
    assert hourly.wake is None


async def test_a_schedule_deleted_while_it_is_looked_at_is_forgotten(hourly: World) -> None:
    hourly.kube.before["replace_status"] = hourly.kube.remove_schedule
    await hourly.look()
    assert hourly.store.schedule(HOURLY) is None
    assert hourly.wake is None


async def test_a_schedule_that_is_being_deleted_starts_nothing(hourly: World) -> None:
    body = schedule_body()
    body["metadata"]["deletionTimestamp"] = "2026-11-23T08:40:00Z"
    hourly.kube.apply(body)
    assert set(await hourly.look("09:00")) == {"replace_status"}
    assert await is_at_rest(hourly)


async def test_data_become_stale_by_the_clock_alone_and_it_is_told_once(world: World) -> None:
    world.kube.apply(schedule_body(schedule="0 0 * * *", staleAfter="2h"))
    world.kube.annotate(requestedAt="now")
    await world.look()
    name = manual_job_name("hourly", "now")
    world.kube.succeed(name, data=at("08:30"))
    await world.look("08:33")
    assert world.condition("Fresh") == ("True", "UpToDate")
    assert world.wake == at("10:30"), "when the data become stale, long before the next slot"
    assert not await world.look("10:29:59")
    assert await world.look("10:30") == {"replace_status": 1, "create_event": 1}
    assert world.condition("Fresh") == ("False", "TooOld")
    assert world.kube.reasons == ["SuccessfulCreate", "RunSucceeded", "DataFresh", "DataStale"]
    assert await is_at_rest(world)
    assert world.kube.reasons.count("DataStale") == 1


async def test_a_request_is_handled_once_also_by_a_controller_that_starts_anew(hourly: World) -> None:
    await hourly.look()
    hourly.kube.annotate(requestedAt="now")
    hourly.kube.refuse["replace_status"] = refusal(500)
    with pytest.raises(ApiException):
        await hourly.look("08:40")
    del hourly.kube.refuse["replace_status"]
    hourly.restart()
    await hourly.look("08:41")
    assert hourly.kube.job_names == [manual_job_name("hourly", "now")]
    assert hourly.kube.status()["lastHandledRequest"] == "now"
    assert "lastScheduleTime" not in hourly.kube.status()


async def test_runs_that_ended_while_the_controller_was_away_are_all_told(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    hourly.clock.set("09:03")
    hourly.kube.end_job(job_at("09:00"), "", kind="Failed")
    hourly.clock.set("10:00")
    hourly.kube.put_job(job_body(job_at("10:00"), slot="10:00", uid="j10"))
    hourly.clock.set("10:03")
    hourly.kube.succeed(job_at("10:00"))
    hourly.restart()
    await hourly.look("10:05")
    assert hourly.kube.reasons.count("RunFailed") == 1
    assert hourly.kube.reasons.count("RunSucceeded") == 1
    status = hourly.kube.status()
    assert (status["lastRun"]["job"], status["consecutiveFailures"]) == (job_at("10:00"), 0)
    assert status["lastFailureTime"] == "2026-11-23T09:03:00Z"


async def test_an_event_that_cannot_be_sent_holds_no_run_up(hourly: World, caplog: pytest.LogCaptureFixture) -> None:
    await hourly.look()
    hourly.kube.refuse["create_event"] = refusal(403, "events are forbidden")
    await hourly.look("09:00")
    assert hourly.kube.job_names == [job_at("09:00")]
    assert "event SuccessfulCreate of default/hourly: events are forbidden" in caplog.text


class TestWhileOthersAreDue:
    """Under pressure the Job goes first, and what there is to tell of it later."""

    async def test_the_job_is_created_at_once_and_told_in_a_later_pass(self, world: World) -> None:
        world.kube.apply(schedule_body())
        await world.look()
        world.reconciler._is_pressed = lambda: True
        assert await world.look("09:00") == {"create_job": 1}
        assert await world.look("09:00:02") == {"replace_status": 1, "create_event": 1}
        assert world.kube.reasons == ["SuccessfulCreate"]
        assert world.kube.status()["lastScheduleTime"] == "2026-11-23T09:00:00Z"
        assert world.kube.status()["nextScheduleTime"] == "2026-11-23T10:00:00Z"
        assert await world.look("09:00:03") == {}

    async def test_the_status_ends_as_it_does_without_pressure(self) -> None:
        told = []
        for pressed in (False, True):
            world = World()
            world.kube.apply(schedule_body())
            await world.look()
            world.reconciler._is_pressed = partial(bool, pressed)
            await world.look("09:00")
            await world.look("09:00")
            told.append((world.kube.status(), world.kube.reasons))
        assert told[0] == told[1]

    async def test_a_slot_that_was_missed_before_is_told_first(self, world: World) -> None:
        world.kube.apply(schedule_body())
        await world.look()
        world.reconciler._is_pressed = lambda: True
        await world.look("11:00")
        await world.look("11:00:01")
        assert world.kube.status()["lastMissedTime"] == "2026-11-23T10:00:00Z"
        assert world.kube.reasons == ["MissSchedule", "SuccessfulCreate"]

    async def test_a_controller_that_dies_in_between_leaves_a_job_that_the_next_tells_of(self, world: World) -> None:
        world.kube.apply(schedule_body())
        await world.look()
        world.reconciler._is_pressed = lambda: True
        await world.look("09:00")
        world.restart()
        await world.look("09:00:10")
        assert world.kube.job_names == [job_at("09:00")]
        assert world.kube.status()["lastScheduleTime"] == "2026-11-23T09:00:00Z"
        assert world.kube.reasons == ["SuccessfulCreate"]

    async def test_the_next_tells_of_it_also_where_its_run_has_ended_meanwhile(self, world: World) -> None:
        world.kube.apply(schedule_body())
        await world.look()
        world.reconciler._is_pressed = lambda: True
        await world.look("09:00")
        world.kube.succeed(job_at("09:00"))
        world.restart()
        await world.look("09:03")
        assert world.kube.reasons[:2] == ["SuccessfulCreate", "RunSucceeded"]
        world.restart()
        await world.look("09:04")
        assert world.kube.reasons.count("SuccessfulCreate") == 1
