"""A plan as it is told: preflight, refreshes, rewrites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from pydantic.alias_generators import to_camel, to_snake

from trending.api.instant import format_precise, parse_instant
from trending.runner.preflight import Finding

_T = TypeVar("_T", Finding, "PlannedRefresh", "PlannedRewrite")


@dataclass(frozen=True, kw_only=True)
class PlannedRefresh:
    """How a view would be refreshed."""

    name: str
    mode: str | None
    """Concurrent or Blocking; None where it would fail."""
    why: str
    seconds: float | None
    wal_bytes: int | None
    """Both the medians of the runs that `runs` counts."""
    runs: int


@dataclass(frozen=True, kw_only=True)
class PlannedRewrite:
    """How a slice would be rewritten."""

    name: str
    table: str | None = None
    slice: dict[str, list[str]] | None = None
    due: bool
    """Whether a run of the schedule would rewrite it now; a run by hand rewrites every target."""
    note: str | None = None
    """Why it is not due, and what else is to say."""
    strategy: str | None = None
    why: str | None = None
    rows: int | None = None
    """How many the slice would have; all of these None where nobody can tell, for the reason in `error` or `note`."""
    rows_inserted: int | None = None
    rows_updated: int | None = None
    rows_deleted: int | None = None
    rows_unchanged: int | None = None
    seconds: float | None = None
    wal_bytes: int | None = None
    runs: int = 0
    error: str | None = None
    """The sentence that the run would fail this target with."""


@dataclass(kw_only=True)
class RunPlan:
    """The answer."""

    data_timestamp: datetime | None = None
    """The `:now` that it was planned for."""
    preflight: list[Finding] = field(default_factory=list)
    refresh: list[PlannedRefresh] = field(default_factory=list)
    rewrite: list[PlannedRewrite] = field(default_factory=list)
    may_pass: bool = False
    """Whether something could not be planned for a reason that another attempt may not meet."""

    @property
    def exit_code(self) -> int:
        """0: a run would work. 2: it would fail, and somebody has to change something first. 1: it may pass."""
        if any(finding.level == "error" for finding in self.preflight):
            return 2
        if any(rewrite.error for rewrite in self.rewrite):
            return 1 if self.may_pass else 2
        return 0

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `-o json` prints it."""
        return {
            "dataTimestamp": self.data_timestamp and format_precise(self.data_timestamp),
            "preflight": [finding.to_json_object() for finding in self.preflight],
            "refresh": [_camel(each) for each in self.refresh],
            "rewrite": [_camel(each) for each in self.rewrite],
        }

    @classmethod
    def from_json_object(cls, told: Mapping[str, Any]) -> RunPlan:
        """Read what `-o json` has printed, of another version of the operator perhaps. Raises ValueError."""
        try:
            at = told["dataTimestamp"]
            return cls(
                data_timestamp=parse_instant(at) if at else None,
                preflight=[_read(Finding, each) for each in told["preflight"]],
                refresh=[_read(PlannedRefresh, each) for each in told["refresh"]],
                rewrite=[_read(PlannedRewrite, each) for each in told["rewrite"]],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no plan ({type(error).__name__}: {error})") from None


def _read(kind: type[_T], told: Mapping[str, Any]) -> _T:
    """Read one part of a plan; what is not known of it is passed over."""
    known = {each.name for each in fields(kind)}
    return kind(**{to_snake(name): value for name, value in told.items() if to_snake(name) in known})


def _camel(each: PlannedRefresh | PlannedRewrite) -> dict[str, Any]:
    return {to_camel(name): value for name, value in asdict(each).items()}
