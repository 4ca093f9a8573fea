"""The conditions as others read them: kubectl wait, kstatus, and Argo CD by the Lua of our documents."""

import textwrap
from typing import Any, Final

import lupa.lua51  # the version that Argo CD's interpreter speaks
import pytest
import yaml

from documents.outside import ROOT
from tests.unit.kube import at, schedule_body
from tests.unit.test_controller_pods import UNSCHEDULABLE, pod
from tests.unit.test_controller_reconcile import World, job_at
from trending.controller.kube import JsonObject

NINE: Final = job_at("09:00")


def is_met(body: JsonObject, kind: str) -> bool:
    """As `kubectl wait --for=condition` has it: one that was said of an older generation does not count."""
    generation = body["metadata"]["generation"]
    for condition in body.get("status", {}).get("conditions", []):
        if condition["type"].lower() == kind.lower() and condition.get("observedGeneration", generation) >= generation:
            return bool(condition["status"] == "True")
    return False


def kstatus(body: JsonObject) -> str:
    """As kstatus has it of a kind that it does not know."""
    metadata, status = body["metadata"], body.get("status", {})
    said = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    if said.get("Reconciling") == "True" or said.get("Ready", "True") != "True":
        return "InProgress"
    return "Failed" if said.get("Stalled") == "True" else "Current"


def argo_health(body: JsonObject) -> tuple[str, str]:
    """As Argo CD has it with the customization that our document shows."""
    text = (ROOT / "docs" / "gitops.md").read_text(encoding="utf-8")
    [block] = [part for part in text.split("```yaml\n")[1:] if "resource.customizations" in part]
    [script] = yaml.safe_load(textwrap.dedent(block.partition("```")[0]))["data"].values()
    lua: Any = lupa.lua51.LuaRuntime(unpack_returned_tuples=True)
    health = lua.execute(f"return function(obj)\n{script}\nend")(lua.table_from(body, recursive=True))
    return health["status"], health["message"]


async def seen(world: World) -> JsonObject:
    return await world.kube.get_schedule("default", "hourly")


@pytest.fixture
def world() -> World:
    world = World()
    world.kube.apply(schedule_body())
    return world


async def fail(world: World, slot: str) -> None:
    await world.look(slot)
    world.kube.end_job(job_at(slot), None, kind="Failed", reason="BackoffLimitExceeded")
    await world.look()


async def test_no_condition_has_a_name_that_tools_read_something_else_into(world: World) -> None:
    await world.look()
    await world.run("09:00", end="09:03")
    kinds = [condition["type"] for condition in (await seen(world))["status"]["conditions"]]
    assert kinds == ["Accepted", "Fresh", "Succeeded", "Progressing", "CadenceAtRisk"]


async def test_a_condition_says_of_which_generation_it_is_and_only_the_last_runs_stays_with_an_older_one(
    world: World,
) -> None:
    await world.look()
    await world.run("09:00", end="09:03")
    world.kube.apply(schedule_body(staleAfter="5h"))
    await world.look("09:10")
    body = await seen(world)
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"] == 2
    observed = {each["type"]: each["observedGeneration"] for each in body["status"]["conditions"]}
    assert observed == {"Accepted": 2, "Fresh": 2, "Succeeded": 1, "Progressing": 2, "CadenceAtRisk": 2}


async def test_a_run_that_began_before_an_edit_says_nothing_of_the_spec_after_it(world: World) -> None:
    await world.look()
    await world.look("09:00")
    world.kube.apply(schedule_body(staleAfter="5h"))
    world.clock.set("09:03")
    world.kube.succeed(NINE)
    await world.look()
    assert world.condition("Succeeded") == ("True", "RunSucceeded")
    assert not is_met(await seen(world), "Succeeded")
    await world.run("10:00", end="10:03")
    assert is_met(await seen(world), "Succeeded")


async def test_kubectl_wait_waits_for_fresh_data_and_after_an_edit_for_the_controller(world: World) -> None:
    assert not is_met(await seen(world), "Fresh")
    await world.look()
    assert not is_met(await seen(world), "Fresh")
    await world.run("09:00", end="09:03")
    assert is_met(await seen(world), "Fresh")
    world.kube.apply(schedule_body(staleAfter="5h"))
    assert not is_met(await seen(world), "Fresh")
    await world.look("09:10")
    assert is_met(await seen(world), "Fresh")
    assert not is_met(await seen(world), "Succeeded"), "no run has ended since the edit"
    await world.look("14:00")
    assert not is_met(await seen(world), "Fresh")


async def test_kstatus_waits_until_the_controller_has_looked_and_takes_stale_data_for_no_failure(world: World) -> None:
    await world.look()
    assert kstatus(await seen(world)) == "Current"
    world.kube.apply(schedule_body(schedule="nonsense"))
    assert kstatus(await seen(world)) == "InProgress"
    await world.look("08:40")
    assert kstatus(await seen(world)) == "Current"
    world.kube.apply(schedule_body())
    await world.look("08:50")
    await fail(world, "09:00")
    assert kstatus(await seen(world)) == "Current"
    world.clock.now = at("10:00")
    await world.look()
    assert kstatus(await seen(world)) == "Current", "also while a run is active"
    body = await seen(world)
    body["metadata"]["deletionTimestamp"] = "2026-11-23T10:01:00Z"
    assert kstatus(body) == "Terminating"


async def test_argo_cd_takes_a_schedule_for_healthy_once_its_data_are_fresh(world: World) -> None:
    assert argo_health(await seen(world))[0] == "Progressing"
    await world.look()
    assert argo_health(await seen(world)) == (
        "Progressing",
        "No run has succeeded yet, and target week has no data.",
    )
    await world.look("09:00")
    world.kube.show(NINE, active=1, ready=0)
    world.kube.show_pod(NINE, pod(UNSCHEDULABLE, phase="Pending"))
    await world.look("09:00:02")
    await world.look("09:00:12")
    health, why = argo_health(await seen(world))
    assert health == "Progressing"
    assert "no node can take its pod" in why
    world.kube.succeed(NINE)
    await world.look("09:03")
    assert argo_health(await seen(world))[0] == "Healthy"


async def test_argo_cd_takes_a_schedule_for_degraded_where_it_is_refused_fails_at_first_or_grows_stale(
    world: World,
) -> None:
    await world.look()
    await fail(world, "09:00")
    assert argo_health(await seen(world)) == (
        "Degraded",
        "The run failed and it left no report; BackoffLimitExceeded",
    )
    await world.run("10:00", end="10:03")
    await fail(world, "11:00")
    assert argo_health(await seen(world))[0] == "Healthy", "the data are fresh all the same"
    await world.look("12:00:10")
    health, why = argo_health(await seen(world))
    assert health == "Degraded"
    assert "became stale at" in why
    world.kube.apply(schedule_body(timeZone="Mars/Olympus"))
    assert argo_health(await seen(world)) == ("Progressing", "The controller has not looked at it yet.")
    await world.look("12:10")
    assert argo_health(await seen(world))[0] == "Degraded"


async def test_argo_cd_takes_a_schedule_for_suspended_that_was_from_the_beginning(world: World) -> None:
    world.kube.apply(schedule_body(suspend=True))
    await world.look()
    assert argo_health(await seen(world))[0] == "Suspended"
