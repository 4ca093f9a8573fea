"""From tick to Job, for a thousand schedules due in the same minute, beside CronJob's own controller.

All rivals use one API server and take turns: the operator, the CronJob controller with its defaults, the same tuned
(`--kube-api-qps 500 --kube-api-burst 1000 --concurrent-cron-job-syncs 50`). In each turn a thousand objects with
`* * * * *` are resumed, two ticks pass, and they are suspended. The Jobs of a tick are ended by the bench 35 s after
it, so that the next one finds none active. No Job controller, no scheduler and no kubelet run: no pod is made, for
none of the rivals.

A Job's time is when the API server answered its creation, by its audit log, to the microsecond. A slot whose Job is not
there when the next tick comes is missed; one that has two Jobs is run twice.

In each round the client alone (kubernetes.aio's BatchV1Api, 64 at once) creates as many Jobs as well: the limit.

Each round has a control plane of its own, and the rivals' order moves on by one: what a turn leaves behind (statuses
that tell of Jobs that are gone, an hour's events) would be measured with the next one's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

from bench import fleet
from bench.console import console, keep, say
from bench.plane import AT_ONCE, Client, audited_plane, client, cpu_seconds, each, machine, writes
from tests.cluster.component import Component
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import ControllerProcess

TUNED: Final = ("--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-cron-job-syncs=50")
_FINISH_AFTER: Final = 35.0
_BEFORE_TICK: Final = 15.0
"""So long before a tick all is quiet, but for a rival that is never done."""
TARGET: Final = 4.0
"""Seconds: the 99th percentile."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="schedules; default 1000")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--ticks", type=int, default=2, help="in each turn; default 2")
    parser.add_argument("--idle", type=int, default=0, help="as many more of each, never due; default 0")
    parser.add_argument("--rivals", default="operator,cronjob,cronjob-tuned", help="default %(default)s")
    asked = parser.parse_args(arguments)
    rivals = asked.rivals.split(",")
    told: dict[str, list[dict[str, Any]]] = {rival: [] for rival in rivals}
    limits: list[float] = []
    for number in range(asked.rounds):
        start = number % len(rivals)
        with tempfile.TemporaryDirectory() as folder, audited_plane(Path(folder)) as (plane, log):
            order = rivals[start:] + rivals[:start]
            turns = _round(plane, log, asked.count, asked.ticks, order, idle=asked.idle)
            limit, figures = asyncio.run(turns)
        limits.append(limit)
        for rival, turn in figures.items():
            told[rival].append(turn)
    result = {
        "count": asked.count,
        "idle": asked.idle,
        "rounds": asked.rounds,
        "ticks": asked.ticks,
        "machine": machine(),
        "limit": limits,
        "rivals": told,
    }
    _show(result)
    keep("ticks-of-many" if asked.idle else "ticks", result)


async def _round(
    plane: ControlPlane, log: Path, count: int, ticks: int, rivals: Sequence[str], *, idle: int
) -> tuple[float, dict[str, dict[str, Any]]]:
    """Return the client's own limit in seconds, and the figures of each rival."""
    told: dict[str, dict[str, Any]] = {}
    async with client(plane) as api:
        say(f"creating {count} schedules and {count} CronJobs, suspended")
        ours, theirs = fleet.names("schedule", count), fleet.names("cronjob", count)
        make = [fleet.schedule(name, expression=fleet.EACH_MINUTE, suspend=True) for name in ours]
        await fleet.create(api, fleet.SCHEDULES, make)
        make = [fleet.cronjob(name, expression=fleet.EACH_MINUTE, suspend=True) for name in theirs]
        await fleet.create(api, fleet.CRONJOBS, make)
        rest = fleet.names("idle", idle)
        await fleet.create(api, fleet.SCHEDULES, [fleet.schedule(name, expression=fleet.NEVER_NOW) for name in rest])
        await fleet.create(api, fleet.CRONJOBS, [fleet.cronjob(name, expression=fleet.NEVER_NOW) for name in rest])
        limit = await _limit(plane, api, count)
        say(f"the client alone creates {count} Jobs in {limit:.1f} s")
        for rival in rivals:
            operator = rival == "operator"
            process = _controller(plane) if operator else _cronjobs(plane, tuned=rival == "cronjob-tuned")
            path, names = (fleet.SCHEDULES, ours) if operator else (fleet.CRONJOBS, theirs)
            told[rival] = await _turn(process, api, log, path=path, names=names, ticks=ticks, idle=idle)
            told[rival]["load"] = os.getloadavg()[0]
            say(f"{rival}: {_sentence(told[rival])}")
    return limit, told


