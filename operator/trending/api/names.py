"""Names that users, their dashboards and their scripts rely on; none of them may change."""

from typing import Final

GROUP: Final = "trending.dev"
VERSION: Final = "v1"
API_VERSION: Final = "trending.dev/v1"
KIND: Final = "TrendingSchedule"
PLURAL: Final = "trendingschedules"
SINGULAR: Final = "trendingschedule"

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "trending-operator"
SCHEDULE_LABEL: Final = f"{GROUP}/schedule"
JOB_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
"""On pods, by the Job controller."""

PURPOSE_LABEL: Final = f"{GROUP}/purpose"
"""On Jobs that are no runs, such as those of `kubectl trending plan`; these carry no schedule's label."""

REQUESTED_AT_ANNOTATION: Final = f"{GROUP}/requestedAt"
RUN_ANNOTATION: Final = f"{GROUP}/run"
SCHEDULED_TIMESTAMP_ANNOTATION: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
GENERATION_ANNOTATION: Final = f"{GROUP}/generation"
"""On a Job: the generation of the spec that it was made from."""

RUN_CONTAINER: Final = "run"
"""The one container of a run's pod; the Job's pod failure policy names it."""

MAX_NAME_LENGTH: Final = 52
"""A Job's name adds a minus and up to ten digits and has to stay a label (63 characters), as for a CronJob."""
