"""Runs for tests: in this process, or as the real `trending run` of a pod or a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.postgres.server import Database
from tests.waiting import SECONDS
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import Step, StepAction
from trending.report import Report, read_termination_message
from trending.runner.access import from_uri
from trending.runner.ledger import RunIdentity
from trending.runner.migrate import migrate
from trending.runner.record import Outcome
from trending.runner.run import Order, perform
from trending.runner.stop import Stop

NAMESPACE = "discovery"
SCHEDULE = "hourly"
OPERATOR = Path(__file__).parents[2] / "operator"


@dataclass
class Heard:
    """Notes what a run says of itself while it goes; others can wait for it."""

    lines: list[str] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        self.says(f"plans {work}")

    def starts(self, action: StepAction, name: str) -> None:
        self.says(f"starts {action} {name}")

    def ends(self, step: Step) -> None:
        self.says(f"ends {step.action} {step.name}")

    def says(self, text: str) -> None:
        with self._more:
            self.lines.append(text)
            self._more.notify_all()

    def wait_for(self, part: str, *, timeout: float = SECONDS) -> None:
        with self._more:
            if not self._more.wait_for(lambda: any(part in line for line in self.lines), timeout=timeout):
                raise AssertionError(f"{part!r} was not said within {timeout} s: {self.lines}")


def ledger(database: Database, *, preset: str | None = None) -> None:
    """Apply the migrations, as their owner does once."""
    with database.connect(autocommit=True) as connection:
        migrate(connection, preset=preset, say=lambda _: None)


def spec(**fields: Any) -> TrendingScheduleSpec:
    """A spec as a dict would have it; what a test does not care for has a default."""
    return TrendingScheduleSpec.model_validate(spec_dict(**fields))


def spec_dict(**fields: Any) -> dict[str, Any]:
    database = {"secretKeyRef": {"name": "discovery-db", "key": "uri"}, **fields.pop("database", {})}
    return {"schedule": "0 * * * *", "database": database, **fields}


def identity(run_id: str | None = None, *, schedule: str = SCHEDULE) -> RunIdentity:
    """A run of its own, or the attempt of a given one."""
    return RunIdentity(
        run_id=run_id or f"test/{uuid.uuid4()}",
        namespace=NAMESPACE,
        schedule=schedule,
        job="hourly-1",
        trigger="Schedule",
        scheduled_time=datetime.now(UTC).replace(microsecond=0),
    )


def run(
    database: Database,
    wanted: TrendingScheduleSpec,
    *,
    now: datetime | None = None,
    who: RunIdentity | None = None,
    uri: str | None = None,
    seconds: float = 120,
    heard: Heard | None = None,
) -> Outcome:
    """Do a run in this process; `seconds` until its deadline."""
    access = from_uri(uri or database.uri, origin="key uri of Secret discovery-db")
    order = Order(run=who or identity(), spec=wanted, access=access, now=now)
    stop = Stop(datetime.now(UTC) + timedelta(seconds=seconds))
    with stop.watching():
        return perform(order, stop=stop, progress=heard or Heard())


def report_of(outcome: Outcome, *, exit_code: int = 0) -> Report:
    """The report of a run that ended with this exit code, as it had to."""
    assert outcome.exit_code == exit_code, outcome.report.message
    return outcome.report


def step_of(report: Report, name: str) -> Step:
    return next(step for step in report.steps if step.name == name)


def counts(report: Report, name: str) -> tuple[int | None, int | None, int | None, int | None]:
    """Rows inserted, updated, deleted, unchanged."""
    step = step_of(report, name)
    return step.rows_inserted, step.rows_updated, step.rows_deleted, step.rows_unchanged


@dataclass(frozen=True)
class Pod:
    """What a Job's pod finds in its one volume, in a folder of the test's."""

    folder: Path

    @classmethod
    def prepare(cls, folder: Path, wanted: dict[str, Any], *, uri: str | None, seconds: float = 120) -> Pod:
        """Write the run document and, unless it is to be missing, the URI."""
        now = datetime.now(UTC)
        document = {
            "apiVersion": "trending.dev/v1",
            "namespace": NAMESPACE,
            "name": SCHEDULE,
            "uid": "5f0c1a52-0000-4000-8000-000000000000",
            "job": "hourly-29000000",
            "trigger": "Schedule",
            "scheduledTime": now.isoformat(),
            "deadline": (now + timedelta(seconds=seconds)).isoformat(),
            "spec": wanted,
        }
        (folder / "run.json").write_text(json.dumps(document))
        if uri is not None:
            (folder / "database").mkdir(exist_ok=True)
            (folder / "database" / "uri").write_text(uri)
        return cls(folder)

    def start(self) -> subprocess.Popen[str]:
        """Start `trending run` as the pod does."""
        return start("run", "--document", str(self.folder / "run.json"), TERMINATION_LOG=str(self._message))

    def run(self) -> tuple[int, str]:
        """Run it to its end; its exit code, and all that it said in whatever way."""
        return self.ended(self.start())

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err + (self._message.read_text() if self._message.exists() else "")

    @property
    def _message(self) -> Path:
        return self.folder / "termination-log"

    def report(self) -> Report:
        """The report that it left behind as termination message."""
        report = read_termination_message(self._message.read_text())
        assert report is not None
        return report


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `trending` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "trending", *arguments],
        env={**os.environ, "PYTHONPATH": str(OPERATOR), "COLUMNS": "200", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def own_target(**fields: Any) -> dict[str, Any]:
    """A target with a query of one's own, on the whole table `hot` unless it says otherwise."""
    return {"name": "own", "table": "hot", "slice": {}, **fields}
