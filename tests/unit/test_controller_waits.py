"""A run whose pod does not run: told within a minute why, at few looks, and none where it runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.kube import Clock, FakeKube, at, job_body, refusal, report, schedule_body
from tests.unit.test_controller_pods import UNSCHEDULABLE, condition, died, disrupted, pod, waiting
from tests.unit.test_controller_reconcile import HOURLY, World, is_at_rest, job_at
from trending.controller.store import Key
from trending.controller.waits import Waits
from trending.report import write_termination_message
from trending.schedule.observed import Job

JOB = job_at("09:00")
NO_ROOM = pod(UNSCHEDULABLE, phase="Pending")


@pytest.fixture
async def world() -> World:
    """A run was started at nine, and its pod does not run."""
    world = World()
    world.kube.apply(schedule_body())
    await world.look()
    await world.look("09:00")
    world.kube.show(JOB, active=1, ready=0)
    await world.look("09:00:01")
    return world


def message(world: World) -> str:
    [found] = [c for c in world.kube.status()["conditions"] if c["type"] == "Progressing"]
    assert (found["status"], found["reason"]) == ("True", "WaitingForPod")
    return str(found["message"])


async def pass_by(world: World, until: str) -> None:
    """Have the controller look whenever it said that it would, until then."""
    while isinstance(world.wake, type(at(until))) and world.wake <= at(until):
        world.clock.now = world.wake
        await world.look()
    await world.look(until)


async def test_why_a_pod_does_not_run_is_told_ten_seconds_after_the_start(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    assert world.wake == at("09:00:10")
    assert not await world.look("09:00:09")
    assert await world.look("09:00:10") == {"replace_status": 1}
    assert message(world) == (
        f"Job {JOB} waits for its pod to run: no node can take its pod: 0/3 nodes are available: "
        "1 Insufficient memory, 2 node(s) didn't match Pod's node affinity/selector."
    )
    assert await is_at_rest(world)


async def test_a_pod_that_waits_for_hours_is_looked_at_ever_more_seldom_but_within_a_minute(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    await pass_by(world, "09:10")
    assert world.kube.looks[:4] == ["pods at 09:00:10", "pods at 09:00:20", "pods at 09:00:40", "pods at 09:01:20"]
    assert len(world.kube.looks) == 15
    world.kube.show_pod(JOB, waiting("ErrImagePull", "not found"))
    before = world.clock.now
    world.kube.writes.clear()
    assert world.wake is not None
    await pass_by(world, "09:10:45")
    assert (world.clock.now - before).total_seconds() <= 60
    assert message(world).endswith("its image registry.example/trending:2 cannot be pulled: not found.")
    assert world.kube.writes == ["replace_status"]


async def test_a_run_whose_pod_runs_costs_no_look(world: World) -> None:
    world.kube.make_ready(JOB)
    await world.look("09:00:03")
    assert world.wake == at("10:00")
    await pass_by(world, "09:30")
    assert world.kube.looks == []


async def test_what_kept_it_is_forgotten_once_it_runs(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    await world.look("09:00:10")
    world.kube.make_ready(JOB)
    await world.look("09:05")
    assert world.condition("Progressing") == ("True", "RunActive")
    assert world.wake == at("10:00")


async def test_a_pod_that_is_only_slow_is_not_written_about(world: World) -> None:
    world.kube.show_pod(JOB, waiting("ContainerCreating"))
    assert not await world.look("09:00:10")
    assert message(world) == f"Job {JOB} waits for its pod to run."


async def test_a_pod_of_which_only_events_say_what_is_wrong_is_told_by_them(world: World) -> None:
    world.kube.show_pod(JOB, waiting("ContainerCreating"))
    world.kube.warn("p1", "FailedMount", 'MountVolume.SetUp failed for volume "trending" : object not registered')
    await world.look("09:00:10")
    assert message(world).endswith(
        'its pod does not start: MountVolume.SetUp failed for volume "trending" : object not registered.'
    )


async def test_a_warning_that_is_over_is_not_told(world: World) -> None:
    world.kube.warn("p1", "FailedMount", "not yet")
    await world.look("09:05")
    world.kube.show_pod(JOB, waiting("ContainerCreating"))
    world.kube.warn("p1", "FailedScheduling", "0/1 nodes are available")
    await world.look("09:05:02")
    await world.look("09:06")
    assert message(world) == f"Job {JOB} waits for its pod to run."
    world.kube.show_pod(JOB, pod(condition("Ready", "True"), phase="Running", state={"running": {}}))
    world.kube.warn("p1", "FailedMount", "again")
    looks = len(world.kube.looks)
    await world.look("09:07")
    assert message(world) == f"Job {JOB} waits for its pod to run."
    assert [look.split()[0] for look in world.kube.looks[looks:]] == ["pods"], "the Job is about to say that it runs"


async def test_a_job_for_which_no_pod_may_be_made_is_told_with_the_quota(world: World) -> None:
    uid = (await world.kube.get_job("default", JOB))["metadata"]["uid"]
    world.kube.warn(
        uid,
        "FailedCreate",
        'Error creating: pods "x" is forbidden: exceeded quota: small, requested: pods=1, limited: pods=0',
    )
    await world.look("09:00:10")
    assert message(world).endswith(
        "no pod may be made for it: exceeded quota: small, requested: pods=1, limited: pods=0."
    )


async def test_an_attempt_that_follows_another_tells_how_that_ended(world: World) -> None:
    world.kube.make_ready(JOB)
    await world.look("09:00:03")
    world.kube.show(JOB, failed=1, ready=0)
    world.kube.show_pod(JOB, died("OOMKilled", 137))
    await world.look("09:02")
    assert message(world) == f"Job {JOB} waits for its pod to run."
    await world.look("09:02:10")
    assert message(world).endswith(
        "another attempt follows the last one: its container was killed for using up its 256Mi of memory "
        "(OOMKilled, exit code 137): raise spec.template.spec.resources.limits.memory."
    )


async def test_an_attempt_that_fails_at_once_is_looked_at_soon_however_long_the_one_before_waited(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    await pass_by(world, "09:10")
    world.kube.show(JOB, failed=1, ready=0)
    world.kube.show_pod(JOB, died("StartError", 128, message="no such file"))
    await world.look("09:10:01")
    assert world.wake == at("09:10:11")
    await world.look("09:10:11")
    assert message(world).endswith("its container could not be started (StartError, exit code 128): no such file.")


async def run_until(world: World, clock: str) -> None:
    """Have the run's pod run until then."""
    world.kube.make_ready(JOB)
    await world.look("09:00:03")
    world.clock.set(clock)


