"""Started anew where many runs are active, on a real API server: nothing is written, and everything is known."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.chaos.test_control_plane import schedule
from tests.chaos.test_lost_watches import COMPLETE
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import controller
from tests.waiting import until

HOW_MANY: Final = int(os.environ.get("TRENDING_TEST_RUNS", "100"))
"""A thousand, where there is a minute or two for it."""
QUIET_SECONDS: Final = 5.0
SCHEDULES: Final = "/apis/trending.dev/v1/namespaces/many/trendingschedules"
JOBS: Final = "/apis/batch/v1/namespaces/many/jobs"
EVENTS: Final = "/api/v1/namespaces/many/events"


def versions(plane: ControlPlane, path: str) -> dict[str, str]:
    """Each object's resource version: it changes with each write."""
    return {
        each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in plane.request("GET", path)["items"]
    }


def everything(plane: ControlPlane) -> tuple[dict[str, str], ...]:
    return tuple(versions(plane, path) for path in (SCHEDULES, JOBS, EVENTS))


def test_a_restart_among_running_jobs_writes_nothing_and_is_right(bare: ControlPlane) -> None:
    def create(number: int) -> None:
        bare.request("POST", SCHEDULES, schedule(f"s{number}", immediate=True))

    bare.request("POST", "/api/v1/namespaces", {"metadata": {"name": "many"}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(HOW_MANY)))

    def told() -> bool:
        listed: list[dict[str, Any]] = bare.request("GET", SCHEDULES)["items"]
        return all((each.get("status") or {}).get("activeCount") for each in listed)

    with controller(bare):
        until(told, what="each has its Job, and says so", pause=1)
        # An event is sent last of all that a start writes.
        until(lambda: len(everything(bare)[2]) == HOW_MANY, what="events tell of all starts", pause=1)
    before = everything(bare)
    assert [len(each) for each in before] == [HOW_MANY] * 3

    with controller(bare) as again:
        until(lambda: again.answers("/readyz"), what="it is ready")
        time.sleep(QUIET_SECONDS)  # nothing is to happen, for which there is nothing to wait
        assert everything(bare) == before
        active = bare.request("GET", f"{SCHEDULES}/s7")["status"]["active"]
        bare.request("PATCH", f"{JOBS}/{active[0]['name']}/status", {"status": COMPLETE})
        until(lambda: bare.request("GET", f"{SCHEDULES}/s7")["status"].get("lastRun"), what="the end is told")
    after = everything(bare)
    assert after[1].keys() == before[1].keys()
    assert [name for name in before[0] if after[0][name] != before[0][name]] == ["s7"]