async def _turn(
    process: Component, api: Client, log: Path, *, path: str, names: Sequence[str], ticks: int, idle: int
) -> dict[str, Any]:
    process.start()
    try:
        if isinstance(process, ControllerProcess):
            process.wait_until_live()
            await fleet.settle(log, len(names) + idle)
        # Resumed after a tick, so that none is due while that goes on, and soon after it: the operator starts a slot
        # that is late by half a minute in its turn, and runs that begin so late would hold the next tick's.
        await _until_second(5.0, room=20.0)
        await fleet.suspend(api, path, names, value=False)
        tick = (int(time.time()) // 60 + 1) * 60
        await _until_quiet(log, at_most=tick - _BEFORE_TICK)
        # To be resumed starts the newest slot, whose run would hold the next one.
        while await fleet.finish_all(api) and time.time() < tick - _BEFORE_TICK:
            await _until_quiet(log, at_most=tick - _BEFORE_TICK)
        cpu = cpu_seconds(process.pid)
        for number in range(ticks):
            await _until(tick + number * 60 + _FINISH_AFTER)
            await fleet.finish_all(api)
        await _until(tick + ticks * 60 - 8.0)
        await fleet.suspend(api, path, names, value=True)
        cpu = cpu_seconds(process.pid) - cpu
        await _until(tick + ticks * 60 + 5.0)
    finally:
        process.kill()
    await fleet.delete_jobs(api)
    return _figures(log, tick, len(names), ticks=ticks, cpu=cpu)


def _figures(log: Path, tick: int, count: int, *, ticks: int, cpu: float) -> dict[str, Any]:
    """Return how late the Jobs of each tick came; one that came after the next tick counts as missed."""
    made = [write for write in writes(log, since=tick) if (write.verb, write.resource) == ("create", "jobs")]
    made = [write for write in made if write.code == 201]
    told = []
    for slot in range(tick, tick + ticks * 60, 60):
        late = sorted(w.at - slot for w in made if w.name.endswith(f"-{slot // 60}") and w.at < slot + 60)
        told.append(
            {
                "started": len(late),
                "missed": count - len(late),
                "p50": _percentile(late, 50),
                "p99": _percentile(late, 99),
                "most": late[-1] if late else None,
            }
        )
    twice = [name for name, times in Counter(write.name for write in made).items() if times > 1]
    return {"ticks": told, "twice": len(twice), "cpu": cpu}


async def _limit(plane: ControlPlane, api: Client, count: int) -> float:
    """Return how many seconds the client takes for as many Jobs, by its own models and with nothing else to do."""
    from kubernetes.aio import config
    from kubernetes.aio.client import ApiClient, BatchV1Api, Configuration

    load: Any = config  # its loaders have no types
    configuration = Configuration()
    configuration.connection_pool_maxsize = AT_ONCE
    await load.load_kube_config(config_file=str(plane.kubeconfig()), client_configuration=configuration)
    owner = fleet.schedule("limit", expression=fleet.NEVER_NOW)
    owner["metadata"]["uid"] = "none"
    bodies = []
    for name in fleet.names("limit", count):
        owner["metadata"]["name"] = name
        body = fleet.finished_job(owner, datetime.now(UTC))
        bodies.append({key: value for key, value in body.items() if key != "status"})
    async with ApiClient(configuration) as transport:
        batch: Any = BatchV1Api(transport)
        await batch.list_namespaced_job(fleet.NAMESPACE, limit=1)
        began = time.monotonic()
        await each(bodies, lambda body: batch.create_namespaced_job(fleet.NAMESPACE, body))
        took = time.monotonic() - began
    await fleet.delete_jobs(api)
    return took


def _controller(plane: ControlPlane) -> ControllerProcess:
    return ControllerProcess(plane, environment={"TRENDING_LOG_LEVEL": "warning"})


def _cronjobs(plane: ControlPlane, *, tuned: bool) -> Component:
    """The controller manager with nothing but the CronJob controller."""
    argv = [flag for flag in plane.controllers.argv if not flag.startswith("--controllers=")]
    flags = ["--controllers=cronjob-controller", *(TUNED if tuned else ())]
    return Component([*argv, *flags], log=plane.folder / "cronjob-controller.log")


async def _until_quiet(log: Path, *, at_most: float) -> None:
    """Wait until nothing has been written for three seconds: what a rival does about being resumed is not measured.

    Until that instant at most: the CronJob controller, with its defaults, is never done with a thousand of each minute.
    """
    size = -1
    while (now := _size(log)) != size and time.time() < at_most:
        size = now
        await asyncio.sleep(3)


def _size(log: Path) -> int:
    return log.stat().st_size


async def _until(instant: float) -> None:
    await asyncio.sleep(max(0.0, instant - time.time()))


async def _until_second(second: float, *, room: float) -> None:
    """Wait until a minute is at a second, unless it is within so many seconds after it now."""
    into = time.time() % 60
    if not second <= into <= room:
        await asyncio.sleep((second - into) % 60)


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None


def _sentence(figures: dict[str, Any]) -> str:
    ticks = "; ".join(
        f"{tick['started']} started, p50 {tick['p50'] or 0:.1f} s, p99 {tick['p99'] or 0:.1f} s"
        for tick in figures["ticks"]
    )
    return f"{ticks}; {figures['twice']} twice; {figures['cpu']:.0f} CPU s"


def _show(result: dict[str, Any]) -> None:
    table = Table(
        "", title=f"{result['count']} due in the same minute: from tick to Job", title_justify="left", box=None
    )
    for heading in ("p50 s", "p99 s", "least and most p99", "missed", "twice", "CPU s"):
        table.add_column(heading, justify="right")
    for rival, turns in result["rivals"].items():
        ticks = [tick for turn in turns for tick in turn["ticks"] if tick["started"]]
        p50, p99 = ([tick[key] for tick in ticks] or [0.0] for key in ("p50", "p99"))
        missed = sum(tick["missed"] for turn in turns for tick in turn["ticks"])
        slots = result["count"] * sum(len(turn["ticks"]) for turn in turns)
        table.add_row(
            rival,
            f"{median(p50):.2f}",
            f"{median(p99):.2f}",
            f"{min(p99):.1f}, {max(p99):.1f}",
            f"{missed} of {slots}",
            str(sum(turn["twice"] for turn in turns)),
            f"{median(turn['cpu'] for turn in turns):.0f}",
        )
    console.print(table)
    console.print(f"the client alone, {AT_ONCE} at once: {', '.join(f'{each:.1f}' for each in result['limit'])} s")


if __name__ == "__main__":
    main()