def running_message(world: World) -> str:
    [found] = [c for c in world.kube.status()["conditions"] if c["type"] == "Progressing"]
    assert (found["status"], found["reason"]) == ("True", "RunActive")
    return str(found["message"])


EVICTED = "it was evicted, as when a node is drained"


async def evict(world: World, clock: str) -> None:
    """Have the run's pod evicted: it is there for some seconds, and then another one, which runs."""
    world.kube.show(JOB, ready=0, terminating=1)
    leaving = pod(disrupted("EvictionByEvictionAPI"), phase="Running", state={"running": {}})
    world.kube.show_pod(JOB, leaving)
    await world.look(clock)


async def test_a_pod_that_is_evicted_while_it_runs_is_looked_at_before_it_is_gone(world: World) -> None:
    await run_until(world, "09:20")
    await evict(world, "09:20")
    assert world.kube.looks == ["pods at 09:20:00"]
    assert message(world).endswith(f"its pod is being taken away: {EVICTED}; another one follows once it has ended.")


async def test_how_the_pod_before_ended_is_told_until_the_run_ends_in_few_writes(world: World) -> None:
    await run_until(world, "09:20")
    await evict(world, "09:20")
    world.kube.writes.clear()
    world.kube.show_pod(JOB, pod(condition("Ready", "True"), phase="Running", state={"running": {}}))
    world.kube.show(JOB, active=1, ready=0)
    await world.look("09:20:02")
    world.kube.show(JOB, active=1, ready=1)
    await world.look("09:20:04")
    told = f"Job {JOB} is running again: its pod was taken away: {EVICTED}."
    assert running_message(world) == told
    assert world.kube.writes == ["replace_status"]
    await pass_by(world, "09:40")
    assert (running_message(world), world.kube.writes, len(world.kube.looks)) == (told, ["replace_status"], 2)
    world.restart()
    await world.look("09:41")
    assert (running_message(world), world.kube.writes) == (told, ["replace_status"])
    world.kube.succeed(JOB)
    await world.look("09:42")
    assert world.condition("Progressing") == ("False", "Idle")


