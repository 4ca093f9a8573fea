"""Plans for tests: as the real `trending plan`, or in this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.postgres.runs import NAMESPACE, SCHEDULE, start
from tests.postgres.server import Database
from trending.api.spec import TrendingScheduleSpec
from trending.runner.access import from_uri
from trending.runner.plan import Inquiry, make_plan
from trending.runner.stop import Stop

Answer = dict[str, Any]


def write(folder: Path, wanted: dict[str, Any]) -> Path:
    path = folder / "schedule.yaml"
    metadata = {"name": SCHEDULE, "namespace": NAMESPACE}
    document = {"apiVersion": "trending.dev/v1", "kind": "TrendingSchedule", "metadata": metadata, "spec": wanted}
    path.write_text(yaml.safe_dump(document))
    return path


def plan(database: Database, folder: Path, wanted: dict[str, Any], *more: str, exit_code: int = 0) -> Answer:
    """What `trending plan -o json` answers, as the real command."""
    process = start("plan", "-f", str(write(folder, wanted)), "-o", "json", *more, TRENDING_DATABASE_URI=database.uri)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (exit_code, ""), out + err
    answer: Answer = json.loads(out)
    return answer


def planned(
    database: Database,
    wanted: dict[str, Any],
    *,
    exit_code: int | None = 0,
    now: datetime | None = None,
    schedule: str = SCHEDULE,
) -> Answer:
    """The same from within this process, without what only the command looks at. No `exit_code`: any will do."""
    inquiry = Inquiry(
        namespace=NAMESPACE,
        schedule=schedule,
        spec=TrendingScheduleSpec.model_validate(wanted),
        access=from_uri(database.uri, origin="key uri of Secret discovery-db"),
        now=now,
    )
    stop = Stop(datetime.now(UTC) + timedelta(seconds=60))
    with stop.watching():
        found = make_plan(inquiry, stop=stop)
    assert exit_code in (None, found.exit_code), found
    return found.to_json_object()


def findings(answer: Answer, level: str) -> list[str]:
    return [f"{each['where']}: {each['sentence']}" for each in answer["preflight"] if each["level"] == level]
