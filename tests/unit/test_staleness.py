"""The staleness matrix: each way in which data are stale, in each place where one may look.

Whatever the runs do, column FRESH, condition Fresh with its reason and sentence, the events and the metrics agree,
by the clock alone, and each change once. The controller is only ever looked after at the times that it named itself.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException

from tests.unit.kube import at, own_target, refusal, report, schedule_body
from tests.unit.scrapes import scrape
from tests.unit.test_controller_reconcile import World, is_at_rest, job_at
from trending.api.crd import build_crd
from trending.api.instant import parse_instant
from trending.controller.kube import JsonObject
from trending.controller.reconcile import CreateRefusedError
from trending.report import TargetReport, write_termination_message

STALE = at("11:07")
"""A first run at nine succeeds; its data are of that hour, and may become 2 h 7 min old: at no slot's time."""
LONGEST_BACKOFF = timedelta(minutes=1)

OnJob = Callable[[World, str], None]


def hang(world: World, job: str) -> None:
    world.kube.make_ready(job)


def stay_pending(world: World, job: str) -> None:
    world.kube.show(job, active=1, ready=0)


def ended(result: str, kind: str, world: World, job: str, *, reason: str = "") -> None:
    """End a run whose report repeats, from the ledger, that the data are of nine."""
    told = report(job, data=at("09:00")).model_copy(update={"result": result, "reason": "RunFailed", "message": "So."})
    world.kube.end_job(job, write_termination_message(told), kind=kind, reason=reason)


def fail(world: World, job: str) -> None:
    ended("Failed", "Failed", world, job)


def supersede(world: World, job: str) -> None:
    ended("Superseded", "Complete", world, job)


def exceed(world: World, job: str) -> None:
    world.kube.end_job(job, None, kind="Failed", reason="DeadlineExceeded")


def lose_report(world: World, job: str) -> None:
    world.kube.end_job(job, None)


async def live(world: World, until: str, on_job: OnJob = hang) -> None:
    """Let time pass: the controller looks when it said that it would, or after a refusal; each new Job goes its way."""
    seen = set(world.kube.job_names)
    while isinstance(world.wake, datetime) and world.wake <= at(until):
        world.clock.now = max(world.wake, world.clock.now)
        try:
            await world.look()
            for job in set(world.kube.job_names) - seen:
                seen.add(job)
                on_job(world, job)
                await world.look()
        except (CreateRefusedError, ApiException):
            world.wake = world.clock.now + LONGEST_BACKOFF
    world.clock.now = at(until)


async def first_run(**spec: Any) -> World:
    world = World()
    world.kube.apply(schedule_body(staleAfter="127m", **spec))
    await world.look()
    await world.run("09:00", end="09:03")
    assert told(world) == ("True", "UpToDate")
    return world


# Ways to be stale. Each leaves the world a little after eleven.


async def never_seen_to_run() -> World:
    world = World()
    world.kube.apply(schedule_body(schedule="0 23 * * *"))
    await world.look()
    await live(world, "11:07:30")
    return world


async def never_succeeded() -> World:
    world = World()
    world.kube.apply(schedule_body())
    await world.look()
    await live(world, "11:07:30", lambda world, job: world.kube.end_job(job, None, kind="Failed"))
    return world


async def a_target_without_data() -> World:
    world = World()
    world.kube.apply(schedule_body(rewrite=[own_target("a", board=["a"]), own_target("b", board=["b"])]))
    await world.look()
    await live(world, "09:30", lambda world, job: world.kube.succeed(job, targets=("a",)))
    return world


async def a_new_target() -> World:
    world = await first_run()
    world.kube.apply(schedule_body(staleAfter="127m", rewrite=[*schedule_body()["spec"]["rewrite"], own_target("b")]))
    await world.look("09:10")
    return world


async def by(on_job: OnJob, **spec: Any) -> World:
    world = await first_run(**spec)
    await live(world, "11:07:30", on_job)
    return world


async def suspended() -> World:
    world = await first_run()
    world.kube.apply(schedule_body(staleAfter="127m", suspend=True))
    await world.look("09:10")
    await live(world, "11:07:30")
    return world


