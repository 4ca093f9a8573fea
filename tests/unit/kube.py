"""Schedules and Jobs as the API server shows them, and an API server in memory to keep them."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from kubernetes.aio.client.exceptions import ApiException

from trending.api.instant import format_instant
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, SCHEDULE_LABEL, SCHEDULED_TIMESTAMP_ANNOTATION
from trending.api.status import Step
from trending.controller.kube import JsonObject, Kube
from trending.controller.settings import Settings
from trending.report import Report, TargetReport, write_termination_message

SETTINGS = Settings(run_image="registry.example/trending:1", instance="controller-0")
SPEC: JsonObject = {
    "schedule": "0 * * * *",
    "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
    "rewrite": [{"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
}


def at(time: str) -> datetime:
    """Read `10:20` or `10:20:30` as a time of the day that all tests are about."""
    return datetime.fromisoformat(f"2026-11-23T{time}").replace(tzinfo=UTC)


def own_target(name: str, *, table: str = "hot", query: str = "SELECT 1 AS id", **slice_: list[str]) -> JsonObject:
    """Build a target with a query of its own; no slice means the whole table."""
    return {"name": name, "table": table, "slice": slice_, "query": query}


def schedule_body(*, created: str = "08:30", status: JsonObject | None = None, **spec: Any) -> JsonObject:
    """Build a schedule named hourly, with the spec's fields in Kubernetes' names."""
    metadata = {
        "name": "hourly",
        "namespace": "default",
        "uid": "u1",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": format_instant(at(created)),
    }
    body = {"apiVersion": "trending.dev/v1", "kind": "TrendingSchedule", "metadata": metadata, "spec": {**SPEC, **spec}}
    return {**body, "status": status} if status else body


def job_body(
    name: str, *, slot: str = "09:00", uid: str = "j1", owner: str = "u1", version: int = 1, schedule: str = "hourly"
) -> JsonObject:
    """Build a Job of a schedule, as it is right after its creation."""
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": format_instant(at(slot)),
            "labels": {MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: schedule},
            "annotations": {SCHEDULED_TIMESTAMP_ANNOTATION: format_instant(at(slot))},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "status": {},
    }


def pod_body(message: str | None, *, ended: str = "09:03", created: str = "09:00", **terminated: Any) -> JsonObject:
    """Build a pod whose container has ended and left a termination message."""
    end = {"exitCode": 0, "reason": "Completed", "finishedAt": format_instant(at(ended)), **terminated}
    if message is not None:
        end["message"] = message
    return {
        "metadata": {"creationTimestamp": format_instant(at(created))},
        "status": {"containerStatuses": [{"name": "run", "state": {"terminated": end}}]},
    }


def report(job: str = "hourly-1", *, data: datetime | None = None, targets: tuple[str, ...] = ("week",)) -> Report:
    """Build the report of a run that succeeded; its data are of `data`, 09:00:00.25 by default."""
    data = data or at("09:00:00.250000")
    return Report(
        job=job,
        start_time=data,
        completion_time=data + timedelta(minutes=2),
        result="Succeeded",
        reason="RunSucceeded",
        message="All is written.",
        data_timestamp=data,
        steps=(Step(name="week", action="Rewrite", strategy="Merge", seconds=1.5, rows_inserted=3, rows_updated=4),),
        targets=tuple(TargetReport(name=name, data_timestamp=data, rows=7) for name in targets),
    )


class Clock:
    """A clock that is set by hand."""

    def __init__(self, time: str) -> None:
        self.now = at(time)

    def __call__(self) -> datetime:
        return self.now

    def set(self, time: str) -> None:
        self.now = at(time)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def refusal(status: int, message: str = "refused") -> ApiException:
    """Build what the API server's refusal is raised as."""
    return ApiException(status=status, body=json.dumps({"kind": "Status", "code": status, "message": message}))


_Name = tuple[str, str]
_T = TypeVar("_T")


