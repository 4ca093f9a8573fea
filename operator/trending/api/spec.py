"""The spec of a `TrendingSchedule`: what a user writes.

Each field stands here with the code that honours it; descriptions are what `kubectl explain` prints. Where a rule owes
the user a sentence, the schema has no enum, required or minItems: those have texts of the API server's own and keep it
from saying ours.
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
    """The Secret's name, in the schedule's namespace."""
    key: Annotated[str | None, Field(max_length=253)] = None
    """The key within the Secret, such as uri. There is no default, so that nobody has to guess it."""

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        if not self.key:
            raise ValueError(refused.NO_SECRET_KEY.message)
        return self


class Database(ApiModel):
    """Which database runs work on, and with which settings."""

    secret_key_ref: SecretKeyRef
    """The Secret and key that hold the connection URI:
    `postgresql://user:password@host:5432/database?sslmode=verify-full`. The key uri of a CloudNativePG cluster's app
    secret is one. Only runs' pods read it, as a file; the controller cannot."""
    ca_secret_key_ref: SecretKeyRef | None = None
    """The Secret and key that hold the certificate of the CA by which the server is checked (libpq's sslrootcert). With
    it sslmode is verify-full, unless the URI says otherwise."""
    client_cert_secret_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """A Secret of type kubernetes.io/tls whose certificate and key the run shows to the server (libpq's sslcert and
    sslkey)."""
    settings: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]] | None,
        Field(max_length=32, json_schema_extra=rules(refused.RESERVED_SETTING)),
    ] = None
    """PostgreSQL settings of runs' sessions, as strings, such as {work_mem: 256MB, jit: "off", statement_timeout:
    20min}. The role, the transactions' modes and TimeZone (always UTC) are the operator's own."""

    parallelism: Annotated[int, Field(ge=1, le=8)] = 1
    """How many targets are rewritten at a time, each by a connection of its own; a run needs one more, which holds its
    locks. All targets get the same data timestamp and, unless one has to begin again, see the same snapshot. Targets
    that share an input go one after another."""
    maintenance: Maintenance = "Auto"
    """What becomes of the dead rows that a run leaves. Auto: where they are a tenth of a table, or more than autovacuum
    waits for, the run does VACUUM (ANALYZE) itself. Never: they are left to others."""

    @model_validator(mode="after")
    def _leaves_reserved_settings(self) -> Self:
        for name in self.settings or {}:
            if refused.is_reserved_setting(name):
                raise ValueError(f"settings.{name}: {refused.RESERVED_SETTING.message}")
        return self


class Refresh(ApiModel):
    """A materialized view to refresh."""

    materialized_view: SqlName
    """The view's name, written as in SQL; the server's search_path resolves it."""
    mode: RefreshMode = "Auto"
    """How the view is refreshed. Auto: CONCURRENTLY where the view allows it, so that its readers go on; otherwise by a
    plain REFRESH, which locks them out, and the step says for how long and what ends that. Concurrently: never locks
    readers out, and fails where the view does not allow it. Blocking: always the plain REFRESH. A view allows
    CONCURRENTLY once it has been populated and has a unique index on plain columns, without a predicate."""


