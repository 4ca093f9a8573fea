"""Events on schedules: sent once, by whomever, in memory that does not grow by what was said."""

from dataclasses import replace

import pytest

from tests.unit.kube import SETTINGS, Clock, FakeKube, refusal, schedule_body
from trending.controller.recorder import Recorder
from trending.controller.store import Key
from trending.schedule.decision import Event
from trending.schedule.observed import Schedule

KEY = Key("default", "hourly")


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube(Clock("09:00"))


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.from_object(schedule_body())


def event(key: str) -> Event:
    return Event(type="Normal", reason="SuccessfulCreate", message=f"Created job {key}", key=key)


async def test_what_lasts_is_sent_once_however_often_it_is_told(kube: FakeKube, schedule: Schedule) -> None:
    recorder = Recorder(kube=kube, settings=SETTINGS)
    for _ in range(3):
        await recorder.record(schedule, [event("a"), event("b")], kube.api_clock())
    assert kube.writes == ["create_event"] * 2


async def test_what_another_controller_has_sent_counts_as_sent(kube: FakeKube, schedule: Schedule) -> None:
    await Recorder(kube=kube, settings=SETTINGS).record(schedule, [event("a")], kube.api_clock())
    kube.writes.clear()
    recorder = Recorder(kube=kube, settings=SETTINGS)
    for _ in range(3):
        await recorder.record(schedule, [event("a")], kube.api_clock())
    assert kube.writes == ["create_event"], "the one that was refused"
    assert len(kube.events) == 1


async def test_what_could_not_be_sent_is_sent_with_the_next_pass(kube: FakeKube, schedule: Schedule) -> None:
    recorder = Recorder(kube=kube, settings=SETTINGS)
    kube.refuse["create_event"] = refusal(403, "events are forbidden")
    await recorder.record(schedule, [event("a"), event("b")], kube.api_clock())
    assert not kube.events
    del kube.refuse["create_event"]
    await recorder.record(schedule, [event("a"), event("b")], kube.api_clock())
    assert len(kube.events) == 2


async def test_a_schedule_of_the_same_name_that_was_made_anew_has_events_of_its_own(
    kube: FakeKube, schedule: Schedule
) -> None:
    recorder = Recorder(kube=kube, settings=SETTINGS)
    await recorder.record(schedule, [event("a")], kube.api_clock())
    await recorder.record(replace(schedule, uid="another"), [event("a")], kube.api_clock())
    assert len(kube.events) == 2


async def test_ten_thousand_runs_leave_no_more_in_memory_than_some(kube: FakeKube, schedule: Schedule) -> None:
    recorder = Recorder(kube=kube, settings=SETTINGS)
    for number in range(200):
        await recorder.record(schedule, [event(f"a{number}"), event("lasts")], kube.api_clock())
    assert len(recorder._sent[KEY]) <= 32
    recorder.forget(KEY)
    assert not recorder._sent
