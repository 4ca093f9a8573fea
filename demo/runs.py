"""Waiting for runs: what a schedule's status says of its last one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from demo.errors import DemoError
from demo.kubectl import Kubectl
from trending.api.names import PLURAL, REQUESTED_AT_ANNOTATION

SECONDS: Final = 300
"""How long a first run may take. About 15 s are expected; a node that has to pull images takes longer."""
_BAD: Final = ("Failed", "DeadlineExceeded", "Replaced")


def request_run(kubectl: Kubectl, name: str, *, namespace: str) -> str:
    """Ask for a run by hand, as a person would; returns the name of the last run until now, "" where there was none."""
    schedule = kubectl.get(PLURAL, name, namespace=namespace) or {}
    annotation = f"{REQUESTED_AT_ANNOTATION}={datetime.now(UTC).isoformat(timespec='microseconds')}"
    kubectl.run(f"--namespace={namespace}", "annotate", PLURAL, name, annotation, "--overwrite")
    return last_job(schedule)


def wait_for_success(
    kubectl: Kubectl,
    *names: str,
    namespace: str,
    after: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
    changed: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Wait until the last run of each schedule has succeeded; returns the schedules by name.

    `after` names runs that do not count, by schedule: those before a run by hand. `changed` is called whenever a
    schedule changed and at least every second. Raises DemoError where a run failed, a schedule is refused, or
    `seconds` have passed.
    """
    schedules: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + seconds
    for schedule in kubectl.watch(PLURAL, namespace=namespace, tick=1):
        if schedule and schedule["metadata"]["name"] in names:
            schedules[schedule["metadata"]["name"]] = schedule
        changed()
        if all(name in schedules and has_succeeded(schedules[name], (after or {}).get(name, "")) for name in names):
            return schedules
        if time.monotonic() > deadline:
            break
    late = ", ".join(name for name in names if not has_succeeded(schedules.get(name, {}), (after or {}).get(name, "")))
    look = (
        f"kubectl -n {namespace} describe trendingschedules; kubectl -n {namespace} get events --sort-by=.lastTimestamp"
    )
    raise DemoError(f"No run of {late} has succeeded within {seconds:.0f} s.", look=look)


def has_succeeded(schedule: Mapping[str, Any], after: str = "") -> bool:
    """Tell whether a run newer than `after` has ended well; raises DemoError where it has not or will not."""
    status = schedule.get("status", {})
    name, namespace = (schedule.get("metadata", {}).get(key) for key in ("name", "namespace"))
    for condition in status.get("conditions", []):
        if condition["type"] == "Accepted" and condition["status"] == "False":
            look = f"kubectl -n {namespace} describe trendingschedule {name}"
            raise DemoError(f"The schedule {name} is not accepted: {condition['message']}", look=look)
    last = status.get("lastRun", {})
    if last.get("job", "") in ("", after):
        return False
    if last["result"] in _BAD and not status.get("activeCount"):
        look = f"kubectl -n {namespace} logs job/{last['job']}"
        raise DemoError(f"The run {last['job']} did not succeed: {last.get('message', last['result'])}", look=look)
    return bool(last["result"] == "Succeeded")


def last_job(schedule: Mapping[str, Any]) -> str:
    """Return the name of the last run's Job, "" where none has finished."""
    return str(schedule.get("status", {}).get("lastRun", {}).get("job", ""))


def last_result(schedule: Mapping[str, Any]) -> str:
    """Return how the last run ended, "" where none has finished."""
    return str(schedule.get("status", {}).get("lastRun", {}).get("result", ""))
