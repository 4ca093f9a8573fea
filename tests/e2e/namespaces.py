"""A namespace of the cluster, as a test uses it: schedules in it, what becomes of them, and all that tells why not."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from demo.errors import DemoError
from demo.kubectl import Kubectl
from tests.e2e.schedules import SECRET
from tests.e2e.waiting import Object, until_objects
from tests.waiting import SECONDS, Found
from trending.api.names import PLURAL, REQUESTED_AT_ANNOTATION, SCHEDULE_LABEL

_request = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace in which Pod Security's level "restricted" is enforced."""

    kubectl: Kubectl
    name: str

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Return what kubectl printed."""
        return self.kubectl.run(f"--namespace={self.name}", *arguments, stdin=stdin, timeout=timeout)

    def create_secret(self, uri: str, *, name: str = SECRET, key: str = "uri") -> None:
        """Create a Secret with a database's URI."""
        self.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: _encoded(uri)}})

    def create(self, *manifests: Mapping[str, Any]) -> None:
        """Create objects."""
        self.kubectl.create(*manifests, namespace=self.name)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply objects, as users do."""
        self.kubectl.apply(*manifests, namespace=self.name)

    def patch(self, name: str, patch: str) -> None:
        """Merge a patch, JSON, into a schedule."""
        self.run("patch", PLURAL, name, "--type=merge", f"--patch={patch}")

    def request_run(self, name: str) -> str:
        """Ask for a run by hand; return the annotation's value."""
        value = f"request {next(_request)} in {self.name}"
        self.run("annotate", "--overwrite", PLURAL, name, f"{REQUESTED_AT_ANNOTATION}={value}")
        return value

    def schedule(self, name: str) -> Object:
        """Return a schedule as it is now."""
        found = self.kubectl.get(PLURAL, name, namespace=self.name)
        if found is None:
            raise AssertionError(f"there is no schedule {name} in {self.name}")
        return found

    def status(self, name: str) -> Object:
        """Return a schedule's status as it is now; empty where it has none."""
        status: Object = self.schedule(name).get("status", {})
        return status

    def jobs(self, schedule: str) -> list[Object]:
        """Return the Jobs of a schedule."""
        return self.kubectl.list("jobs", namespace=self.name, selector=f"{SCHEDULE_LABEL}={schedule}")

    def pods(self, *, job: str) -> list[Object]:
        """Return the pods of a Job."""
        return self.kubectl.list("pods", namespace=self.name, selector=f"batch.kubernetes.io/job-name={job}")

    def events(self, schedule: str, *reasons: str) -> list[Object]:
        """Return the events on a schedule, oldest first; those of some reasons."""
        events = self.kubectl.list("events", namespace=self.name)
        of = [e for e in events if e["involvedObject"].get("name") == schedule and e["involvedObject"]["kind"] != "Job"]
        chosen = [event for event in of if not reasons or event["reason"] in reasons]
        # Their times are whole seconds; each is created once, so that versions tell the order.
        return sorted(chosen, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def until_status(
        self, name: str, condition: Callable[[Object], Found | None], *, what: str, seconds: float = SECONDS
    ) -> Found:
        """Wait until `condition` of a schedule's status is true; return what it returned."""

        def judged(schedules: list[Object]) -> Found | None:
            return next((condition(each.get("status", {})) for each in schedules if _name(each) == name), None)

        return until_objects(
            self.kubectl, PLURAL, judged, what=f"schedule {name}: {what}", namespace=self.name, seconds=seconds
        )

    def until_jobs(
        self, schedule: str, condition: Callable[[list[Object]], Found | None], *, what: str, seconds: float = SECONDS
    ) -> Found:
        """Wait until `condition` of a schedule's Jobs is true; return what it returned."""
        selector = f"{SCHEDULE_LABEL}={schedule}"
        return until_objects(
            self.kubectl, "jobs", condition, what=what, namespace=self.name, selector=selector, seconds=seconds
        )

    def until_event(self, schedule: str, reason: str, *, seconds: float = SECONDS) -> Object:
        """Wait until an event of that reason is there; return the first."""

        def judged(events: list[Object]) -> Object | None:
            of = (e for e in events if e["involvedObject"].get("name") == schedule)
            return next((event for event in of if event["reason"] == reason), None)

        return until_objects(
            self.kubectl, "events", judged, what=f"event {reason} on {schedule}", namespace=self.name, seconds=seconds
        )

    def until_run_ended(self, name: str, *, after: str = "", seconds: float = SECONDS) -> Object:
        """Wait until a run newer than the Job `after` is the last one; return the status."""

        def ended(status: Object) -> Object | None:
            accepted = condition_of(status, "Accepted")
            assert accepted.get("status") != "False", f"no run will come: {accepted['message']}"
            return status if status.get("lastRun", {}).get("job", "") not in ("", after) else None

        return self.until_status(name, ended, what="a run has ended", seconds=seconds)

    def run_by_hand(self, name: str, *, seconds: float = SECONDS) -> Object:
        """Ask for a run and wait until it has ended; return the status."""
        request = self.request_run(name)

        def ended(status: Object) -> Object | None:
            is_handled = status.get("lastHandledRequest") == request
            return status if is_handled and not status.get("activeCount") else None

        return self.until_status(name, ended, what="the run by hand has ended", seconds=seconds)

    def everything(self) -> str:
        """Return all that is to be seen in the namespace, Secrets aside: objects, events, logs."""
        questions = [
            ("get", f"{PLURAL},jobs,pods,events", "--output=yaml"),
            *(("logs", _name(pod), "--all-containers") for pod in self.kubectl.list("pods", namespace=self.name)),
        ]
        return "\n".join(f"$ kubectl {' '.join(question)}\n{self._answer(*question)}" for question in questions)

    def story(self) -> str:
        """Return what a person would look at first where something went wrong."""
        pods = self._answer("get", "pods", "--output=name").split()
        questions = [
            ("get", PLURAL, "--output=wide"),
            ("get", "jobs,pods", "--output=wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("get", PLURAL, '--output=jsonpath={range .items[*]}{.metadata.name}{"\\n"}{.status}{"\\n"}{end}'),
            *(("logs", pod, "--tail=6") for pod in pods),
        ]
        return "\n".join(f"$ kubectl {' '.join(question)}\n{self._answer(*question)}" for question in questions)

    def _answer(self, *arguments: str) -> str:
        try:
            return self.run(*arguments)
        except DemoError as error:
            return str(error)


def condition_of(status: Mapping[str, Any], kind: str) -> Object:
    """Return a condition of a status; empty where there is none of that type."""
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def _name(each: Object) -> str:
    return str(each["metadata"]["name"])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
