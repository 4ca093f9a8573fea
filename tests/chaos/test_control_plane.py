"""What other tests rely on: the control plane answers, can be stopped and frozen, and leaves nothing behind."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.component import Component
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import controller
from tests.waiting import until

SCHEDULES = "/apis/trending.dev/v1/namespaces/default/trendingschedules"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def schedule(name: str, **spec: Any) -> dict[str, Any]:
    defaults = {
        "schedule": "0 0 1 1 *",
        "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
        "rewrite": [{"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
    }
    return {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": name},
        "spec": defaults | spec,
    }


def test_a_controller_beside_it_starts_a_run_and_the_job_gets_its_pod(plane: ControlPlane) -> None:
    with controller(plane):
        plane.request("POST", SCHEDULES, schedule("first", immediate=True))
        job = until(lambda: plane.request("GET", JOBS)["items"], what="the Job is there")[0]
        pods = f"/api/v1/namespaces/default/pods?labelSelector=job-name={job['metadata']['name']}"
        until(lambda: plane.request("GET", pods)["items"], what="its pod is there")
        told = until(lambda: plane.request("GET", f"{SCHEDULES}/first").get("status"), what="the status is written")
        assert [run["name"] for run in told["active"]] == [job["metadata"]["name"]]


def test_a_job_that_ends_is_seen_by_the_watch_and_told_in_the_status(plane: ControlPlane) -> None:
    with controller(plane):
        plane.request("POST", SCHEDULES, schedule("told", immediate=True))
        path = f"{SCHEDULES}/told"
        active = until(lambda: plane.request("GET", path).get("status", {}).get("active"), what="a run is active")
        plane.request("PATCH", f"{JOBS}/{active[0]['name']}", {"spec": {"activeDeadlineSeconds": 1}})
        told = until(lambda: plane.request("GET", path)["status"].get("lastRun"), what="its end is told", seconds=30)
        assert (told["job"], told["result"]) == (active[0]["name"], "DeadlineExceeded")


def test_an_api_server_that_was_killed_comes_back_with_what_it_knew(plane: ControlPlane) -> None:
    plane.request("POST", SCHEDULES, schedule("kept"))
    plane.api_server.kill()
    with pytest.raises(OSError, match="refused"):
        plane.request("GET", SCHEDULES)
    plane.api_server.start()
    plane.wait_until_ready()
    assert plane.request("GET", f"{SCHEDULES}/kept")["metadata"]["name"] == "kept"


def test_a_frozen_etcd_keeps_the_api_server_from_writing_until_it_is_thawed(plane: ControlPlane) -> None:
    plane.etcd.freeze()
    try:
        with pytest.raises(OSError, match=r"timed out|timeout|Gateway"):
            plane.request("POST", f"{SCHEDULES}?timeout=2s", schedule("late"))
    finally:
        plane.etcd.thaw()
    plane.wait_until_ready()
    plane.request("POST", SCHEDULES, schedule("later"))


def test_a_refusal_tells_what_was_wrong(plane: ControlPlane) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        plane.request("POST", SCHEDULES, schedule("wrong", concurrencyPolicy="Allow"))
    with refused.value as answer:
        assert b"Allow" in answer.read()


def test_a_process_that_ends_too_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    component = Component(["sh", "-c", "echo no such flag >&2; exit 3"], log=tmp_path / "api-server.log")
    component.start()
    assert component.wait(10) == 3
    with pytest.raises(Exception, match=r"api-server has ended \(no such flag\); its log is"):
        component.check()
