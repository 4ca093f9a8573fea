"""The spec of a `TrendingSchedule`: what a user writes.

Each field stands here with the code that honours it; descriptions are what `kubectl explain` prints. Where a rule
owes the
user a sentence, the schema has no enum, required or minItems: those have texts of the API server's own and keep it from
saying ours.
"""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from trending.api import refused
from trending.api.duration import Duration, DurationOrZero
from trending.api.model import ApiModel, rules
from trending.api.pod import PodTemplate

MAX_REFRESHES: Final = 16
MAX_TARGETS: Final = 24
MAX_QUERY_LENGTH: Final = 8192
MAX_SLICE_COLUMNS: Final = 8
MAX_SLICE_VALUES: Final = 64

_ZERO: Final[JsonDict] = {"default": "0s"}
"""The default as the API server is to write it; pydantic writes durations otherwise."""

SqlName = Annotated[str, Field(min_length=1, max_length=256)]
"""A name as written in SQL: `scores`, `analytics.scores`, `analytics."Hot Posts"`."""

TimeRange = Literal["week", "month", "year", "allTime"]
Persist = Literal["all", "positive"]
Strategy = Literal["Auto", "Merge", "Swap", "DeleteInsert", "Upsert"]
Maintenance = Literal["Auto", "Never"]
RefreshMode = Literal["Auto", "Concurrently", "Blocking"]


class SecretKeyRef(ApiModel):
    """A key of a Secret in this namespace."""

    model_config = ConfigDict(json_schema_extra=rules(refused.NO_SECRET_KEY))

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The Secret's name."""
    key: Annotated[str | None, Field(max_length=253)] = None
    """The key within it, such as `uri`; there is no default, so that nobody has to guess it."""

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        if not self.key:
            raise ValueError(refused.NO_SECRET_KEY.message)
        return self


class Database(ApiModel):
    """Which database runs work on, and with which settings."""

    secret_key_ref: SecretKeyRef
    """Where the connection URI is: `postgresql://user:password@host:5432/database?sslmode=verify-full`. The key `uri`
    of a
    CloudNativePG cluster's app secret is one. Only runs' pods read it, as a file; the controller cannot."""
    ca_secret_key_ref: SecretKeyRef | None = None
    """Where the certificate of the CA is that the server's certificate is checked against (libpq's sslrootcert)."""
    client_cert_secret_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """A Secret of type kubernetes.io/tls with the client certificate and key (libpq's sslcert and sslkey)."""
    settings: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]] | None,
        Field(max_length=32, json_schema_extra=rules(refused.RESERVED_SETTING)),
    ] = None
    """PostgreSQL settings of runs' sessions, as strings: {work_mem: 256MB, jit: "off", statement_timeout: 20min}. The
    role,
    the transactions' modes and TimeZone (always UTC) are the operator's own."""

    parallelism: Annotated[int, Field(ge=1, le=8)] = 1
    """How many connections rewrite targets side by side, all with the same data timestamp and, where nothing has to be
    seen that was made meanwhile, the same snapshot. Targets that share an input go one after another."""
    maintenance: Maintenance = "Auto"
    """Auto has a run VACUUM (ANALYZE) what it churned where autovacuum would come too late; Never leaves that to
    others."""

    @model_validator(mode="after")
    def _leaves_reserved_settings(self) -> Self:
        for name in self.settings or {}:
            if refused.is_reserved_setting(name):
                raise ValueError(f"settings.{name}: {refused.RESERVED_SETTING.message}")
        return self


class Refresh(ApiModel):
    """A materialized view to refresh."""

    materialized_view: SqlName
    """The view's name, as in SQL; the server resolves it."""
    mode: RefreshMode = "Auto"
    """Auto refreshes CONCURRENTLY where the view allows it and blocks its readers otherwise, saying so in the step;
    Concurrently never blocks
    readers and fails instead; Blocking is the plain REFRESH."""


