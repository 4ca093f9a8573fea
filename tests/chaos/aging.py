"""A stage for schedules whose data grow old: what can be done to them, and everything that shows of them."""

from __future__ import annotations

import itertools
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.chaos.kubelet import end_run
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import ControllerProcess
from tests.unit.scrapes import Scrape
from tests.waiting import until
from trending.api.instant import parse_instant
from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.api.status import Result
from trending.report import Report, TargetReport

Object = dict[str, Any]
Data = Mapping[str, datetime | None]

NAMESPACE: Final = "stale"
SCHEDULES: Final = f"/apis/trending.dev/v1/namespaces/{NAMESPACE}/trendingschedules"
JOBS: Final = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
ALLOWED: Final = timedelta(hours=1)
"""How old the data may become."""
_EVENTS: Final = f"/api/v1/namespaces/{NAMESPACE}/events"
_TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1"
_LEFT: Final = timedelta(seconds=20)
"""The first runs' data become stale so long after the beginning: enough for all that is to happen before."""
_number = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A schedule as it shows itself at a moment."""

    at: datetime
    body: Object
    columns: Mapping[str, Any]
    events: Sequence[Object]
    """DataStale and DataFresh, oldest first."""
    metrics: Scrape

    @property
    def fresh(self) -> Object:
        """Condition Fresh."""
        conditions = self.body.get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == "Fresh"), {})

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(event["reason"] for event in self.events)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.value(name, namespace=NAMESPACE, schedule=self.body["metadata"]["name"], **labels)


Looks = Mapping[str, Look]


@dataclass(kw_only=True)
class Stage:
    """The API server with its schedules, and the controller."""

    plane: ControlPlane
    process: ControllerProcess
    stale: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + _LEFT)
    """When the first runs' data become stale."""

    @property
    def old(self) -> datetime:
        """What the first runs' data are of."""
        return self.stale - ALLOWED

    def edit(self, name: str, part: str = "", **changes: Any) -> None:
        self.plane.request("PATCH", f"{SCHEDULES}/{name}{'/status' if part == 'status' else ''}", {part: changes})

    def begin(self, name: str) -> Object:
        """Ask for a run by hand; return its Job."""
        request = f"request {next(_number)}"
        self.edit(name, "metadata", annotations={REQUESTED_AT_ANNOTATION: request})

        def active() -> str | None:
            status = self.plane.request("GET", f"{SCHEDULES}/{name}").get("status", {})
            return status["active"][0]["name"] if status.get("lastHandledRequest") == request else None

        job: Object = self.plane.request("GET", f"{JOBS}/{until(active, what=f'{name}: {request} is active')}")
        return job

    def end(self, job: Object, data: Data, result: Result = "Succeeded") -> None:
        """End a run, its report telling of its targets' data."""
        now, is_good = datetime.now(UTC), result in ("Succeeded", "Superseded")
        report = Report(
            job=job["metadata"]["name"],
            start_time=parse_instant(job["metadata"]["creationTimestamp"]),
            completion_time=now,
            result=result,
            reason="RunSucceeded" if is_good else "RunFailed",
            message="So it went.",
            targets=tuple(TargetReport(name=name, data_timestamp=instant) for name, instant in data.items()),
        )
        end_run(self.plane, job, report, kind="Complete" if is_good else "Failed")

    def look(self) -> Looks:
        """Look at all schedules, everywhere."""
        bodies = self.plane.request("GET", SCHEDULES)["items"]
        table = self.plane.request("GET", SCHEDULES, accept=_TABLE)
        titles = [column["name"] for column in table["columnDefinitions"]]
        rows = {row["cells"][0]: dict(zip(titles, row["cells"], strict=True)) for row in table["rows"]}
        events = sorted(self.plane.request("GET", _EVENTS)["items"], key=_version)
        metrics = self.scrape()
        return {
            name: Look(
                at=datetime.now(UTC),
                body=body,
                columns=rows[name],
                events=[each for each in events if each["involvedObject"]["name"] == name and _is_freshness(each)],
                metrics=metrics,
            )
            for name, body in ((body["metadata"]["name"], body) for body in bodies)
        }

    def scrape(self) -> Scrape:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.process.metrics_port}/metrics", timeout=30) as response:
            return Scrape(response.read().decode())

    def until_told(self, expected: Mapping[str, tuple[str, tuple[str, ...]]]) -> Looks:
        """Return the first look at which each condition has its reason, and as many events as expected are there."""

        def told() -> Looks | None:
            looks = self.look()
            missing.clear()
            missing.extend(
                name
                for name, (reason, events) in expected.items()
                if looks[name].fresh.get("reason") != reason or len(looks[name].events) < len(events)
            )
            return None if missing else looks

        missing: list[str] = []
        try:
            return until(told, what="each schedule tells of its data", seconds=60, pause=0.5)
        except AssertionError as error:
            error.add_note(f"it did not come about for {', '.join(missing)}")
            raise


def _version(event: Object) -> int:
    """Times are whole seconds; each event is created once, so that versions tell the order."""
    return int(event["metadata"]["resourceVersion"])


def _is_freshness(event: Object) -> bool:
    return event["reason"] in ("DataStale", "DataFresh")