async def test_while_the_pod_that_follows_waits_in_its_turn_both_are_told_in_their_time(world: World) -> None:
    await run_until(world, "09:20")
    await evict(world, "09:20")
    world.kube.show(JOB, active=1, ready=0)
    world.kube.show_pod(JOB, NO_ROOM)
    await world.look("09:20:02")
    await pass_by(world, "09:21")
    assert "no node can take its pod" in message(world)
    world.kube.show_pod(JOB, waiting("ContainerCreating"))
    await pass_by(world, "09:22")
    assert message(world).endswith(f"another attempt follows the last one: its pod was taken away: {EVICTED}.")


def fail_pod(world: World, *conditions: Any, created: str = "09:00", deleted: bool = True, **status: Any) -> None:
    """Have the watch tell of a pod of the run that has failed, stopped by SIGTERM as runs are."""
    uid = world.kube.uid_of_job(JOB)
    told = report(JOB).model_copy(update={"result": "Failed", "message": "the run was stopped by SIGTERM"})
    body = died("Error", 1, *conditions, message=write_termination_message(told), **status)
    body["metadata"] |= {
        "namespace": "default",
        "labels": {"trending.dev/schedule": "hourly", "batch.kubernetes.io/controller-uid": uid},
        "creationTimestamp": f"2026-11-23T{created}:00Z",
    }
    if deleted:
        body["metadata"]["deletionTimestamp"] = "2026-11-23T09:20:30Z"
    world.reconciler.pod_failed(body)


