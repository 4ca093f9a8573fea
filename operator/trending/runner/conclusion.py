"""What a run comes to: result, reason, one sentence, exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trending.api.status import Result, Step
from trending.report.model import RunReason
from trending.runner.failure import RunError
from trending.runner.stop import StoppedError


@dataclass(frozen=True)
class Problem:
    """Something that failed."""

    name: str
    """What failed, such as `target tracks`; empty for the run itself."""
    error: RunError

    def __str__(self) -> str:
        return f"{self.name}: {self.error}" if self.name else str(self.error)


@dataclass(frozen=True)
class Conclusion:
    """How a run ended."""

    result: Result
    reason: RunReason
    message: str
    exit_code: int
    """0: nothing failed. 1: another attempt may succeed. 2: somebody has to change something first."""


def conclude(steps: Sequence[Step], problems: Sequence[Problem], superseded: Sequence[str]) -> Conclusion:
    """Sum up. One failed target makes the run Failed; it is Superseded where every target that was due is.

    A step without seconds, of a target that was not due, was not done.
    """
    if problems:
        return _failed(problems)
    done = [step for step in steps if step.seconds is not None]
    rewrites = [step for step in done if step.action == "Rewrite"]
    if rewrites and len(superseded) == len(rewrites):
        message = "every target's slice holds newer data than this run's, and nothing was written"
        return Conclusion("Superseded", "RunSucceeded", message, 0)
    left_out = [step for step in steps if step.action == "Rewrite" and step.seconds is None]
    achieved = _achieved(done, rewrites, superseded)
    return Conclusion("Succeeded", "RunSucceeded", _with_left_out(achieved, left_out), 0)


def _failed(problems: Sequence[Problem]) -> Conclusion:
    told = [str(problem) for problem in problems]
    message = told[0] if len(told) == 1 else f"{len(told)} failures: {'; '.join(told)}"
    stopped = next((problem.error for problem in problems if isinstance(problem.error, StoppedError)), None)
    if stopped:
        return Conclusion(stopped.result, stopped.reason, message, 1)
    # The first of those that decide the exit code.
    decisive = next((problem.error for problem in problems if problem.error.retry), problems[0].error)
    return Conclusion("Failed", decisive.reason, message, 1 if decisive.retry else 2)


def _achieved(steps: Sequence[Step], rewrites: Sequence[Step], superseded: Sequence[str]) -> str:
    parts = []
    if views := len(steps) - len(rewrites):
        parts.append(f"refreshed {_count(views, 'view')}")
    if targets := len(rewrites) - len(superseded):
        parts.append(f"rewrote {_count(targets, 'target')}: {_rows(rewrites)}")
    if superseded:
        parts.append(f"superseded by newer data: {', '.join(superseded)}")
    return "; ".join(parts)


def _with_left_out(achieved: str, left_out: Sequence[Step]) -> str:
    """Add the targets that were not due; where nothing else is to be told, why each was not."""
    if not achieved:
        reasons = [f"{step.name} is {step.note}" for step in left_out]
        return f"nothing was to be done: {'; '.join(reasons)}" if reasons else "nothing was to be done"
    return f"{achieved}; not due: {', '.join(step.name for step in left_out)}" if left_out else achieved


def _rows(rewrites: Sequence[Step]) -> str:
    counts = {
        "inserted": sum(step.rows_inserted or 0 for step in rewrites),
        "updated": sum(step.rows_updated or 0 for step in rewrites),
        "deleted": sum(step.rows_deleted or 0 for step in rewrites),
    }
    changed = (
        ", ".join(f"{_count(count, 'row')} {word}" for word, count in counts.items() if count) or "no row had changed"
    )
    return f"{changed}, {sum(step.rows_unchanged or 0 for step in rewrites)} unchanged"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
