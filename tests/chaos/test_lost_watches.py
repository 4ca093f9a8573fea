"""What a controller learns whose watches tell it nothing, on a real API server: everything, from its listing alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest

from tests.chaos.test_control_plane import JOBS, SCHEDULES, schedule
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import RUN_IMAGE
from tests.waiting import until
from trending.controller.operator import Operator
from trending.controller.settings import Settings

COMPLETE: Final = {
    "startTime": "2026-11-26T10:00:00Z",
    "completionTime": "2026-11-26T10:01:00Z",
    "succeeded": 1,
    "conditions": [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-11-26T10:01:00Z"}
        for kind in ("SuccessCriteriaMet", "Complete")
    ],
}
AT_ONCE: Final = "propagationPolicy=Background"
"""A Job that is deleted would wait for the garbage collector, which is not there."""
QUICKLY: Final = 60.0


@pytest.fixture(params=[(), ("elsewhere", "default")], ids=["everywhere", "some namespaces"])
async def deaf(
    request: pytest.FixtureRequest, bare: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Operator]:
    """A controller that lists each second and has no watches: kopf is not there."""
    place = "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"  # read from KUBECONFIG at its import
    monkeypatch.setattr(place, str(bare.kubeconfig()))
    settings = Settings(run_image=RUN_IMAGE, resync_seconds=1.0, watch_namespaces=request.param)
    operator = Operator(settings, stop=asyncio.Event())
    await operator.start()
    yield operator
    await operator.close()
    await asyncio.to_thread(clear, bare)


def clear(plane: ControlPlane) -> None:
    for path in (SCHEDULES, JOBS):
        plane.request("DELETE", f"{path}?{AT_ONCE}")


async def test_what_was_made_changed_and_deleted_unseen_is_taken_up(bare: ControlPlane, deaf: Operator) -> None:
    def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return bare.request(method, path, body)

    async def eventually(condition: Callable[[dict[str, Any]], Any], name: str) -> Any:
        def look() -> Any:
            return condition(bare.request("GET", f"{SCHEDULES}/{name}").get("status") or {})

        return await asyncio.to_thread(until, look, what=f"{name} says so", seconds=QUICKLY)

    for name in ("made", "changed", "stays"):
        await asyncio.to_thread(ask, "POST", SCHEDULES, schedule(name, immediate=True, schedule="* * * * *"))
    (run,) = await eventually(lambda status: status.get("active"), "made")

    await asyncio.to_thread(ask, "PATCH", f"{JOBS}/{run['name']}/status", {"status": COMPLETE})
    ended = await eventually(lambda status: status.get("lastRun"), "made")
    assert (ended["job"], ended["result"]) == (run["name"], "Succeeded")

    await eventually(lambda status: status.get("nextScheduleTime"), "changed")
    await asyncio.to_thread(ask, "PATCH", f"{SCHEDULES}/changed", {"spec": {"suspend": True}})
    await eventually(lambda status: "nextScheduleTime" not in status, "changed")

    (lost,) = await eventually(lambda status: status.get("active"), "changed")
    await asyncio.to_thread(ask, "DELETE", f"{JOBS}/{lost['name']}?{AT_ONCE}")
    await eventually(lambda status: status.get("activeCount") == 0, "changed")

    def told() -> Any:
        events = bare.request("GET", "/api/v1/namespaces/default/events")["items"]
        return [event for event in events if event["reason"] == "MissingJob" and lost["name"] in event["message"]]

    await asyncio.to_thread(until, told, what="an event tells of the Job that went missing")

    await asyncio.to_thread(ask, "DELETE", f"{SCHEDULES}/made")

    def known() -> list[str]:
        keys = deaf.store.keys()
        return sorted(key.name for key in keys if key.namespace == "default")

    await asyncio.to_thread(until, lambda: known() == ["changed", "stays"], what="it is forgotten")