async def follow(world: World, *steps: tuple[str, dict[str, Any]]) -> None:
    """Have the Job's status go on in these steps, as clusters were seen to write it."""
    for clock, status in steps:
        world.kube.show(JOB, **{"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}, **status})
        await world.look(clock)


ANOTHER_RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("09:20:11", {"active": 1}),
    ("09:20:12", {"active": 1, "ready": 1}),
)


async def test_a_pod_that_its_node_evicted_is_told_though_no_watch_told_of_it(world: World) -> None:
    """The kubelet leaves it where it is, and the Job controller counts it as failed."""
    await run_until(world, "09:20")
    why = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "
    full = pod(phase="Failed", reason="Evicted", message=why, state={"terminated": {}})
    world.kube.show_pod(JOB, full)
    uncounted = {"uncountedTerminatedPods": {"failed": ["p1"]}}
    await follow(world, ("09:20", uncounted), ("09:20:01", {"failed": 1}), ("09:20:10", {"active": 1, "failed": 1}))
    assert world.kube.looks == []
    world.kube.show_pod(JOB, full, pod(condition("Ready", "True"), phase="Running", state={"running": {}}))
    world.kube.writes.clear()
    await follow(world, ("09:20:11", {"active": 1, "ready": 1, "failed": 1}))
    assert (world.kube.looks, world.kube.writes) == (["pods at 09:20:11"], ["replace_status"])
    assert running_message(world).endswith(
        "is running again: its pod was taken away: node n1 evicted it: "
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki."
    )


async def test_a_pod_that_is_evicted_and_gone_within_a_second_is_told_by_the_watch_alone(world: World) -> None:
    """The Job's status never tells that it was terminating, nor counts it."""
    await run_until(world, "09:20")
    world.kube.writes.clear()
    fail_pod(world, disrupted("EvictionByEvictionAPI"))
    await world.look("09:20")
    assert world.kube.writes == [], "the Job's pod is ready yet, by its status"
    await follow(world, ("09:20:01", {}))
    assert message(world).endswith(f"another attempt follows the last one: its pod was taken away: {EVICTED}.")
    await follow(world, *ANOTHER_RUNS)
    assert running_message(world) == f"Job {JOB} is running again: its pod was taken away: {EVICTED}."
    await pass_by(world, "09:40")
    assert world.kube.writes == ["replace_status"] * 2
    assert world.kube.looks == ["pods at 09:20:11", "warnings at 09:20:11"], "for what the next one waits"


async def test_a_pod_that_somebody_deleted_is_told_though_an_older_one_that_failed_is_there_yet(world: World) -> None:
    world.kube.show_pod(JOB, died("Error", 137))
    world.kube.show(JOB, active=1, ready=1, failed=1)
    await world.look("09:10")
    assert "ended without a report (Error, exit code 137)" in running_message(world)
    fail_pod(world, created="09:05")
    fail_pod(world, deleted=False)
    counted = {"failed": 2}
    await follow(world, ("09:20", {"failed": 1, "uncountedTerminatedPods": {"failed": ["p2"]}}), ("09:20:01", counted))
    assert message(world).endswith("another attempt follows the last one: somebody deleted its pod.")
    await follow(world, *((clock, counted | status) for clock, status in ANOTHER_RUNS))
    assert running_message(world) == f"Job {JOB} is running again: somebody deleted its pod."


async def test_what_the_watch_tells_after_the_job_does_is_told_with_the_next_pod(world: World) -> None:
    await run_until(world, "09:20")
    await follow(world, ("09:20", {"failed": 1}))
    fail_pod(world)
    await follow(world, *((clock, {"failed": 1} | status) for clock, status in ANOTHER_RUNS[1:]))
    assert running_message(world) == f"Job {JOB} is running again: somebody deleted its pod."
    assert world.kube.looks == []


async def test_the_last_attempt_that_fails_is_no_attempt_that_another_follows(world: World) -> None:
    await run_until(world, "09:20")
    world.kube.writes.clear()
    fail_pod(world, deleted=False)
    await follow(world, ("09:20", {"uncountedTerminatedPods": {"failed": ["p1"]}}))
    decided = [{"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}]
    await follow(world, ("09:20:01", {"failed": 1, "conditions": decided}))
    assert (world.kube.writes, world.kube.looks) == ([], [])


async def test_failed_pods_that_are_of_no_run_that_is_known_are_passed_over(world: World) -> None:
    pod_of_none = pod(phase="Failed")
    pod_of_none["metadata"]["namespace"] = "default"
    world.reconciler.pod_failed(pod_of_none)
    world.kube.remove_job(JOB)
    await world.look("09:10")
    assert world.condition("Progressing") == ("False", "Idle")


async def test_a_run_that_ends_well_costs_no_look_at_pods_that_wait(world: World) -> None:
    await run_until(world, "09:20")
    world.kube.show(JOB, active=1, ready=0)
    await world.look("09:20")
    world.kube.show(JOB, active=0, ready=0, uncountedTerminatedPods={"succeeded": ["p1"]})
    await world.look("09:20:01")
    await world.look("09:20:21")
    assert world.kube.looks == [], "the Job controller takes its time"
    world.kube.succeed(JOB)
    await world.look("09:20:22")
    assert world.kube.looks == ["pods at 09:20:22"], "for its report"


async def test_a_pod_that_ended_well_is_no_attempt_that_another_follows(world: World) -> None:
    await run_until(world, "09:20")
    world.kube.show(JOB, active=1, ready=0)
    world.kube.show_pod(
        JOB,
        pod(phase="Succeeded", state={"terminated": {"exitCode": 0, "message": write_termination_message(report())}}),
    )
    world.kube.writes.clear()
    await world.look("09:20")
    await world.look("09:20:10")
    assert (world.kube.looks, world.kube.writes) == (["pods at 09:20:10"], [])


async def test_a_pod_that_is_deleted_by_hand_is_told_in_few_writes_none_of_which_says_that_another_runs_before_it_does(
    world: World,
) -> None:
    await run_until(world, "09:20")
    world.kube.writes.clear()
    leaving = pod(condition("Ready", "True"), phase="Running", state={"running": {}})
    world.kube.show_pod(
        JOB, {**leaving, "metadata": leaving["metadata"] | {"deletionTimestamp": "2026-11-23T09:20:30Z"}}
    )
    world.kube.show(JOB, active=1, ready=0, terminating=1)
    await world.look("09:20")
    assert message(world).endswith("waits for its pod to run: its pod is being deleted by somebody.")
    world.kube.show_pod(JOB)
    world.kube.show(JOB, active=0, ready=0, terminating=0, uncountedTerminatedPods={"failed": ["p1"]})
    await world.look("09:20:03")
    assert message(world).endswith("waits for its pod to run: its pod is being deleted by somebody.")
    world.kube.show(JOB, active=1, ready=0, failed=1)
    await world.look("09:20:04")
    assert message(world).endswith("another attempt follows the last one: somebody deleted its pod.")
    world.kube.show(JOB, active=1, ready=1, failed=1)
    await world.look("09:20:10")
    assert running_message(world).endswith("is running again: somebody deleted its pod.")
    assert world.kube.writes == ["replace_status"] * 3


async def test_how_the_last_attempts_pod_went_is_told_though_it_is_gone(world: World) -> None:
    await run_until(world, "09:20")
    lost = died("Error", 137)
    uid = world.kube.uid_of_job(JOB)
    lost["metadata"] |= {
        "namespace": "default",
        "creationTimestamp": "2026-11-23T09:00:01Z",
        "deletionTimestamp": "2026-11-23T09:20:30Z",
        "labels": {"trending.dev/schedule": "hourly", "batch.kubernetes.io/controller-uid": uid},
    }
    world.reconciler.pod_failed(lost)
    world.kube.end_job(JOB, None, kind="Failed", reason="BackoffLimitExceeded")
    world.kube.before["replace_status"] = lambda: world.kube.annotate(other="x")  # it has to be written once more
    await world.look("09:20:03")
    last = world.kube.status()["lastRun"]
    assert last["message"] == "The run failed and somebody deleted its pod; BackoffLimitExceeded"
    assert not world.reconciler._waits._runs


async def test_a_run_that_has_ended_well_beside_another_container_that_goes_on_is_no_failed_attempt(
    world: World,
) -> None:
    await run_until(world, "09:20")
    body = pod(phase="Running", state={"terminated": {"exitCode": 0, "message": write_termination_message(report())}})
    body["status"]["containerStatuses"].append({"name": "proxy", "state": {"running": {}}})
    world.kube.show_pod(JOB, body)
    world.kube.show(JOB, active=1, ready=0)
    await world.look("09:20")
    await world.look("09:20:10")
    assert message(world).endswith("it has run to its end, and container proxy of the pod goes on.")
    assert world.reconciler._waits.seen(HOURLY).before is None


async def test_a_failed_attempt_is_told_while_the_next_one_runs_also_by_a_controller_that_starts_then(
    world: World,
) -> None:
    world.restart()
    world.kube.show_pod(
        JOB, died("Error", 137), pod(condition("Ready", "True"), phase="Running", state={"running": {}})
    )
    world.kube.show(JOB, active=1, ready=1, failed=1)
    await world.look("09:05")
    told = f"Job {JOB} is running again: its container ended without a report (Error, exit code 137)."
    assert running_message(world) == told
    await world.look("09:06")
    assert world.kube.looks == ["pods at 09:05:00"]


async def test_a_thousand_runs_that_are_taken_up_again_are_looked_at_one_by_one() -> None:
    clock = Clock("09:00")
    kube = FakeKube(clock)
    waits = Waits(kube)
    keys = [Key("default", f"hourly-{number}") for number in range(1000)]
    status = {"active": 1, "ready": 1, "failed": 1}
    jobs = {key: Job.from_object({**job_body(f"{key.name}-1", uid=key.name), "status": status}) for key in keys}
    looks: dict[Key, Any] = dict.fromkeys(keys, clock())
    while any(looks.values()):
        clock.now = min(filter(None, looks.values()))
        before = len(kube.looks)
        for key in [key for key, look in looks.items() if look and look <= clock.now]:
            looks[key] = await waits.look(key, [jobs[key]], clock())
        assert len(kube.looks) - before <= 2, "a list of pods and one of events"
    assert len([look for look in kube.looks if look.startswith("pods")]) == 1000
    assert clock.now <= at("09:01")


async def test_a_job_that_deletes_its_pods_itself_is_not_looked_at(world: World) -> None:
    await run_until(world, "09:20")
    failing = [{"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}]
    world.kube.show(JOB, active=0, ready=0, terminating=1, conditions=failing)
    await world.look("09:20")
    assert world.kube.looks == []


async def test_a_pod_whose_node_is_lost_while_it_runs_is_told(world: World) -> None:
    world.kube.make_ready(JOB)
    await world.look("09:00:03")
    world.kube.show(JOB, active=1, ready=0)
    world.kube.show_pod(JOB, pod(condition("Ready", "False"), phase="Running", state={"running": {}}))
    assert not await world.look("09:20"), "a pod that has just ended is not ready either"
    assert world.condition("Progressing") == ("True", "RunActive")
    await world.look("09:20:10")
    assert message(world).endswith("its pod runs on node n1, which does not answer.")


async def test_a_job_that_somebody_holds_is_told_without_a_look_at_pods(world: World) -> None:
    body = await world.kube.get_job("default", JOB)
    body["spec"]["suspend"] = True
    world.kube.put_job(body)
    await world.look("09:00:10")
    assert "the Job itself is suspended" in message(world)
    assert world.kube.looks == []


async def test_a_controller_that_starts_anew_keeps_what_was_told_until_it_has_looked(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    await world.look("09:00:10")
    told = message(world)
    world.restart()
    assert not await world.look("09:03")
    assert message(world) == told
    world.kube.show_pod(JOB, waiting("ContainerCreating"))
    await world.look("09:03:10")
    assert message(world) == f"Job {JOB} waits for its pod to run.", "it has looked, and nothing is wrong any more"


@pytest.mark.parametrize("error", [refusal(403, "not allowed"), TimeoutError(), KeyError("name")])
async def test_pods_that_cannot_be_looked_at_hold_nothing_up(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> list[dict[str, Any]]:
        raise error

    monkeypatch.setattr(world.kube, "pods_of_job", refused)
    assert not await world.look("09:00:10")
    assert world.wake == at("09:00:20")


async def test_a_run_that_its_deadline_ends_while_it_waits_says_what_for(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    await world.look("09:00:10")
    world.kube._pods.clear()
    world.clock.set("10:00")
    world.kube.end_job(JOB, None, kind="Failed", reason="DeadlineExceeded")
    await world.look()
    last = world.kube.status()["lastRun"]
    assert (last["result"], last["job"]) == ("DeadlineExceeded", JOB)
    assert "while it waited for its pod to run: no node can take its pod: 0/3 nodes" in last["message"]


async def test_a_schedule_that_is_gone_is_not_looked_at_any_more(world: World) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    world.kube.remove_schedule()
    world.kube.remove_job(JOB)
    await world.look("09:00:10")
    assert (world.wake, world.kube.looks) == (None, [])


class Thousand:
    """Runs of as many schedules, all of which wait for a node since nine."""

    def __init__(self) -> None:
        self.clock = Clock("09:00")
        self.kube = FakeKube(self.clock)
        self.waits = Waits(self.kube)
        self.keys = [Key("default", f"hourly-{number}") for number in range(1000)]
        self.looks: dict[Key, datetime | None] = {}
        self._jobs = {key: Job.from_object(job_body(f"{key.name}-1", uid=key.name)) for key in self.keys}

    async def look(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self.looks[key] = await self.waits.look(key, [self._jobs[key]], self.clock())

    async def look_at_each(self) -> int:
        """Let time pass until each has been looked at; return how many requests were made at once."""
        until, most = self.looked + len(self.keys), 0
        while self.looked < until:
            self.clock.now = max(self.clock.now, min(filter(None, self.looks.values())))
            before = len(self.kube.looks)
            await self.look([key for key, look in self.looks.items() if look and look <= self.clock.now])
            most = max(most, len(self.kube.looks) - before)
        return most

    @property
    def looked(self) -> int:
        return len([look for look in self.kube.looks if look.startswith("pods")])


async def test_a_thousand_runs_that_wait_for_a_node_are_looked_at_one_by_one_and_within_a_minute() -> None:
    runs = Thousand()
    await runs.look(runs.keys)
    assert set(runs.looks.values()) == {at("09:00:10")}
    assert await runs.look_at_each() <= 2, "a list of pods and one of events"
    assert runs.clock.now <= at("09:01")
    assert len([look for look in runs.kube.looks if look.startswith("warnings")]) <= 6, "one in five seconds"


async def test_a_clock_that_is_set_back_has_none_of_a_thousand_runs_wait_longer_nor_look_at_once() -> None:
    """The turns that were given by the time that it was are over."""
    runs = Thousand()
    await runs.look(runs.keys)
    runs.clock.set("09:00:10")
    await runs.look(runs.keys)
    runs.clock.set("08:00")
    before = len(runs.kube.looks)
    await runs.look(runs.keys)
    assert len(runs.kube.looks) - before <= 2
    assert await runs.look_at_each() <= 2
    assert runs.clock.now <= at("08:01")


@pytest.mark.parametrize("set_to", ["08:05", "08:59:50"])
async def test_a_clock_that_is_set_back_does_not_put_off_why_a_pod_does_not_run(world: World, set_to: str) -> None:
    world.kube.show_pod(JOB, NO_ROOM)
    world.clock.set(set_to)
    await world.look()
    assert "no node can take its pod" in message(world)
    assert world.wake == at(set_to) + timedelta(seconds=10)
    await pass_by(world, set_to[:3] + "59:59")
    assert len(world.kube.looks) <= (at(set_to[:3] + "59:59") - at(set_to)).total_seconds() / 45 + 3, "ever more seldom"
