"""The staleness matrix on a real API server: ways in which data are stale, in each place where one may look.

tests/unit/test_staleness.py has more of them, by a clock that is set. Here a second is a second, and compared is what
others get to see: the column that the API server prints, the condition that it keeps, its events, what Prometheus
reads. All schedules live side by side; a test plays the Job controller and the nodes, and looks at four moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pytest

from tests.chaos.aging import ALLOWED, JOBS, NAMESPACE, SCHEDULES, Look, Looks, Object, Stage
from tests.chaos.kubelet import end_run
from tests.chaos.test_control_plane import schedule
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import controller
from tests.unit.kube import own_target
from tests.waiting import until
from trending.api.instant import format_instant, parse_instant
from trending.api.status import Result

NEVER: Final = "0 0 29 2 *"
PROMPT: Final = timedelta(seconds=10)
"""So soon after it is told, on a machine that is busy."""

# What happens to a schedule while the data of its first run are fresh yet.


def nothing(stage: Stage, name: str) -> None:
    """No run comes any more."""


def hang(stage: Stage, name: str) -> None:
    stage.begin(name)


def fail(stage: Stage, name: str) -> None:
    """Its report repeats, from the ledger, what the data are of."""
    stage.end(stage.begin(name), {"week": stage.old}, "Failed")


def exceed(stage: Stage, name: str) -> None:
    """The Job controller deletes the pod, and its report with it."""
    end_run(stage.plane, stage.begin(name), None, kind="Failed", reason="DeadlineExceeded")


def lose_report(stage: Stage, name: str) -> None:
    end_run(stage.plane, stage.begin(name), None)


def replace_one(stage: Stage, name: str) -> None:
    stage.begin(name)
    stage.begin(name)


def suspend(stage: Stage, name: str) -> None:
    stage.edit(name, "spec", suspend=True)


def spoil(stage: Stage, name: str) -> None:
    stage.edit(name, "spec", timeZone="Mars/Olympus")


def miss(stage: Stage, name: str) -> None:
    """Slots of two hours pass in which nobody started them in time."""
    stage.edit(name, "status", scheduleSince=format_instant(datetime.now(UTC) - timedelta(hours=2)))


def ask_for_younger(stage: Stage, name: str) -> None:
    stage.edit(name, "spec", staleAfter="30m")


def an_hourly_slot() -> str:
    """One that passed twenty minutes ago, so that none comes while a test looks."""
    return f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *"


def last_result(result: str) -> Callable[[Object], bool]:
    return lambda body: bool(body["status"]["lastRun"]["result"] == result)


TOO_OLD: Final = "The data of target {target} are of {old} and became stale at {stale}, {allowed} later."
TWO: Final = [own_target("a", board=["a"]), own_target("b", board=["b"]) | {"staleAfter": "2h"}]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to be stale."""

    happens: Callable[[Stage, str], None] = nothing
    shows: Callable[[Object], object]
    """Whether the schedule shows that it came so."""
    spec: Object = field(default_factory=dict)
    first: Result = "Succeeded"
    told: tuple[str, ...] = ("week",)
    """Of which targets the first run's report tells the data."""
    reason: Literal["TooOld", "NeverSucceeded", "TargetWithoutData"] = "TooOld"
    words: str = TOO_OLD
    target: str = "week"
    allowed: timedelta = ALLOWED

    @property
    def had_data(self) -> bool:
        """Whether it was fresh once."""
        return self.reason == "TooOld"

    @property
    def first_told(self) -> tuple[str, tuple[str, ...]]:
        """Reason and events after the first run."""
        return ("UpToDate", ("DataFresh",)) if self.had_data else (self.reason, ())

    @property
    def stale_told(self) -> tuple[str, tuple[str, ...]]:
        """Reason and events once its data are stale."""
        return (self.reason, ("DataFresh", "DataStale") if self.had_data else ())

    @property
    def again_told(self) -> tuple[str, tuple[str, ...]]:
        """Reason and events once a run has made them fresh."""
        return ("UpToDate", (*self.stale_told[1], "DataFresh"))