class Preset(ApiModel):
    """A ranking that the operator brings: table, slice, key, stamp and query."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The preset's name, such as audius/tracks-pnagD."""
    time_ranges: Annotated[
        list[TimeRange], Field(min_length=1, max_length=4, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """Which time ranges to compute, such as [week, month]. Each preset has its own."""
    persist: Persist = "all"
    """Which scores to store. all: every one. positive: only those above zero. The first run after a change from all to
    positive deletes all zeros, which maxDeletePercent refuses where they are most of the slice: set it to 100 for that
    run."""


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
    """The target's name, unique within this schedule. Steps, status and metrics use it."""
    preset: Preset | None = None
    """A ranking that the operator brings, instead of table, slice, query, key and stamp."""
    table: SqlName | None = None
    """The table to rewrite a slice of, written as in SQL, such as scores or analytics."Hot Posts"; the server's
    search_path resolves it."""
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
    """Which rows of the table are this target's: columns, each with the values that it may have, as strings, such as
    {board: [main], kind: [a, b]}. Rows outside the slice are never touched. {} is the whole table. No two targets of a
    schedule may share rows."""
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_LENGTH)] | None = None
    """The SELECT whose rows the slice is to hold; columns are matched by name. :now in it is the run's data timestamp,
    a timestamptz that is the same for all targets. A column for which the slice has one value may be left out, and is
    filled in. The query can only read. Where it returns no rows (see allowEmpty), a key twice, a null in a key or a row
    outside the slice, the target fails and nothing is written."""
    key: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]] | None,
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = None
    """The columns that tell two rows of the slice apart. By default the table's primary key, less the columns for which
    the slice has one value."""
    stamp: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """A column that is set to the run's data timestamp in rows that change, and in no others. By default created_at,
    where the table has one."""
    strategy: Strategy = "Auto"
    """How the slice is rewritten. Auto: measures what would change, takes the cheapest way, and says in the step which
    and why. Merge: writes only the rows that differ. Swap: builds new partitions beside the old ones and exchanges
    them, for slices that are whole partitions. DeleteInsert: deletes the slice and inserts it again. Upsert: INSERT ..
    ON CONFLICT, kept to compare the others with."""
    every: Duration | None = None
    """How often the target is due, where that is less often than the schedule, such as 24h. It is rewritten by the
    first run whose slot is this much later than the slot of its last scheduled write. A run by hand rewrites all
    targets, and does not move this rhythm."""
    stale_after: Duration | None = None
    """How old the target's data may become before condition Fresh turns False, such as 26h. By default the schedule's
    staleAfter and every together."""
    allow_empty: bool = False
    """Whether a query that returns no rows may empty the slice, whatever maxDeletePercent says. By default it fails the
    target, and nothing is written."""
    max_delete_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """How many percent of the slice's rows a run may delete, counted by key: rows that come again under the same key
    are not deleted. A query that lacks more keys fails the target, and nothing is written. A slice without rows has
    none to lose."""

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
    """When to run, as a CronJob reads it: five fields (minute, hour, day of month, month, day of week) such as */15
    8-18 * * MON-FRI, a word such as @hourly, or @every 90m. Each such instant is a slot, and each slot has one Job at
    most."""
    time_zone: Annotated[str, Field(max_length=64, json_schema_extra=rules(refused.NO_ZONE))] = "Etc/UTC"
    """The IANA name of the time zone in which the schedule is read, such as Europe/Berlin."""
    suspend: bool = False
    """Whether to start no further runs by schedule. An active run goes on, and a run by hand still starts."""
    immediate: bool = False
    """Whether a first run is due when the object is created, before the schedule's first slot."""
    concurrency_policy: Annotated[str, Field(max_length=32, json_schema_extra=rules(refused.NO_SUCH_POLICY))] = "Forbid"
    """What happens to a slot that comes due, or a run that is asked for, while a run is active. Forbid: it waits; a
    slot is run late if it is still the newest. Replace: the active run's Job is deleted first, and nothing half written
    remains of it."""
    starting_deadline_seconds: (
        Annotated[int, Field(json_schema_extra=rules(refused.SHORT_DEADLINE, format="int64", maximum=10**9))] | None
    ) = None
    """How many seconds after its instant a slot may still be started; later it counts as missed. By default it may be
    started until a newer one has come."""
    spread: Annotated[DurationOrZero, Field(json_schema_extra=_ZERO)] = timedelta(0)
    """Over how long the starts of many schedules are drawn apart, such as 10m. Each slot starts later by a part of this
    time, always the same part, which depends on the schedule's namespace and name. It has to be less than the shortest
    time between two slots. Jobs and scheduledTime name the slot all the same."""
    min_interval: Annotated[DurationOrZero, Field(json_schema_extra=_ZERO)] = timedelta(0)
    """How long after the end of the last successful run no slot starts, such as 90m. It waits, and is run late if it is
    still the newest. A run by hand does not wait."""
    stale_after: Duration | None = None
    """How old the data may become before condition Fresh turns False, such as 2h. By default twice the longest gap
    between slots."""
    successful_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 3
    """How many succeeded Jobs to keep, with their pods and logs."""
    failed_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many failed Jobs to keep, with their pods and logs."""
    database: Database
    """The database that runs work on, and how they connect."""
    refresh: Annotated[
        tuple[Refresh, ...],
        Field(
            max_length=MAX_REFRESHES,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["materializedView"]},
        ),
    ] = ()
    """Materialized views to refresh, in this order, before anything is rewritten. If one fails the run ends, and no
    target is rewritten."""
    rewrite: Annotated[
        tuple[Target, ...],
        Field(
            max_length=MAX_TARGETS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """The targets: which slices of which tables to rewrite, and with what. At least one. Each is a transaction of its
    own, and one that fails does not stop the others."""
    template: PodTemplate | None = None
    """Where runs' pods are placed, what they may use, and which labels and annotations Jobs and pods carry."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 2
    """How many times a run's pod is tried again after a failure that may pass, such as a lost connection. One that will
    not pass, such as a missing right, is not tried again."""
    active_deadline_seconds: Annotated[int, Field(ge=120, le=604800)] = 3600
    """After how many seconds a run is ended, retries included. The runner stops by itself 45 seconds before that, so
    that its report is kept."""

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