class FakeKube(Kube):
    """An API server in memory: it counts versions, keeps names unique and refuses what was decided on an old version.

    `writes` are the calls that wrote, by method; `refuse` maps a method to what it is to answer instead. `looks` are
    the calls that read pods and warnings. `api_clock` is what it tells times by: the controller's, unless set.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.api_clock = clock
        self._version = 1000
        self._schedules: dict[_Name, JsonObject] = {}
        self._jobs: dict[_Name, JsonObject] = {}
        self._pods: dict[str, list[JsonObject]] = {}
        self._warnings: list[JsonObject] = []
        self.looks: list[str] = []
        self.events: dict[str, JsonObject] = {}
        self.writes: list[str] = []
        self.refuse: dict[str, ApiException] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.closed = False
        self.before_writing = lambda: None
        self._leases: dict[_Name, JsonObject] = {}
        self.held: set[str] = set()
        """Jobs that a finalizer of somebody else's holds."""
        self.missing: set[str] = set()
        """Namespaces that do not exist."""
        self.forbidden: set[str] = set()
        """Namespaces that may not be listed; the empty one stands for all at once."""

    # What the test does as somebody else.

    def apply(self, body: JsonObject) -> None:
        """Create a schedule or replace its spec, as kubectl does."""
        old = self._schedules.get(_name(body))
        body = _copy(body)
        if old:
            changed = old["spec"] != body["spec"]
            body["metadata"]["generation"] = old["metadata"]["generation"] + changed
            body["status"] = old.get("status", {})
        self._schedules[_name(body)] = self._versioned(body)

    def annotate(self, **annotations: str) -> None:
        """Set annotations of the schedule `hourly`, in the group trending.dev."""
        body = self._schedules["default", "hourly"]
        body["metadata"]["annotations"] = {f"trending.dev/{key}": value for key, value in annotations.items()}
        self._versioned(body)

    def remove_schedule(self, name: str = "hourly") -> None:
        """Delete a schedule."""
        del self._schedules["default", name]

    def put_job(self, body: JsonObject) -> None:
        """Have a Job there that somebody else made."""
        self._jobs[_name(body)] = self._versioned(_copy(body))

    def remove_job(self, name: str) -> None:
        """Delete a Job behind the controller's back."""
        del self._jobs["default", name]

    def make_ready(self, name: str) -> None:
        """Have a Job's pod run."""
        body = self._jobs["default", name]
        body["status"] = {"startTime": format_instant(self.api_clock()), "ready": 1, "active": 1}
        self._versioned(body)

    def show(self, name: str, **status: Any) -> None:
        """Have a Job's status as the Job controller writes it on the way."""
        body = self._jobs["default", name]
        body["status"] = {"startTime": body["metadata"]["creationTimestamp"], **status}
        self._versioned(body)

    def end_job(self, name: str, message: str | None, *, kind: str = "Complete", reason: str = "") -> None:
        """End a Job, its pod leaving this termination message; None where it leaves no pod."""
        body, now = self._jobs["default", name], format_instant(self.api_clock())
        condition = {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": ""}
        start = body.get("status", {}).get("startTime", body["metadata"]["creationTimestamp"])
        body["status"] = {"startTime": start, "conditions": [condition]}
        if message is not None:
            pod = pod_body(message)
            self._pods.setdefault(body["metadata"]["uid"], []).append(pod)
        self._versioned(body)

    def uid_of_job(self, name: str) -> str:
        """The uid that a Job got at its creation."""
        return str(self._jobs["default", name]["metadata"]["uid"])

    def show_pod(self, name: str, *bodies: JsonObject) -> None:
        """Have a Job have these pods, oldest first, and no other."""
        self._pods[self._jobs["default", name]["metadata"]["uid"]] = [_copy(body) for body in bodies]

    def warn(self, uid: str, reason: str, message: str) -> None:
        """Have a warning on the object of that uid, as other controllers send them."""
        event = {"reason": reason, "message": message, "lastTimestamp": format_instant(self.api_clock())}
        self._warnings.append({**event, "involvedObject": {"uid": uid}})

    def succeed(self, name: str, *, data: datetime | None = None, targets: tuple[str, ...] = ("week",)) -> None:
        """End a Job well, with the report that its data are of now, or of `data`."""
        told = report(name, data=data or self.api_clock(), targets=targets)
        self.end_job(name, write_termination_message(told))

    @property
    def job_names(self) -> list[str]:
        """Which Jobs there are, oldest first."""
        return [name for _, name in self._jobs]

    @property
    def reasons(self) -> list[str]:
        """What events were sent, in order."""
        return [event["reason"] for event in self.events.values()]

    def status(self, name: str = "hourly") -> JsonObject:
        """The status that a schedule has now."""
        return _copy(self._schedules["default", name].get("status") or {})

    # What the controller calls.

    async def close(self) -> None:
        self.closed = True

    async def schedules(self, namespace: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        self._read(namespace)
        yield _copy([body for (n, _), body in self._schedules.items() if namespace in (None, n)]), str(self._version)

    async def jobs(self, namespace: str | None = None) -> AsyncIterator[tuple[list[JsonObject], str]]:
        self._read(namespace)
        yield _copy([body for (n, _), body in self._jobs.items() if namespace in (None, n)]), str(self._version)

    async def watch_jobs(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:  # noqa: ARG002 (as Kube has it)
        """Nothing is told by watches here: a test says what a controller sees."""
        await asyncio.Event().wait()
        yield {}

    async def pods_version(self, namespace: str | None = None) -> str:
        self._read(namespace)
        return str(self._version)

    async def watch_failed_pods(self, version: str, namespace: str | None = None) -> AsyncIterator[JsonObject]:  # noqa: ARG002 (as Kube has it)
        """Nothing is told by watches here: a test says what a controller sees."""
        await asyncio.Event().wait()
        yield {}

    async def get_namespace(self, name: str) -> JsonObject:
        if name in self.missing:
            raise refusal(404, "not found")
        return {"metadata": {"name": name}}

    async def get_version(self) -> JsonObject:
        return {"major": "1"}

    async def get_lease(self, namespace: str, name: str) -> JsonObject:
        return _copy(_find(self._leases, namespace, name))

    async def create_lease(self, body: JsonObject) -> JsonObject:
        if _name(body) in self._leases:
            raise refusal(409, "the Lease exists already")
        self._leases[_name(body)] = self._versioned(_copy(body))
        return _copy(self._leases[_name(body)])

    async def replace_lease(self, body: JsonObject) -> JsonObject:
        known = _find(self._leases, *_name(body))
        if known["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise refusal(409, "the object has been modified")
        self._leases[_name(body)] = self._versioned(_copy(body))
        return _copy(self._leases[_name(body)])

    async def get_schedule(self, namespace: str, name: str) -> JsonObject:
        return _copy(_find(self._schedules, namespace, name))

    async def replace_status(self, body: JsonObject) -> JsonObject:
        self._write("replace_status")
        metadata = body["metadata"]
        known = _find(self._schedules, metadata["namespace"], metadata["name"])
        if (known["metadata"]["uid"], known["metadata"]["resourceVersion"]) != (
            metadata["uid"],
            metadata["resourceVersion"],
        ):
            raise refusal(409, "the object has been modified")
        known["status"] = _copy(body["status"])
        return _copy(self._versioned(known))

    async def create_job(self, manifest: JsonObject) -> JsonObject:
        self._write("create_job")
        if _name(manifest) in self._jobs:
            raise refusal(409, "the Job exists already")
        body = _copy(manifest)
        body["metadata"] |= {"uid": f"job-{self._version}", "creationTimestamp": format_instant(self.api_clock())}
        self._jobs[_name(body)] = self._versioned(body)
        return _copy(body)

    async def get_job(self, namespace: str, name: str) -> JsonObject:
        return _copy(_find(self._jobs, namespace, name))

    async def delete_job(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        self._write("delete_job")
        metadata = _find(self._jobs, namespace, name)["metadata"]
        if metadata["uid"] != uid or version not in (None, metadata["resourceVersion"]):
            raise refusal(409, "the precondition does not hold")
        if name in self.held:
            metadata.setdefault("deletionTimestamp", format_instant(self.api_clock()))
            self._versioned(self._jobs[namespace, name])
            return
        del self._jobs[namespace, name]
        self._version += 1

    async def pods_of_job(self, namespace: str, uid: str) -> list[JsonObject]:  # noqa: ARG002 (as Kube has it)
        self.looks.append(f"pods at {format_instant(self.api_clock())[11:19]}")
        return _copy(self._pods.get(uid, []))

    async def warnings(self, namespace: str) -> list[JsonObject]:  # noqa: ARG002 (as Kube has it)
        self.looks.append(f"warnings at {format_instant(self.api_clock())[11:19]}")
        return [_copy(event) for event in self._warnings]

    async def create_event(self, manifest: JsonObject) -> None:
        self._write("create_event")
        if manifest["metadata"]["name"] in self.events:
            raise refusal(409, "the event exists already")
        self.events[manifest["metadata"]["name"]] = _copy(manifest)

    def _read(self, namespace: str | None) -> None:
        if (namespace or "") in self.forbidden:
            raise refusal(403, "the service account may not")

    def _write(self, method: str) -> None:
        self.before_writing()
        if method in self.before:
            self.before.pop(method)()
        self.writes.append(method)
        if method in self.refuse:
            raise self.refuse[method]

    def _versioned(self, body: JsonObject) -> JsonObject:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        return body


def _name(body: JsonObject) -> _Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _find(objects: dict[_Name, JsonObject], namespace: str, name: str) -> JsonObject:
    if (namespace, name) not in objects:
        raise refusal(404, "not found")
    return objects[namespace, name]


def _copy(value: _T) -> _T:
    """Copy what crosses the wire, which holds JSON alone."""
    json.dumps(value)
    return copy.deepcopy(value)
