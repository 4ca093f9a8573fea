"""From the death of the controller that leads to what another does: it leads, starts what is asked for and what is due.

Two controllers beside 1,000 schedules with a finished Job each. The one that leads is killed, two seconds before a
minute begins; right after that a run of one schedule is asked for, and another schedule falls due with the minute. All
times count from the kill and are the API server's, by its audit log. The killed one is started anew before each next
round, so the two take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

from bench import fleet
from bench.console import console, keep, say
from bench.plane import Client, audited_plane, client, machine, writes
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import ControllerProcess
from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.schedule.job_names import manual_job_name

TARGET: Final = 15.0
"""Seconds."""
_NAMESPACE: Final = "trending-system"
_LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{_NAMESPACE}/leases/trending-operator"
_BEFORE_MINUTE: Final = 2.0
_WAIT_SECONDS: Final = 60.0
_MEASURED: Final = ("another leads", "the run that was asked for has a Job", "the slot that fell due has a Job")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="schedules; default %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, audited_plane(Path(folder)) as (plane, log):
        result = asyncio.run(_bench(plane, log, asked.count, asked.rounds))
    _show(result)
    keep("failover", result)


async def _bench(plane: ControlPlane, log: Path, count: int, rounds: int) -> dict[str, Any]:
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": _NAMESPACE}})
    controllers = [_controller(plane, number) for number in range(2)]
    async with client(plane) as api:
        say(f"creating {count} schedules with a finished Job each")
        names = await fleet.populate(api, count, 1)
        due = fleet.schedule("each-minute", expression=fleet.EACH_MINUTE)
        due["spec"]["concurrencyPolicy"] = "Replace"  # nobody ends its runs
        await fleet.create(api, fleet.SCHEDULES, [due])
        told: list[dict[str, float]] = []
        try:
            await _start(controllers)
            await fleet.settle(log, count)
            for number in range(rounds):
                told.append(await _round(api, log, controllers, names[-1 - number], number))
                say(f"round {number + 1}: {_sentence(told[-1])}")
                await _start(controllers)
        finally:
            for each in controllers:
                each.kill()
    return {"count": count, "rounds": told, "machine": machine(), "load": os.getloadavg()[0]}


async def _round(
    api: Client, log: Path, controllers: Sequence[ControllerProcess], name: str, number: int
) -> dict[str, float]:
    holder = (await api.call("GET", _LEASE))["spec"]["holderIdentity"]
    leader = next(each for each in controllers if each.name == holder)
    await asyncio.sleep((60 - _BEFORE_MINUTE - time.time()) % 60)
    killed = time.time()
    slot = int(killed) // 60 + 1
    leader.kill()
    request = f"round {number}"
    await api.call(
        "PATCH", f"{fleet.SCHEDULES}/{name}", {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: request}}}
    )
    wanted = {
        _MEASURED[0]: ("update", "leases", "trending-operator"),
        _MEASURED[1]: ("create", "jobs", manual_job_name(name, request)),
        _MEASURED[2]: ("create", "jobs", f"each-minute-{slot}"),
    }
    found: dict[str, float] = {}
    while len(found) < len(wanted):
        if time.time() > killed + _WAIT_SECONDS:
            raise RuntimeError(f"within {_WAIT_SECONDS:.0f} s this did not come: {sorted(set(wanted) - set(found))}")
        await asyncio.sleep(1)
        for write in writes(log, since=killed):
            for what, expected in wanted.items():
                if (
                    (write.verb, write.resource, write.name) == expected
                    and write.code < 300
                    and holder not in write.agent
                ):
                    found.setdefault(what, write.at - killed)
    return found


async def _start(controllers: Sequence[ControllerProcess]) -> None:
    for each in controllers:
        each.start()
    for each in controllers:
        while not each.answers("/readyz"):
            each.check()
            await asyncio.sleep(0.2)


def _controller(plane: ControlPlane, number: int) -> ControllerProcess:
    environment = {"TRENDING_LEADER_ELECTION": "true", "TRENDING_LOG_LEVEL": "warning"}
    return ControllerProcess(plane, name=f"controller-{number}", environment=environment)


def _sentence(times: dict[str, float]) -> str:
    return "; ".join(f"{what} after {times[what]:.1f} s" for what in _MEASURED)


def _show(result: dict[str, Any]) -> None:
    title = f"The leader is killed, beside {result['count']} schedules: seconds from then on"
    table = Table("", title=title, title_justify="left", box=None)
    for heading in ("median", "least", "most", "target"):
        table.add_column(heading, justify="right")
    for what in _MEASURED:
        times = [each[what] for each in result["rounds"]]
        table.add_row(what, *(f"{each:.1f}" for each in (median(times), min(times), max(times))), f"{TARGET:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
