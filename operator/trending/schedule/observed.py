"""What a decision looks at: a schedule and its Jobs, as read from the API server, in the few fields that matter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from trending.api.document import Trigger
from trending.api.instant import parse_instant
from trending.api.names import GENERATION_ANNOTATION, REQUESTED_AT_ANNOTATION, SCHEDULED_TIMESTAMP_ANNOTATION
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import TrendingScheduleStatus
from trending.schedule.job_names import is_manual_name, slot_minute

Finish = Literal["Complete", "Failed"]
_DECIDED: Final = ("SuccessCriteriaMet", "FailureTarget")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A TrendingSchedule."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    requested_at: str | None
    """The value of annotation trending.dev/requestedAt."""
    spec: TrendingScheduleSpec
    status: TrendingScheduleStatus
    raw_spec: Mapping[str, Any]
    """The spec as it was read, for the run document's snapshot."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Schedule":
        """Read an object of the API. Raises pydantic's ValidationError (a ValueError) where spec or status is not as
        the schema has it."""
        metadata = body["metadata"]
        return cls(
            namespace=metadata.get("namespace", "default"),
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 1),
            resource_version=metadata.get("resourceVersion", ""),
            created=parse_instant(metadata["creationTimestamp"]),
            deleting="deletionTimestamp" in metadata,
            requested_at=(metadata.get("annotations") or {}).get(REQUESTED_AT_ANNOTATION),
            spec=TrendingScheduleSpec.model_validate(body["spec"]),
            status=TrendingScheduleStatus.model_validate(body.get("status") or {}),
            raw_spec=body["spec"],
        )

    @property
    def request(self) -> str | None:
        """What it is asked for by hand, unless the written status tells that this is handled."""
        return None if self.requested_at == self.status.last_handled_request else self.requested_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A Job that carries the operator's labels."""

    namespace: str
    name: str
    uid: str
    owner: str | None
    """The uid of the object that controls it."""
    created: datetime
    started: datetime | None
    """status.startTime."""
    scheduled_time: datetime | None
    """Its slot, or for a run by hand the second it was created in. The slot of a run that has one is the name's, to the
    minute: the name is what makes a slot run once, and anybody may change an annotation."""
    trigger: Trigger
    finished: Finish | None
    """Its condition Complete or Failed; a Job that is being deleted but has neither is active."""
    ended: datetime | None
    """When it got that condition."""
    end_reason: str | None = None
    """The condition's reason, such as BackoffLimitExceeded."""
    end_message: str | None = None
    """The condition's message."""
    ready: int = 0
    """How many of its pods are ready."""
    ending: int = 0
    """How many of its pods have ended and are not yet counted: no pod is waited for."""
    failed: int = 0
    """How many of its pods have failed."""
    terminating: int = 0
    """How many of its pods are being deleted while the Job goes on, by somebody else than the Job controller."""
    suspended: bool = False
    """Whether somebody holds it: it has no pods."""
    generation: int | None = None
    """The generation of the spec that it was made from; None where it does not say."""

    @property
    def runs(self) -> bool:
        """Whether no pod of it is waited for: one runs, or has just ended."""
        return self.ready > 0 or self.ending > 0

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Job":
        """Read a Job of the API."""
        metadata, status = body["metadata"], body.get("status") or {}
        annotations = metadata.get("annotations") or {}
        owner = next((o["uid"] for o in metadata.get("ownerReferences") or [] if o.get("controller")), None)
        created = parse_instant(metadata["creationTimestamp"])
        finish, end = _end(status)
        return cls(
            namespace=metadata.get("namespace", "default"),
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            owner=owner,
            created=created,
            started=_instant(status.get("startTime")),
            scheduled_time=_scheduled_time(metadata["name"], annotations.get(SCHEDULED_TIMESTAMP_ANNOTATION)),
            trigger="Manual" if is_manual_name(metadata["name"]) else "Schedule",
            finished=finish,
            ended=_instant(end.get("lastTransitionTime")) or (created if finish else None),
            end_reason=end.get("reason"),
            end_message=end.get("message"),
            ready=status.get("ready") or 0,
            ending=_ending(status),
            failed=status.get("failed") or 0,
            terminating=0 if _is_decided(status) else status.get("terminating") or 0,
            suspended=bool((body.get("spec") or {}).get("suspend")),
            generation=_readable_generation(annotations.get(GENERATION_ANNOTATION)),
        )


def _end(status: Mapping[str, Any]) -> tuple[Finish | None, Mapping[str, Any]]:
    for condition in status.get("conditions") or []:
        if condition.get("status") == "True":
            if condition.get("type") == "Complete":
                return "Complete", condition
            if condition.get("type") == "Failed":
                return "Failed", condition
    return None, {}


def _ending(status: Mapping[str, Any]) -> int:
    """Count pods that have ended and of which the Job controller has yet to say what that means for the Job.

    It first notes them as uncounted and says whether the Job will be Complete or Failed, in a write or two, and only
    then that it is (kubernetes/pkg/controller/job/job_controller.go, trackJobStatusAndRemoveFinalizers).
    """
    uncounted = status.get("uncountedTerminatedPods") or {}
    return sum(len(pods or ()) for pods in uncounted.values()) or int(_is_decided(status))


def _is_decided(status: Mapping[str, Any]) -> bool:
    """Tell whether the Job controller has said whether the Job will be Complete or Failed."""
    conditions = status.get("conditions") or []
    return any(c.get("type") in _DECIDED and c.get("status") == "True" for c in conditions)


def _scheduled_time(name: str, annotation: str | None) -> datetime | None:
    told, minute = _readable_instant(annotation), slot_minute(name)
    return told if minute is None or (told and minute <= told < minute + timedelta(minutes=1)) else minute


def _readable_instant(text: str | None) -> datetime | None:
    """Read an annotation, which anybody may change: one Job's nonsense must not keep the others from being read."""
    try:
        return _instant(text)
    except ValueError:
        return None


def _readable_generation(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[1-9][0-9]{0,17}", text) else None


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None