async def invalid(**spec: Any) -> World:
    world = await first_run()
    world.kube.apply(schedule_body(**spec))
    await world.look("09:10")
    assert world.condition("Accepted")[0] == "False"
    await live(world, "11:07:30")
    return world


async def jobs_refused() -> World:
    world = await first_run()
    world.kube.refuse["create_job"] = refusal(403, "exceeded quota")
    await live(world, "11:07:30")
    return world


async def statuses_refused() -> World:
    world = await first_run()
    world.kube.refuse["replace_status"] = refusal(500)
    await live(world, "11:12", fail)
    del world.kube.refuse["replace_status"]
    await live(world, "11:15", fail)
    return world


async def no_controller() -> World:
    world = await first_run()
    world.restart()
    await world.look("11:07:30")
    return world


async def an_edit() -> World:
    world = await first_run()
    world.kube.apply(schedule_body(staleAfter="5m"))
    await world.look("09:10")
    return world


async def being_deleted() -> World:
    world = await first_run()
    body = schedule_body(staleAfter="127m")
    body["metadata"] |= {"deletionTimestamp": "2026-11-23T09:10:00Z", "finalizers": ["somebody.else/finalizer"]}
    world.kube.apply(body)
    await world.look("09:10")
    await live(world, "11:07:30")
    return world


TOO_OLD = r"The data of target week are of 2026-11-23T09:00:00Z and became stale at 2026-11-23T11:07:00Z, 2h7m later\."


@dataclass(frozen=True)
class Way:
    arrange: Callable[[], Awaitable[World]]
    reason: str = "TooOld"
    words: str = TOO_OLD
    target: str = "week"
    events: tuple[str, ...] = ("DataFresh", "DataStale")
    stale_time: str | None = "11:07"
    """None where there never were any data."""


NEVER = r"No run has succeeded yet, and target week has no data\."
WAYS = {
    "it never ran": Way(never_seen_to_run, "NeverSucceeded", NEVER, events=(), stale_time=None),
    "it never succeeded": Way(never_succeeded, "NeverSucceeded", NEVER, events=(), stale_time=None),
    "a target has no data": Way(
        a_target_without_data, "TargetWithoutData", r"Target b has never had data\.", "b", (), None
    ),
    "a target is new": Way(a_new_target, "TargetWithoutData", r"Target b has never had data\.", "b", stale_time=None),
    "runs fail": Way(partial(by, fail)),
    "runs hang": Way(partial(by, hang)),
    "runs' pods never run": Way(partial(by, stay_pending)),
    "runs are superseded": Way(partial(by, supersede)),
    "runs make way for others": Way(partial(by, hang, concurrencyPolicy="Replace")),
    "runs exceed their deadline": Way(partial(by, exceed)),
    "runs succeed and their reports are lost": Way(partial(by, lose_report)),
    "it is suspended": Way(suspended),
    "its expression became invalid": Way(partial(invalid, schedule="61 * * * *")),
    "its zone became unknown": Way(partial(invalid, timeZone="Mars/Olympus")),
    "its slots pass their deadline": Way(partial(by, hang, startingDeadlineSeconds=60)),
    "no Job may be made": Way(jobs_refused),
    "no status could be written for long": Way(statuses_refused),
    "there was no controller": Way(no_controller),
    "an edit asks for younger data": Way(
        an_edit, words=TOO_OLD.replace("T11:07", "T09:05").replace("2h7m", "5m"), stale_time="09:05"
    ),
    "it is being deleted": Way(being_deleted),
}


def column(status: JsonObject) -> str:
    """What kubectl prints under FRESH."""
    [version] = build_crd()["spec"]["versions"]
    [path] = [c["jsonPath"] for c in version["additionalPrinterColumns"] if c["name"] == "Fresh"]
    kind = re.fullmatch(r'\.status\.conditions\[\?\(@\.type=="(\w+)"\)\]\.status', path)
    assert kind
    return str(next(c["status"] for c in status["conditions"] if c["type"] == kind[1]))


