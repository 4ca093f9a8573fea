"""The status of a `TrendingSchedule`: what the controller says of it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trending.api.instant import Instant
from trending.api.model import ApiModel

Result = Literal["Succeeded", "Failed", "Superseded", "Replaced", "DeadlineExceeded"]
StepAction = Literal["Refresh", "Rewrite"]
StepMode = Literal["Concurrent", "Blocking"]
ConditionStatus = Literal["True", "False", "Unknown"]


class StatusModel(ApiModel):
    """An object of the status; a field that a newer controller wrote is passed over, not an error."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """One aspect of the schedule's state, as Kubernetes' API conventions have it."""

    type: Annotated[str, Field(max_length=316)]
    """Accepted, Fresh, Succeeded, Progressing or CadenceAtRisk."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: int | None = None
    """The generation of the spec that this was said of."""
    last_transition_time: Instant
    """When the status last changed."""
    reason: Annotated[str, Field(max_length=1024)]
    """One word for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """A sentence for people."""


class ActiveRun(StatusModel):
    """A run whose Job has not finished."""

    name: str
    """The Job's name."""
    uid: str
    """The Job's uid."""
    scheduled_time: Instant | None = None
    """The slot, or for a run by hand the second it was started in."""


class Step(StatusModel):
    """What a run did with one view or one target."""

    name: str
    """The view's or target's name."""
    action: StepAction
    """Refresh or Rewrite."""
    mode: StepMode | None = None
    """How a view was refreshed: Concurrent or Blocking."""
    strategy: str | None = None
    """How a slice was rewritten."""
    seconds: float | None = None
    """How long it took; absent where it was not done."""
    rows_inserted: int | None = None
    """Rows that came."""
    rows_updated: int | None = None
    """Rows that changed."""
    rows_deleted: int | None = None
    """Rows that went."""
    rows_unchanged: int | None = None
    """Rows that stayed as they were."""
    wal_bytes: int | None = None
    """Bytes of write-ahead log that the server wrote meanwhile, others' included."""
    note: str | None = None
    """What else is to say: why this way, what went wrong."""


class LastRun(StatusModel):
    """The newest finished run."""

    job: str
    """Its Job's name."""
    scheduled_time: Instant | None = None
    """Its slot, or for a run by hand the second it was started in."""
    start_time: Instant | None = None
    """When its Job started."""
    completion_time: Instant | None = None
    """When its Job finished."""
    duration: str | None = None
    """From start to completion, such as 3m2s."""
    attempts: int | None = None
    """How many pods it took."""
    result: Result
    """How it ended."""
    reason: str | None = None
    """One word for programs."""
    message: str | None = None
    """A sentence for people."""
    rows_changed: int | None = None
    """Rows inserted, updated and deleted in all targets."""
    strategies: str | None = None
    """The strategies used, such as Merge,DeleteInsert."""
    steps: tuple[Step, ...] = ()
    """What was done, in order."""


class TargetStatus(StatusModel):
    """How fresh a target's data are."""

    name: str
    """The target's name."""
    data_timestamp: Instant | None = None
    """The instant that its data tell of: the database's time before the first refresh of the run that wrote them."""
    stale_time: Instant | None = None
    """When the data become too old."""
    rows: int | None = None
    """How many rows its slice has."""


class ObservedSchedule(StatusModel):
    """The schedule and zone that scheduleSince counts for."""

    schedule: str
    """spec.schedule as it was then."""
    time_zone: str
    """spec.timeZone as it was then."""


class TrendingScheduleStatus(StatusModel):
    """What the controller has seen and done."""

    observed_generation: int | None = None
    """The generation of the spec that this status tells of."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Accepted: the spec is valid. Fresh: the data are younger than staleAfter. Succeeded: the last run did.
    Progressing: a run is active. CadenceAtRisk: runs take nearly as long as the time between them."""
    active: tuple[ActiveRun, ...] = ()
    """Runs whose Jobs have not finished."""
    active_count: int | None = None
    """How many these are."""
    last_schedule_time: Instant | None = None
    """The newest slot that was started."""
    next_schedule_time: Instant | None = None
    """When the next slot may start, as far as is known: its instant, later by spread, not before minInterval allows.
    Absent while suspended or invalid."""
    last_successful_time: Instant | None = None
    """When the last successful run completed."""
    last_failure_time: Instant | None = None
    """When the last failed run ended."""
    last_missed_time: Instant | None = None
    """The newest slot that was missed: too late for its deadline, or passed over for a newer one."""
    last_handled_request: str | None = None
    """The value of annotation trending.dev/requestedAt that was handled last."""
    schedule_since: Instant | None = None
    """From when slots count: the object's creation, or when the controller first saw the schedule edited."""
    observed_schedule: ObservedSchedule | None = None
    """The schedule and zone that scheduleSince counts for."""
    data_timestamp: Instant | None = None
    """The data timestamp of the target that goes stale first."""
    stale_time: Instant | None = None
    """When that target goes stale."""
    consecutive_failures: int | None = None
    """How many runs have failed since the last success."""
    last_run: LastRun | None = None
    """The newest finished run."""
    recent_seconds: tuple[int, ...] = ()
    """How long the last runs took, five at most, the newest last; those that were superseded do not count."""
    targets: Annotated[
        tuple[TargetStatus, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = ()
    """How fresh each target is."""
