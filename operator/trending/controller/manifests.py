"""Objects that the controller creates, as dicts: pure builders, no cluster."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from trending.api.document import Trigger
from trending.api.instant import format_instant
from trending.api.names import (
    API_VERSION,
    GENERATION_ANNOTATION,
    KIND,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    RUN_ANNOTATION,
    RUN_CONTAINER,
    SCHEDULE_LABEL,
    SCHEDULED_TIMESTAMP_ANNOTATION,
)
from trending.api.pod import PodMetadata
from trending.controller.pod_spec import DOCUMENT_PATH, RunImage, pod_spec
from trending.controller.settings import Settings
from trending.schedule.decision import Decision, Event
from trending.schedule.observed import Schedule
from trending.schedule.zone import load_zone

_REPORTING_MARGIN: Final = timedelta(seconds=45)
"""On activeDeadlineSeconds the Job controller deletes the pods and their reports with them: the runner ends before
that."""
_LONGEST_NOTE: Final = 1024
_LONGEST_EVENT_PREFIX: Final = 180


def build_job(schedule: Schedule, decision: Decision, now: datetime, settings: Settings) -> dict[str, Any]:
    """Return the Job that a decision to start asks for."""
    if decision.job is None or decision.scheduled_time is None:
        raise ValueError(f"the decision {decision.action} names no Job to start")
    spec, template = schedule.spec, schedule.spec.template
    metadata = (template and template.metadata) or PodMetadata()
    labels = {**(metadata.labels or {}), MANAGED_BY_LABEL: MANAGED_BY, SCHEDULE_LABEL: schedule.name}
    annotations = dict(metadata.annotations or {})
    local = decision.scheduled_time.astimezone(load_zone(spec.time_zone)).isoformat(timespec="seconds")
    run = run_document(
        schedule, job=decision.job, trigger=decision.trigger, scheduled_time=decision.scheduled_time, now=now
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": decision.job,
            "namespace": schedule.namespace,
            "labels": labels,
            "annotations": {
                **annotations,
                SCHEDULED_TIMESTAMP_ANNOTATION: local.replace("+00:00", "Z"),
                GENERATION_ANNOTATION: str(schedule.generation),
            },
            "ownerReferences": [owner_reference(schedule)],
        },
        "spec": {
            "backoffLimit": spec.backoff_limit,
            "activeDeadlineSeconds": spec.active_deadline_seconds,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": RUN_CONTAINER, "operator": "In", "values": [2]},
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels, "annotations": {**annotations, RUN_ANNOTATION: run}},
                "spec": pod_spec(
                    schedule,
                    RunImage(name=settings.run_image, pull_policy=settings.run_image_pull_policy),
                    ["run", "--document", DOCUMENT_PATH],
                ),
            },
        },
    }


def run_document(schedule: Schedule, *, job: str, trigger: Trigger, scheduled_time: datetime, now: datetime) -> str:
    """Return the run document as compact JSON.

    Non-ASCII characters stay as they are, since its limit counts UTF-8 bytes.
    """
    deadline = now + timedelta(seconds=schedule.spec.active_deadline_seconds) - _REPORTING_MARGIN
    run = {
        "apiVersion": API_VERSION,
        "namespace": schedule.namespace,
        "name": schedule.name,
        "uid": schedule.uid,
        "job": job,
        "trigger": trigger,
        "scheduledTime": format_instant(scheduled_time),
        "deadline": format_instant(deadline),
        "spec": schedule.raw_spec,
    }
    return json.dumps(run, ensure_ascii=False, separators=(",", ":"))


def owner_reference(schedule: Schedule) -> dict[str, Any]:
    """Return the reference that makes a Job go with its schedule, also when the operator is gone."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": schedule.name,
        "uid": schedule.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_left_behind(schedule: Schedule, job: Mapping[str, Any]) -> bool:
    """Tell whether a Job belongs to a schedule of the same name that was there before."""
    owners = job["metadata"].get("ownerReferences") or []
    owner: Mapping[str, Any] = next((each for each in owners if each.get("controller")), {})
    same = (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) == (API_VERSION, KIND, schedule.name)
    return same and owner.get("uid") != schedule.uid


def build_event(schedule: Schedule, event: Event, now: datetime, settings: Settings) -> dict[str, Any]:
    """Return an event on a schedule. Its name is made of what it says, so that it exists once, however often it is
    sent."""
    digest = hashlib.sha256(f"{schedule.uid}/{event.reason}/{event.key}".encode()).hexdigest()[:16]
    time = format_instant(now)
    note = event.message if len(event.message) <= _LONGEST_NOTE else event.message[: _LONGEST_NOTE - 1] + "…"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{schedule.name[:_LONGEST_EVENT_PREFIX]}.{digest}", "namespace": schedule.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": schedule.namespace,
            "name": schedule.name,
            "uid": schedule.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": note,
        "source": {"component": MANAGED_BY},
        "reportingComponent": MANAGED_BY,
        "reportingInstance": settings.instance,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
