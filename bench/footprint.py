"""What the controller costs while it has little to do: its memory, its CPU time at rest, what a run makes it write.

- Memory: resident, once all statuses are written and nothing more happens, with 1,000 schedules of 4 finished Jobs each
  and with 10,000 of 1. Schedules are as long as real ones (bench/fleet.py); each Job is as long as the operator's.
- At rest: CPU time over five and a half minutes, in which everything is listed anew once, with 1,000 schedules of which
  none is due, and what is written meanwhile.
- Churn: runs by hand, as fast as they go, ended by the bench; memory after each thousand. 1,000 runs are what 1,000
  hourly schedules make in an hour.
- A run that goes well, its Job and pod shown step by step as a cluster shows them: what the controller writes, by the
  API server's audit log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from bench import fleet
from bench.console import RESULTS, console, keep, say
from bench.plane import Client, audited_plane, client, cpu_seconds, each, machine, writes
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import ControllerProcess
from trending.api.names import RUN_CONTAINER
from trending.api.status import Step
from trending.report import Report, TargetReport, write_termination_message

MEMORY: Final = ((1000, 4, 150), (10000, 1, 350))
"""Schedules, finished Jobs of each, and the target in MiB."""
REST_SECONDS: Final = 330.0
RUNS: Final = 20
_STEPS: Final = ("memory", "rest", "writes", "churn")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", help=f"of {', '.join(_STEPS)}, with commas; the others' last figures stay; default all"
    )
    parser.add_argument("--churn", type=int, default=20000, help="runs; default %(default)s")
    asked = parser.parse_args(arguments)
    steps = (asked.only or ",".join(_STEPS)).split(",")
    before = RESULTS / "footprint.json"
    result: dict[str, Any] = json.loads(before.read_text()) if asked.only and before.exists() else {}
    result["machine"] = machine()
    if "memory" in steps:
        result["memory"] = [_in_a_plane(_memory, schedules, jobs, most) for schedules, jobs, most in MEMORY]
    if "rest" in steps:
        result["rest"] = _in_a_plane(_rest, 1000)
    if "writes" in steps:
        result["writes"] = _in_a_plane(_writes)
    if "churn" in steps:
        result["churn"] = _in_a_plane(_churn, asked.churn)
    _show(result)
    keep("footprint", result)


def _in_a_plane(measure: Any, *arguments: Any) -> Any:
    """Measure something on a control plane of its own."""

    async def run(plane: ControlPlane, log: Path) -> Any:
        async with client(plane) as api:
            return await measure(plane, api, log, *arguments)

    with tempfile.TemporaryDirectory() as folder, audited_plane(Path(folder)) as (plane, log):
        return asyncio.run(run(plane, log))


async def _memory(plane: ControlPlane, api: Client, log: Path, schedules: int, jobs: int, most: int) -> dict[str, Any]:
    say(f"{schedules} schedules with {jobs} finished Jobs each")
    await fleet.populate(api, schedules, jobs)
    process = _controller(plane)
    process.start()
    try:
        process.wait_until_live()
        await fleet.settle(log, schedules)
        figures = {"schedules": schedules, "jobs": jobs, "target": most, **_memory_of(process.pid)}
        figures["cpu"] = cpu_seconds(process.pid)
        say(f"{figures['resident']:.0f} MiB resident, {figures['peak']:.0f} MiB at most, {figures['cpu']:.0f} CPU s")
        return figures
    finally:
        process.kill()


async def _rest(plane: ControlPlane, api: Client, log: Path, schedules: int) -> dict[str, Any]:
    await fleet.populate(api, schedules, 1)
    process = _controller(plane)
    process.start()
    try:
        process.wait_until_live()
        await fleet.settle(log, schedules)
        began, cpu = datetime.now(UTC).timestamp(), cpu_seconds(process.pid)
        say(f"at rest for {REST_SECONDS:.0f} s")
        await asyncio.sleep(REST_SECONDS)
        cpu = cpu_seconds(process.pid) - cpu
        written = [write for write in writes(log, since=began) if write.agent != "bench" and _is_ours(write.resource)]
        return {"schedules": schedules, "seconds": REST_SECONDS, "cpu": cpu, "writes": len(written)}
    finally:
        process.kill()


async def _churn(plane: ControlPlane, api: Client, log: Path, runs: int) -> dict[str, Any]:
    count = 100
    names = fleet.names("schedule", count)
    await fleet.create(api, fleet.SCHEDULES, [fleet.schedule(name, expression=fleet.NEVER_NOW) for name in names])
    process = _controller(plane)
    process.start()
    found: list[dict[str, Any]] = []
    try:
        process.wait_until_live()
        await fleet.settle(log, count)
        done = 0
        while done < runs:
            annotations = {"trending.dev/requestedAt": f"request {done}"}
            patch = {"metadata": {"annotations": annotations}}
            await each(names, partial(_patch, api, patch))
            ended = 0
            while ended < count:
                ended += await fleet.finish_all(api)
            done += count
            if done % 1000 == 0:
                found.append({"runs": done, **_memory_of(process.pid)})
                say(f"{done} runs: {found[-1]['resident']:.0f} MiB")
        return {"schedules": count, "after": found}
    finally:
        process.kill()


async def _writes(plane: ControlPlane, api: Client, log: Path) -> dict[str, Any]:
    names = fleet.names("schedule", RUNS)
    await fleet.create(api, fleet.SCHEDULES, [fleet.schedule(name, expression=fleet.NEVER_NOW) for name in names])
    process = _controller(plane)
    process.start()
    counts: list[Counter[str]] = []
    try:
        process.wait_until_live()
        await fleet.settle(log, RUNS)
        for number in range(6):  # of which the last trims the history
            began = datetime.now(UTC).timestamp()
            await each(names, partial(_run, api, f"request {number}"))
            await asyncio.sleep(fleet.QUIET_SECONDS)
            ours = [w for w in writes(log, since=began) if w.agent != "bench" and _is_ours(w.resource) and w.code < 400]
            counts.append(Counter(f"{write.verb} {write.resource}" for write in ours))
    finally:
        process.kill()
    return {"runs": RUNS, "rounds": [dict(count) for count in counts]}


async def _patch(api: Client, patch: dict[str, Any], name: str) -> None:
    await api.call("PATCH", f"{fleet.SCHEDULES}/{name}", patch)


async def _run(api: Client, request: str, name: str) -> None:
    """Ask for a run by hand and let it go well, as a cluster does: a pod that starts, is ready, ends and reports."""
    annotations = {"trending.dev/requestedAt": request}
    await api.call("PATCH", f"{fleet.SCHEDULES}/{name}", {"metadata": {"annotations": annotations}})
    job: dict[str, Any] = {}
    while not job:
        await asyncio.sleep(0.2)
        found = await api.call("GET", f"{fleet.JOBS}?labelSelector=trending.dev/schedule={name}")
        job = next((each for each in found["items"] if not (each.get("status") or {}).get("conditions")), {})
    path, uid = f"{fleet.JOBS}/{job['metadata']['name']}", job["metadata"]["uid"]
    now = datetime.now(UTC).replace(microsecond=0)
    begun = now.isoformat().replace("+00:00", "Z")
    await asyncio.sleep(1)
    await api.call("PATCH", f"{path}/status", {"status": {"startTime": begun, "active": 1, "ready": 0}})
    await asyncio.sleep(1)
    await api.call("PATCH", f"{path}/status", {"status": {"active": 1, "ready": 1}})
    await _leave_report(api, job["metadata"]["name"], uid, now)
    await asyncio.sleep(1)
    await api.call(
        "PATCH", f"{path}/status", {"status": fleet.ended(now - timedelta(seconds=10)) | {"startTime": begun}}
    )


async def _leave_report(api: Client, job: str, uid: str, now: datetime) -> None:
    """Leave the pod of a run that has ended well."""
    report = Report(
        job=job,
        start_time=now,
        completion_time=now,
        result="Succeeded",
        reason="RunSucceeded",
        message="All is written.",
        data_timestamp=now,
        steps=(Step(name="tracks-pnagD", action="Rewrite", strategy="Merge", seconds=1.5, rows_inserted=3),),
        targets=tuple(
            TargetReport(name=name, data_timestamp=now, rows=7)
            for name in ("tracks-pnagD", "tracks-all-time", "hot-posts")
        ),
    )
    pods = f"/api/v1/namespaces/{fleet.NAMESPACE}/pods"
    labels = {"batch.kubernetes.io/controller-uid": uid}
    spec = {"restartPolicy": "Never", "containers": [{"name": RUN_CONTAINER, "image": "none"}]}
    await api.call("POST", pods, {"metadata": {"name": job, "labels": labels}, "spec": spec})
    end = {"exitCode": 0, "reason": "Completed", "message": write_termination_message(report)}
    container = {"name": RUN_CONTAINER, "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": end}}]}
    await api.call("PATCH", f"{pods}/{job}/status", {"status": status})


def _is_ours(resource: str) -> bool:
    """Tell whether a resource is one that the controller writes; the API server writes others for itself."""
    return resource.split("/")[0] in ("trendingschedules", "jobs", "events")


def _controller(plane: ControlPlane) -> ControllerProcess:
    return ControllerProcess(plane, environment={"TRENDING_LOG_LEVEL": "warning"})


def _memory_of(pid: int) -> dict[str, float]:
    """Return the resident memory of a process in MiB: now, and at most so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(lines[field].split()[0]) / 1024 for name, field in (("resident", "VmRSS"), ("peak", "VmHWM"))}


def _show(result: dict[str, Any]) -> None:
    table = Table("", title="The controller's footprint", title_justify="left", box=None)
    for heading in ("figure", "target"):
        table.add_column(heading, justify="right")
    for row in result.get("memory", []):
        what = f"memory, {row['schedules']} schedules with {row['jobs']} finished Jobs each"
        table.add_row(what, f"{row['resident']:.0f} MiB", f"{row['target']} MiB")
    if rest := result.get("rest"):
        share = f"{rest['cpu'] / rest['seconds']:.2%} of a core, {rest['writes']} writes"
        table.add_row(f"at rest, {rest['schedules']} schedules", share, "1 %, none")
    if churn := result.get("churn"):
        first, last = churn["after"][0], churn["after"][-1]
        table.add_row(
            f"memory after {first['runs']} and {last['runs']} runs",
            f"{first['resident']:.0f}, {last['resident']:.0f} MiB",
            "flat",
        )
    console.print(table)
    if told := result.get("writes"):
        console.print(f"writes of {told['runs']} runs, round by round: {json.dumps(told['rounds'][-2:])}")


if __name__ == "__main__":
    main()
