"""What is known of a run so far, and the report that comes of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trending.api.spec import TrendingScheduleSpec
from trending.api.status import Step, StepAction
from trending.report import Report, TargetReport
from trending.runner.conclusion import Problem, conclude
from trending.runner.failure import RunError
from trending.runner.ledger import RunIdentity, RunRow
from trending.runner.redact import Redactor
from trending.runner.stop import StoppedError

LOCAL_JOB: Final = "local"
"""The Job's name in the report of a run without a cluster."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    report: Report
    exit_code: int
    """0: nothing failed. 1: another attempt may succeed. 2: somebody has to change something first."""


def refuse(run: RunIdentity, spec: TrendingScheduleSpec, error: RunError) -> Outcome:
    """Return the outcome of a run that could not even begin."""
    record = Record(run, spec)
    record.ended_by(error)
    return record.outcome(Redactor(""))


class Record:
    """Collects steps, problems and timestamps while a run goes; several threads may tell it."""

    def __init__(self, run: RunIdentity, spec: TrendingScheduleSpec) -> None:
        self._run = run
        self._begun = datetime.now(UTC)
        self._steps: dict[tuple[StepAction, str], Step] = {}
        self._problems: list[Problem] = []
        self._failed: set[tuple[StepAction, str]] = set()
        self._superseded: list[str] = []
        self._due: list[tuple[StepAction, str]] = [("Refresh", view.materialized_view) for view in spec.refresh]
        self._due += [("Rewrite", target.name) for target in spec.rewrite]
        self._alone = threading.Lock()
        self.row: RunRow | None = None
        """The run's row in the ledger, once there is one."""
        self.fresh: dict[str, TargetReport] = {}
        """How fresh each target is, as far as the ledger could be asked."""

    @property
    def left(self) -> list[tuple[StepAction, str]]:
        """What is still to be done, in order."""
        return [due for due in self._due if due not in self._steps]

    @property
    def steps(self) -> list[Step]:
        """What was done or tried, in order."""
        return [self._steps[due] for due in self._due if due in self._steps]

    def done_step(self, action: StepAction, name: str) -> Step | None:
        """Return the step of a view or target that was done."""
        step = self._steps.get((action, name))
        return step if step and step.seconds is not None else None

    def has_failed(self, action: StepAction, name: str) -> bool:
        """Tell whether this view or target has failed."""
        return (action, name) in self._failed

    @property
    def was_stopped(self) -> bool:
        """Whether one of these is that the run was told to stop."""
        return any(isinstance(problem.error, StoppedError) for problem in self._problems)

    def take_over(self, refreshed: dict[str, Step]) -> None:
        """Count as done the refreshes that an earlier attempt of this run has committed.

        Targets are not taken over here: each looks, under its lock, whether it was written.
        """
        self._steps |= {due: refreshed[due[1]] for due in self._due if due[0] == "Refresh" and due[1] in refreshed}

    def done(self, step: Step, *, is_superseded: bool = False) -> None:
        """Note a step that went well, or a target whose slice held newer data already."""
        with self._alone:
            self._steps[step.action, step.name] = step
            if is_superseded:
                self._superseded.append(step.name)

    def leave_out(self, action: StepAction, name: str, why: str) -> None:
        """Note a view or target that this run is not to touch."""
        with self._alone:
            self._steps[action, name] = Step(name=name, action=action, note=why)

    def remark(self, action: StepAction, name: str, text: str) -> None:
        """Add to the note of a step that was done."""
        with self._alone:
            if step := self._steps.get((action, name)):
                note = f"{step.note}; {text}" if step.note else text
                self._steps[action, name] = step.model_copy(update={"note": note})

    def failed(self, action: StepAction, name: str, error: RunError) -> Step:
        """Note a view or target that failed; return its step."""
        kind = "materialized view" if action == "Refresh" else "target"
        step = Step(name=name, action=action, note=f"failed: {error}")
        with self._alone:
            self._problems.append(Problem(f"{kind} {name}", error))
            self._failed.add((action, name))
            self._steps[action, name] = step
        return step

    def ended_by(self, error: RunError) -> None:
        """Note what ended the run as a whole; that it was stopped is told once, where it was noticed first."""
        with self._alone:
            if not (self.was_stopped and isinstance(error, StoppedError)):
                self._problems.append(Problem("", error))

    def outcome(self, redactor: Redactor) -> Outcome:
        """Sum up; `redactor` has a last look at every sentence."""
        conclusion = conclude(self.steps, self._problems, self._superseded)
        steps = [self._steps.get(due) or Step(action=due[0], name=due[1], note="not done") for due in self._due]
        report = Report(
            job=self._run.job or LOCAL_JOB,
            scheduled_time=self.row.scheduled_time if self.row else self._run.scheduled_time,
            start_time=self.row.started_at if self.row else self._begun,
            completion_time=datetime.now(UTC),
            attempts=self.row.attempts if self.row else 1,
            result=conclusion.result,
            reason=conclusion.reason,
            message=redactor.text(conclusion.message),
            data_timestamp=self.row.data_timestamp if self.row else None,
            steps=tuple(
                step.model_copy(update={"note": redactor.text(step.note)}) if step.note else step for step in steps
            ),
            targets=tuple(self.fresh[name] for action, name in self._due if action == "Rewrite" and name in self.fresh),
        )
        return Outcome(report, conclusion.exit_code)