class Preset(ApiModel):
    """A ranking that the operator brings: table, slice, key, stamp and query."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The preset's name, such as audius/tracks-pnagD."""
    time_ranges: Annotated[
        list[TimeRange], Field(min_length=1, max_length=4, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """Which time ranges to compute, such as [week, month]."""
    persist: Persist = "all"
    """Which scores to store: all of them, or only those above zero. The first run after a change from all to positive
    deletes all zeros, which maxDeletePercent refuses where they are most of the slice: set it to 100 for that run."""


class Target(ApiModel):
    """A slice of a table to rewrite, from a preset or from a query of your own."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            refused.PRESET_AND_QUERY,
            refused.NEITHER_PRESET_NOR_QUERY,
            refused.PRESET_WITH_TABLE,
            refused.QUERY_WITHOUT_TABLE,
            refused.QUERY_WITHOUT_SLICE,
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$")]
    """The target's name within this schedule; steps, metrics and status use it."""
    preset: Preset | None = None
    """A ranking that the operator brings; instead of table, slice, query, key and stamp."""
    table: SqlName | None = None
    """The table to rewrite a slice of, as in SQL; the server resolves it."""
    slice: Annotated[
        dict[
            str,
            Annotated[
                list[Annotated[str, Field(max_length=256)]],
                Field(min_length=1, max_length=MAX_SLICE_VALUES, json_schema_extra={"x-kubernetes-list-type": "set"}),
            ],
        ]
        | None,
        Field(max_length=MAX_SLICE_COLUMNS),
    ] = None
    """Which rows of the table are this target's: columns with the values they may have, as strings, such as
    {board: [main], kind: [a, b]}. Rows outside are never touched. {} is the whole table."""
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_LENGTH)] | None = None
    """The SELECT whose rows the slice is to hold, columns matched by name. `:now` is the run's data timestamp.
    Columns for
    which the slice has one value are filled in; a row outside the slice is an error."""
    key: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]] | None,
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = None
    """The columns that tell two rows of the slice apart; by default the table's primary key less the columns for
    which the slice has one value."""
    stamp: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """A column that is set to the run's data timestamp in rows that change; by default created_at where the table has
    one."""
    strategy: Strategy = "Auto"
    """How the slice is rewritten. Merge writes only rows that differ; Swap builds new partitions and exchanges them;
    DeleteInsert deletes the slice and inserts it again; Upsert is INSERT .. ON CONFLICT; Auto measures what would
    change and takes the cheapest."""
    every: Duration | None = None
    """How often the target is due, where that is less often than the schedule: it is rewritten by the first run whose
    slot is this much later than that of its last scheduled write. A run by hand rewrites all targets."""
    stale_after: Duration | None = None
    """How old the target's data may become before condition Fresh turns False; the schedule's staleAfter plus `every`
    by default."""
    allow_empty: bool = False
    """Whether a query that returns no rows may empty the slice, whatever maxDeletePercent says; by default it fails the
    target."""
    max_delete_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """Of the rows that the slice has, the share whose key the query may lack; a query that would have the run delete
    more fails the target, and nothing is written. A slice without rows has none to lose."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        for broken, rule in (
            (self.preset and self.query is not None, refused.PRESET_AND_QUERY),
            (not self.preset and self.query is None, refused.NEITHER_PRESET_NOR_QUERY),
            (
                self.preset and (self.table or self.slice is not None or self.key or self.stamp),
                refused.PRESET_WITH_TABLE,
            ),
            (not self.preset and not self.table, refused.QUERY_WITHOUT_TABLE),
            (not self.preset and self.slice is None, refused.QUERY_WITHOUT_SLICE),
        ):
            if broken:
                raise ValueError(f"target {self.name}: {rule.message}")
        return self


class TrendingScheduleSpec(ApiModel):
    """When to recompute, on which database, which views to refresh and which slices of tables to rewrite."""

    model_config = ConfigDict(json_schema_extra=rules(refused.NO_TARGETS))

    schedule: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            json_schema_extra=rules(
                refused.ZONE_IN_SCHEDULE,
                refused.UNKNOWN_DESCRIPTOR,
                refused.BAD_EVERY,
                refused.SHORT_EVERY,
                refused.NOT_FIVE_FIELDS,
                refused.BAD_FIELD,
            ),
        ),
    ]
    """When to run, as a CronJob reads it: five fields (minute, hour, day of month, month, day of week), @hourly and
    its kin, or @every 90m."""
    time_zone: Annotated[str, Field(max_length=64, json_schema_extra=rules(refused.NO_ZONE))] = "Etc/UTC"
    """The IANA name of the time zone in which the schedule is read, such as Europe/Berlin."""
    suspend: bool = False
    """Whether to start no further runs by schedule; an active one goes on, and a run by hand still starts."""
    immediate: bool = False
    """Whether a first run is due at the object's creation, before the first slot of the schedule."""
    concurrency_policy: Annotated[str, Field(max_length=32, json_schema_extra=rules(refused.NO_SUCH_POLICY))] = "Forbid"
    """What happens to a slot that comes due, or a run that is asked for, while a run is active. Forbid: it waits; a
    slot is run late if it is still the newest. Replace: the active run's Job is deleted first; nothing half written
    remains of it."""
    starting_deadline_seconds: (
        Annotated[int, Field(json_schema_extra=rules(refused.SHORT_DEADLINE, format="int64", maximum=10**9))] | None
    ) = None
    """For how many seconds after its instant a slot may still be started; for as long as it is the newest one by
    default."""
    spread: Annotated[DurationOrZero, Field(json_schema_extra=_ZERO)] = timedelta(0)
    """Each slot starts later by a part of this time that depends on the schedule's namespace and name alone, so that
    not all schedules start at once; less than the shortest time between two slots. Jobs and scheduledTime name the
    slot all the same."""
    min_interval: Annotated[DurationOrZero, Field(json_schema_extra=_ZERO)] = timedelta(0)
    """No slot starts sooner than this after the end of the last successful run: it waits, and is run late if it is
    still the newest. A run by hand does not wait."""
    stale_after: Duration | None = None
    """How old the data may become before condition Fresh turns False; twice the longest gap between slots by
    default."""
    successful_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 3
    """How many succeeded Jobs to keep."""
    failed_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many failed Jobs to keep."""
    database: Database
    """The database that runs work on."""
    refresh: Annotated[
        tuple[Refresh, ...],
        Field(
            max_length=MAX_REFRESHES,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["materializedView"]},
        ),
    ] = ()
    """Materialized views to refresh, in this order, before anything is rewritten."""
    rewrite: Annotated[
        tuple[Target, ...],
        Field(
            max_length=MAX_TARGETS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """The targets: slices of tables to rewrite. At least one."""
    template: PodTemplate | None = None
    """How runs' Jobs and pods are placed, provided for and labelled."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 2
    """How many times a run's pod is tried again after a failure that may pass; one that will not pass is not tried
    again."""
    active_deadline_seconds: Annotated[int, Field(ge=120, le=604800)] = 3600
    """After how many seconds a run is ended, retries included. The runner stops by itself 45 s before, so that its
    report is kept."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.rewrite:
            raise ValueError(refused.NO_TARGETS.message)
        if self.concurrency_policy not in ("Forbid", "Replace"):
            raise ValueError(f"concurrencyPolicy {self.concurrency_policy!r}: {refused.NO_SUCH_POLICY.message}")
        if self.starting_deadline_seconds is not None and self.starting_deadline_seconds < 1:
            raise ValueError(refused.SHORT_DEADLINE.message)
        for kind, names in (
            ("rewrite", [target.name for target in self.rewrite]),
            ("refresh", [refresh.materialized_view for refresh in self.refresh]),
        ):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"spec.{kind} names {name!r} twice; give each entry a name of its own")
        return self
