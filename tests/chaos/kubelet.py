"""Plays the node and the Job controller: runs end when and as they are to, and leave their reports behind.

Kubernetes' own would do, but for the time that it takes them to find their way back after the API server was away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.error import HTTPError

from tests.cluster.control_plane import ControlPlane
from trending.api.instant import format_instant, parse_instant
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, RUN_CONTAINER
from trending.report import Report, TargetReport, write_termination_message

_LOOK_SECONDS: Final = 0.5
_CONFLICT: Final = 409


@contextmanager
def kubelet(plane: ControlPlane, *, run_seconds: float = 3.0) -> Iterator[None]:
    """Have runs end, for the while of the block, however often the API server is away."""
    ended = threading.Event()

    def go_round() -> None:
        while not ended.wait(_LOOK_SECONDS):
            try:
                _look(plane, run_seconds)
            except OSError:
                continue

    thread = threading.Thread(target=go_round, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _look(plane: ControlPlane, run_seconds: float) -> None:
    listed = plane.request("GET", f"/apis/batch/v1/jobs?labelSelector={MANAGED_BY_LABEL}%3D{MANAGED_BY}")
    for job in listed["items"]:
        age = time.time() - parse_instant(job["metadata"]["creationTimestamp"]).timestamp()
        if not job["status"].get("completionTime") and age >= run_seconds:
            _end(plane, job)


def _end(plane: ControlPlane, job: dict[str, Any]) -> None:
    began, now = parse_instant(job["metadata"]["creationTimestamp"]), datetime.now(UTC)
    report = Report(
        job=job["metadata"]["name"],
        start_time=began,
        completion_time=now,
        result="Succeeded",
        reason="RunSucceeded",
        message="All is written.",
        data_timestamp=began,
        steps=(),
        targets=(TargetReport(name="week", data_timestamp=began, rows=1),),
    )
    end_run(plane, job, report)


def end_run(
    plane: ControlPlane,
    job: dict[str, Any],
    report: Report | None,
    *,
    kind: Literal["Complete", "Failed"] = "Complete",
    reason: str = "",
) -> None:
    """Have a Job's pod be there and ended with a report, or be there no more, then the Job itself."""
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    began, now = parse_instant(job["metadata"]["creationTimestamp"]), datetime.now(UTC)
    if report:
        _leave_pod(plane, job, _ended_pod(report, began, now, good=kind == "Complete"))
    ended = format_instant(now)
    decided = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
    conditions = [
        {"type": each, "status": "True", "reason": reason, "lastTransitionTime": ended} for each in (decided, kind)
    ]
    outcome = {"completionTime": ended, "succeeded": 1} if kind == "Complete" else {"failed": 1}
    status = {"startTime": format_instant(began), "conditions": conditions, **outcome}
    plane.request("PATCH", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}/status", {"status": status})


def _leave_pod(plane: ControlPlane, job: dict[str, Any], status: dict[str, Any]) -> None:
    name, pods = job["metadata"]["name"], f"/api/v1/namespaces/{job['metadata']['namespace']}/pods"
    pod = {
        "metadata": {"name": name, "labels": {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}},
        "spec": {"containers": [{"name": RUN_CONTAINER, "image": "none"}], "restartPolicy": "Never"},
    }
    try:
        plane.request("POST", pods, pod)
    except HTTPError as error:
        with error:
            if error.code != _CONFLICT:  # made before the API server went away
                raise
    plane.request("PATCH", f"{pods}/{name}/status", {"status": status})


def _ended_pod(report: Report, began: datetime, now: datetime, *, good: bool) -> dict[str, Any]:
    end = {
        "exitCode": 0 if good else 1,
        "reason": "Completed" if good else "Error",
        "startedAt": format_instant(began),
        "finishedAt": format_instant(now),
        "message": write_termination_message(report),
    }
    container = {"name": RUN_CONTAINER, "image": "none", "imageID": "none", "ready": False, "restartCount": 0}
    phase = "Succeeded" if good else "Failed"
    return {"phase": phase, "containerStatuses": [{**container, "state": {"terminated": end}}]}
