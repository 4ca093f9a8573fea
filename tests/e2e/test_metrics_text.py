"""What stands at /metrics, whole, as Prometheus' own judge reads it; it needs no cluster.

docs/metrics.md tells people of it.
"""

from __future__ import annotations

import subprocess
import urllib.request

import pytest

from tests.charts import promtool
from tests.unit.kube import at, report, schedule_body
from tests.unit.scrapes import Scrape
from tests.unit.test_controller_reconcile import HOURLY, World, job_at
from trending.api.status import Step
from trending.report import write_termination_message


@pytest.fixture
async def world() -> World:
    """A controller of which everything has something to tell: of runs, missed slots, requests, watches."""
    world = World()
    world.kube.apply(schedule_body())
    for name in ("daily", "weekly"):
        other = schedule_body()
        other["metadata"] |= {"name": name, "namespace": "other", "uid": f"uid of {name}"}
        world.store.put_schedule(other)
    await world.look()
    await world.look("11:00:03")  # two slots are missed
    world.kube.make_ready(job_at("11:00"))
    steps = (
        Step(name="plays", action="Refresh", mode="Blocking", seconds=9, wal_bytes=1000),
        Step(name="week", action="Rewrite", rows_inserted=3, rows_updated=4, rows_deleted=5, wal_bytes=234),
    )
    told = report(job_at("11:00"), data=at("11:00:04")).model_copy(update={"steps": steps})
    world.clock.set("11:03")
    world.kube.end_job(job_at("11:00"), write_termination_message(told))
    await world.metrics.timed(world.reconciler.reconcile)(HOURLY)
    await world.look("11:04")
    world.metrics.observe_wait(0.2)
    for verb, code in (("create", "201"), ("create", "error")):
        world.metrics.observe_request(verb, "jobs", code, 0.02)
    world.metrics.observe_write("7")
    for kind in (None, "MODIFIED"):
        world.metrics.observe_watch("jobs", kind, "7" if kind else "6")
    return world


def test_prometheus_has_nothing_against_what_the_controller_tells(world: World) -> None:
    with (
        world.metrics.served(0) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        text = answer.read().decode()
    assert [family.name for family in Scrape(text).families if not family.samples] == [], "these were not judged"
    done = subprocess.run(
        [str(promtool.provide()), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