def told(world: World) -> tuple[str, str]:
    """What the condition says, which all the others have to agree with."""
    status, reason = world.condition("Fresh")
    told = scrape(world.metrics)
    now = world.clock.now.timestamp()
    targets = [dict(labels)["target"] for labels in told.series("trending_stale_time_seconds")]
    stale = [t for t in targets if now > (told.of("trending_stale_time_seconds", target=t) or 0)]
    assert column(world.kube.status()) == status
    assert (status == "False") == bool(stale)
    assert told.of("trending_condition", condition="Fresh") == (status == "True")
    return status, reason


def freshness_events(world: World) -> tuple[str, ...]:
    return tuple(reason for reason in world.kube.reasons if reason in ("DataStale", "DataFresh"))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_stale_data_are_told_once_in_column_condition_event_and_metrics(way: Way) -> None:
    world = await way.arrange()
    assert told(world) == ("False", way.reason)
    [condition] = [c for c in world.kube.status()["conditions"] if c["type"] == "Fresh"]
    assert re.fullmatch(way.words, condition["message"])
    assert freshness_events(world) == way.events
    if way.events:
        [event] = [event for event in world.kube.events.values() if event["reason"] == "DataStale"]
        assert (event["type"], event["message"]) == ("Warning", condition["message"])
    scraped = scrape(world.metrics).of("trending_stale_time_seconds", target=way.target)
    assert scraped == (at(way.stale_time).timestamp() if way.stale_time else 0)
    if way.stale_time == "11:07" and way.arrange not in (no_controller, statuses_refused):
        changed = parse_instant(condition["lastTransitionTime"])
        late = LONGEST_BACKOFF if way.arrange is jobs_refused else timedelta(0)
        assert STALE <= changed <= STALE + late, "by the clock, not by the next run"
    await and_once(world, way)


async def and_once(world: World, way: Way) -> None:
    """Neither this controller nor one that starts anew has anything more to tell."""
    if way.arrange is not jobs_refused:
        assert await is_at_rest(world)
    world.restart()
    try:
        await world.look()
    except CreateRefusedError:
        assert way.arrange is jobs_refused
    assert told(world) == ("False", way.reason)
    assert freshness_events(world) == way.events


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_a_run_that_succeeds_makes_stale_data_fresh_and_says_so_once(way: Way) -> None:
    world = await way.arrange()
    if way.arrange is being_deleted:
        return
    world.kube.refuse.clear()
    world.kube.apply(schedule_body(staleAfter="127m", concurrencyPolicy="Replace"))
    world.kube.annotate(requestedAt="now")
    before = set(world.kube.job_names)
    await world.look()
    [job] = set(world.kube.job_names) - before
    world.clock.advance(60)
    world.kube.succeed(job)
    await world.look()
    assert told(world) == ("True", "UpToDate")
    assert freshness_events(world) == (*way.events, "DataFresh")
    assert await is_at_rest(world)
    assert freshness_events(world) == (*way.events, "DataFresh")


async def test_data_stay_fresh_to_the_second_before_they_are_stale() -> None:
    world = await first_run()
    await live(world, "11:06:59", fail)
    assert told(world) == ("True", "UpToDate")
    await live(world, "11:07", fail)
    world.clock.advance(1)
    assert told(world) == ("False", "TooOld")


async def test_a_lost_report_is_repaired_by_the_report_of_a_run_that_fails() -> None:
    world = await first_run()
    await live(world, "10:30", lose_report)
    assert world.kube.status()["dataTimestamp"] == "2026-11-23T09:00:00Z"

    def fail_late(world: World, job: str) -> None:
        data = at("10:00")
        targets = (TargetReport(name="week", data_timestamp=data, rows=1),)
        fields = {"result": "Failed", "reason": "ConnectionError", "message": "So.", "targets": targets}
        world.kube.end_job(
            job, write_termination_message(report(job, data=data).model_copy(update=fields)), kind="Failed"
        )

    await live(world, "11:07:30", fail_late)
    assert world.kube.status()["lastRun"]["job"] == job_at("11:00")
    assert world.kube.status()["dataTimestamp"] == "2026-11-23T10:00:00Z", "which the run of ten o'clock had written"
    assert told(world) == ("True", "UpToDate")
