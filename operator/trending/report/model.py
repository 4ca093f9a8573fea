"""The report of a run."""

from typing import Final, Literal

from pydantic import ConfigDict

from trending.api.instant import PreciseInstant
from trending.api.model import ApiModel
from trending.api.status import Result, StatusModel, Step

MAX_REPORT_BYTES: Final = 4096
"""The kubelet keeps the last 4,096 bytes of a termination message; a longer one would lose its beginning."""

RunReason = Literal["RunSucceeded", "RunFailed", "DeadlineExceeded", "ConfigurationError", "ConnectionError"]


class TargetReport(StatusModel):
    """How fresh a target's data are after the run, from the ledger, whoever wrote them."""

    name: str
    """The target's name."""
    data_timestamp: PreciseInstant | None = None
    """The instant that the data in its slice tell of; absent where nothing was ever written."""
    rows: int | None = None
    """How many rows its slice has."""


class Report(ApiModel):
    """How a run went, in the words of `status.lastRun`, and how fresh its targets are now."""

    model_config = ConfigDict(extra="ignore")

    job: str
    """The Job's name; of `trending run`, `local`."""
    scheduled_time: PreciseInstant | None = None
    start_time: PreciseInstant
    completion_time: PreciseInstant
    attempts: int = 1
    result: Result
    reason: RunReason
    message: str
    """One sentence: what was done, or what went wrong, where, and what to do."""
    data_timestamp: PreciseInstant | None = None
    """The run's `:now`; absent where the run never reached the database."""
    steps: tuple[Step, ...] = ()
    targets: tuple[TargetReport, ...] = ()

    @property
    def rows_changed(self) -> int:
        """Rows inserted, updated and deleted in all targets."""
        counts = ((step.rows_inserted, step.rows_updated, step.rows_deleted) for step in self.steps)
        return sum(count or 0 for step in counts for count in step)

    @property
    def strategies(self) -> str:
        """The strategies used, in order of first use, such as `Merge,DeleteInsert`."""
        named = (name for step in self.steps if step.strategy for name in step.strategy.split(","))
        return ",".join(dict.fromkeys(named))
