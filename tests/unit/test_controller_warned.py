"""Warnings of other components: however many ask about however many objects, a namespace is listed once for a while."""

import asyncio
from datetime import timedelta

import pytest
from kubernetes.aio.client.exceptions import ApiException

from tests.unit.kube import Clock, FakeKube, refusal
from trending.controller.kube import JsonObject
from trending.controller.warned import Warnings


class SlowKube(FakeKube):
    """An API server that takes its time for a list, as it does where there are many events."""

    async def warnings(self, namespace: str) -> list[JsonObject]:
        found = await super().warnings(namespace)
        await asyncio.sleep(0)
        if "warnings" in self.refuse:
            raise self.refuse["warnings"]
        return found


@pytest.fixture
def kube() -> SlowKube:
    return SlowKube(Clock("09:00"))


async def test_a_thousand_runs_that_wait_in_a_namespace_cost_one_list(kube: SlowKube) -> None:
    kube.warn("u7", "FailedCreate", "exceeded quota")
    warnings, now = Warnings(kube), kube.api_clock()
    found = await asyncio.gather(*(warnings.about("default", f"u{number}", now) for number in range(1000)))
    assert kube.looks == ["warnings at 09:00:00"]
    assert [number for number, events in enumerate(found) if events] == [7]
    assert [event["message"] for event in found[7]] == ["exceeded quota"]


async def test_after_five_seconds_it_is_listed_anew_and_each_namespace_for_itself(kube: SlowKube) -> None:
    warnings, now = Warnings(kube), kube.api_clock()
    await warnings.about("default", "u1", now)
    kube.warn("u1", "FailedCreate", "exceeded quota")
    assert not await warnings.about("default", "u1", now + timedelta(seconds=4.9))
    assert await warnings.about("default", "u1", now + timedelta(seconds=5))
    assert await warnings.about("other", "u1", now + timedelta(seconds=5))
    assert len(kube.looks) == 3


async def test_a_clock_that_is_set_back_keeps_nothing_old(kube: SlowKube) -> None:
    warnings, now = Warnings(kube), kube.api_clock()
    await warnings.about("default", "u1", now)
    kube.warn("u1", "FailedCreate", "exceeded quota")
    assert await warnings.about("default", "u1", now - timedelta(hours=1))


async def test_what_nobody_asks_about_any_more_is_forgotten(kube: SlowKube) -> None:
    warnings, now = Warnings(kube), kube.api_clock()
    await warnings.about("default", "u1", now)
    await warnings.about("other", "u1", now + timedelta(minutes=1))
    assert list(warnings._listed) == ["other"]
    await warnings.about("third", "u1", now)
    assert list(warnings._listed) == ["third"], "the clock was set back"


async def test_a_list_that_is_refused_is_asked_for_again_by_the_next(kube: SlowKube) -> None:
    warnings, now = Warnings(kube), kube.api_clock()
    kube.refuse["warnings"] = refusal(403, "forbidden")
    with pytest.raises(ApiException):
        await warnings.about("default", "u1", now)
    del kube.refuse["warnings"]
    kube.warn("u1", "FailedCreate", "exceeded quota")
    assert await warnings.about("default", "u1", now)
