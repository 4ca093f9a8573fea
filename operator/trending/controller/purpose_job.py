"""A Job that does in the cluster what is no run: a plan, or a migration. The controller never counts it as one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from trending.api.names import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    PURPOSE_LABEL,
    RUN_ANNOTATION,
    SCHEDULE_LABEL,
    SCHEDULED_TIMESTAMP_ANNOTATION,
)
from trending.api.pod import PodMetadata
from trending.controller.manifests import run_document
from trending.controller.pod_spec import DOCUMENT_PATH, RunImage, pod_spec
from trending.schedule.observed import Schedule

Purpose = Literal["plan", "migrate"]

_LONGEST_NAME: Final = 45
_SECONDS_KEPT: Final = 600
"""Whoever made it deletes it; this is for the case that they cannot."""


def build_purpose_job(
    schedule: Schedule, purpose: Purpose, image: RunImage, now: datetime, *, arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a Job of one pod like a run's: with the same document, Secrets, placement and rights.

    It carries neither a schedule's label nor an owner, by which runs are told, and its name is none that a run could
    have: that ends in digits, or in m and eight digits.
    """
    metadata = (schedule.spec.template and schedule.spec.template.metadata) or PodMetadata()
    labels = {
        **{name: value for name, value in (metadata.labels or {}).items() if name != SCHEDULE_LABEL},
        MANAGED_BY_LABEL: MANAGED_BY,
        PURPOSE_LABEL: purpose,
    }
    annotations = {
        name: value for name, value in (metadata.annotations or {}).items() if name != SCHEDULED_TIMESTAMP_ANNOTATION
    }
    name = f"{schedule.name[:_LONGEST_NAME]}-{purpose}-p{secrets.token_hex(4)[1:]}"
    document = run_document(schedule, job=name, trigger="Manual", scheduled_time=now, now=now)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": schedule.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": schedule.spec.active_deadline_seconds,
            "ttlSecondsAfterFinished": _SECONDS_KEPT,
            "template": {
                "metadata": {"labels": labels, "annotations": {**annotations, RUN_ANNOTATION: document}},
                "spec": pod_spec(schedule, image, [purpose, "--document", DOCUMENT_PATH, *arguments]),
            },
        },
    }
