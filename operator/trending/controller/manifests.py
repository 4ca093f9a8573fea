"""Objects that the controller creates, as dicts: pure builders, no cluster."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from trending.api import document
from trending.api.document import Trigger
from trending.api.instant import format_instant
from trending.api.names import (
    API_VERSION,
    KIND,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    RUN_ANNOTATION,
    RUN_CONTAINER,
    SCHEDULE_LABEL,
    SCHEDULED_TIMESTAMP_ANNOTATION,
)
from trending.api.pod import PodMetadata, PodSettings
from trending.controller.settings import Settings
from trending.schedule.decision import Decision, Event
from trending.schedule.observed import Schedule
from trending.schedule.zone import load_zone

_USER: Final = 65532
"""The image's own user; a number, so that the kubelet can tell that it is not root."""
_VOLUME: Final = "trending"
_REPORTING_MARGIN: Final = timedelta(seconds=45)
"""On activeDeadlineSeconds the Job controller deletes the pods and their reports with them: the runner ends before
that."""
_DEFAULT_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
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
            "annotations": {**annotations, SCHEDULED_TIMESTAMP_ANNOTATION: local.replace("+00:00", "Z")},
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
                "spec": _pod(schedule, (template and template.spec) or PodSettings(), settings),
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


def _pod(schedule: Schedule, wanted: PodSettings, settings: Settings) -> dict[str, Any]:
    """Return a pod spec within Pod Security "restricted", without a token for the API server."""
    placed = wanted.to_json_object()
    resources, env = placed.pop("resources", _DEFAULT_RESOURCES), placed.pop("env", [])
    return {
        **placed,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": RUN_CONTAINER,
                "image": settings.run_image,
                "imagePullPolicy": settings.run_image_pull_policy,
                "args": ["run", "--document", str(document.RUN_DIRECTORY / document.DOCUMENT_FILE)],
                "env": env,
                "resources": resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": _VOLUME, "mountPath": str(document.RUN_DIRECTORY), "readOnly": True}],
            }
        ],
        "volumes": [{"name": _VOLUME, "projected": {"defaultMode": 0o440, "sources": _sources(schedule)}}],
    }


def _sources(schedule: Schedule) -> list[dict[str, Any]]:
    """Return what a run is given: its document and, as files, the secrets that its schedule names.

    Secrets are optional: a missing one reaches the runner as a missing file, which it tells in a sentence, instead of
    a pod that
    never starts. 0440 with the pod's group is what libpq asks of a private key.
    """
    database = schedule.spec.database
    path = {"fieldPath": f"metadata.annotations['{RUN_ANNOTATION}']"}
    sources: list[dict[str, Any]] = [
        {"downwardAPI": {"items": [{"path": str(document.DOCUMENT_FILE), "fieldRef": path}]}},
        _secret(database.secret_key_ref.name, {str(database.secret_key_ref.key): document.DATABASE_URI_FILE}),
    ]
    if database.ca_secret_key_ref:
        reference = database.ca_secret_key_ref
        sources.append(_secret(reference.name, {str(reference.key): document.CA_CERTIFICATE_FILE}))
    if database.client_cert_secret_name:
        files = {"tls.crt": document.CLIENT_CERTIFICATE_FILE, "tls.key": document.CLIENT_KEY_FILE}
        sources.append(_secret(database.client_cert_secret_name, files))
    return sources


def _secret(name: str, files: Mapping[str, Any]) -> dict[str, Any]:
    items = [{"key": key, "path": str(path)} for key, path in files.items()]
    return {"secret": {"name": name, "optional": True, "items": items}}


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