WAYS: Final = {
    "never-succeeded": Way(
        first="Failed",
        told=(),
        shows=last_result("Failed"),
        reason="NeverSucceeded",
        words="No run has succeeded yet, and target {target} has no data.",
    ),
    "one-without-data": Way(
        spec={"rewrite": TWO},
        told=("a",),
        shows=last_result("Succeeded"),
        reason="TargetWithoutData",
        words="Target {target} has never had data.",
        target="b",
    ),
    "by-the-clock": Way(shows=last_result("Succeeded")),
    "one-of-two": Way(
        spec={"rewrite": TWO},
        told=("a", "b"),
        shows=lambda body: [each["name"] for each in body["status"]["targets"]] == ["a", "b"],
        target="a",
    ),
    "hanging": Way(happens=hang, shows=lambda body: body["status"]["activeCount"] == 1),
    "failed": Way(happens=fail, shows=last_result("Failed")),
    "deadline-exceeded": Way(happens=exceed, shows=last_result("DeadlineExceeded")),
    "report-lost": Way(
        happens=lose_report, shows=lambda body: "could not be read" in body["status"]["lastRun"]["message"]
    ),
    "replaced": Way(spec={"concurrencyPolicy": "Replace"}, happens=replace_one, shows=last_result("Replaced")),
    "suspended": Way(happens=suspend, shows=lambda body: "nextScheduleTime" not in body["status"]),
    "not-accepted": Way(happens=spoil, shows=lambda body: "nextScheduleTime" not in body["status"]),
    "slot-missed": Way(
        spec={"schedule": an_hourly_slot(), "startingDeadlineSeconds": 1},
        happens=miss,
        shows=lambda body: "lastMissedTime" in body["status"],
    ),
    "younger-asked-for": Way(
        happens=ask_for_younger,
        shows=lambda body: body["spec"]["staleAfter"] == "30m",
        allowed=timedelta(minutes=30),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Story:
    """What was seen when."""

    stage: Stage
    after_first: Looks
    stale: Looks
    anew: Looks
    """After a controller that started anew."""
    again: Looks


@pytest.fixture(scope="module")
def story(bare: ControlPlane) -> Iterator[Story]:
    """All schedules become stale and fresh again."""
    bare.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    with controller(bare, environment={"TRENDING_WATCH_NAMESPACES": NAMESPACE}) as process:
        stage = Stage(plane=bare, process=process)
        for name, way in WAYS.items():
            spec = {"schedule": NEVER, "staleAfter": "1h", **way.spec}
            bare.request("POST", SCHEDULES, schedule(name, **spec))
        for name, way in WAYS.items():
            stage.end(stage.begin(name), dict.fromkeys(way.told, stage.old), way.first)
        after_first = stage.until_told({name: way.first_told for name, way in WAYS.items()})
        for name, way in WAYS.items():
            way.happens(stage, name)
        stale = stage.until_told({name: way.stale_told for name, way in WAYS.items()})
        process.stop()
        process.start()
        until(lambda: process.answers("/readyz"), what="it is ready")
        until(lambda: stage.scrape().schedules == WAYS.keys(), what="it tells of all")
        anew = stage.look()
        for name in WAYS:
            make_fresh(stage, name)
        again = stage.until_told({name: way.again_told for name, way in WAYS.items()})
        yield Story(stage=stage, after_first=after_first, stale=stale, anew=anew, again=again)
        for path in (SCHEDULES, JOBS):
            bare.request("DELETE", f"{path}?propagationPolicy=Background")


def make_fresh(stage: Stage, name: str) -> None:
    """Undo what keeps runs away, and have one write everything."""
    stage.edit(name, "spec", suspend=False, timeZone="UTC")
    body = stage.plane.request("GET", f"{SCHEDULES}/{name}")
    active = body["status"].get("active")
    job = stage.plane.request("GET", f"{JOBS}/{active[0]['name']}") if active else stage.begin(name)
    now = datetime.now(UTC)
    stage.end(job, {target["name"]: now for target in body["spec"]["rewrite"]})


def told(look: Look) -> tuple[str, str]:
    """What the condition says, which all other places have to agree with."""
    status, fresh = look.body["status"], look.fresh
    assert fresh["observedGeneration"] == status["observedGeneration"] == look.body["metadata"]["generation"]
    assert look.columns["Fresh"] == fresh["status"]
    assert bool(look.columns["Data-Age"]) == ("dataTimestamp" in status)
    assert look.metric("trending_condition", condition="Fresh") == (fresh["status"] == "True")
    first = min((each["staleTime"] for each in status["targets"] if "staleTime" in each), default=None)
    assert status.get("staleTime") == first
    for target in status["targets"]:
        for metric, name in (("stale_time", "staleTime"), ("data_timestamp", "dataTimestamp")):
            instant = parse_instant(target[name]).timestamp() if name in target else 0
            assert look.metric(f"trending_{metric}_seconds", target=target["name"]) == instant
    times = [look.metric("trending_stale_time_seconds", target=target["name"]) for target in status["targets"]]
    assert (fresh["status"] == "False") == any(look.at.timestamp() > (time or 0) for time in times)
    for event in look.events:
        assert (event["type"] == "Warning", event["count"]) == (event["reason"] == "DataStale", 1)
    if look.events:
        assert look.events[-1]["message"] == fresh["message"]
    return fresh["status"], fresh["reason"]


ways = pytest.mark.parametrize("name", WAYS)


@ways
def test_data_that_a_run_has_written_are_fresh_until_their_time(story: Story, name: str) -> None:
    look, way = story.after_first[name], WAYS[name]
    reason, events = way.first_told
    assert (told(look), look.reasons) == ((str(way.had_data), reason), events)


@ways
def test_stale_data_are_told_once_in_column_condition_event_and_metrics(story: Story, name: str) -> None:
    look, way, stage = story.stale[name], WAYS[name], story.stage
    reason, events = way.stale_told
    assert (told(look), look.reasons) == (("False", reason), events)
    assert way.shows(look.body)
    stale, hours = stage.old + way.allowed, {ALLOWED: "1h"}.get(way.allowed, "30m")
    words = way.words.format(
        target=way.target, old=format_instant(stage.old), stale=format_instant(stale), allowed=hours
    )
    assert look.fresh["message"] == words
    scraped = look.metric("trending_stale_time_seconds", target=way.target)
    assert scraped == (stale.timestamp() if way.had_data else 0)


@ways
def test_its_transition_is_of_when_it_changed_and_not_of_what_happens_besides(story: Story, name: str) -> None:
    first, look, way = story.after_first[name], story.stale[name], WAYS[name]
    changed = parse_instant(look.fresh["lastTransitionTime"])
    if not way.had_data:
        assert look.fresh["lastTransitionTime"] == first.fresh["lastTransitionTime"]
    elif way.allowed == ALLOWED:
        assert story.stage.stale <= changed <= story.stage.stale + PROMPT, "by the clock, whatever the runs do"
    else:
        assert parse_instant(first.fresh["lastTransitionTime"]) <= changed < story.stage.stale, "by the edit"


@ways
def test_a_controller_that_starts_anew_has_nothing_more_to_tell(story: Story, name: str) -> None:
    before, after = story.stale[name], story.anew[name]
    assert after.body == before.body
    assert told(after) == told(before)
    assert [event["metadata"] for event in after.events] == [event["metadata"] for event in before.events]


@ways
def test_a_run_that_succeeds_makes_stale_data_fresh_and_says_so_once(story: Story, name: str) -> None:
    look, way = story.again[name], WAYS[name]
    reason, events = way.again_told
    assert (told(look), look.reasons) == (("True", reason), events)
    assert look.fresh["lastTransitionTime"] > story.stale[name].fresh["lastTransitionTime"]


def test_the_metrics_of_a_schedule_that_is_deleted_vanish(story: Story) -> None:
    stage, name = story.stage, "by-the-clock"
    assert stage.scrape().schedules == WAYS.keys()
    stage.plane.request("DELETE", f"{SCHEDULES}/{name}?propagationPolicy=Background")
    until(lambda: stage.scrape().schedules == WAYS.keys() - {name}, what="the others' stay alone", seconds=30)
