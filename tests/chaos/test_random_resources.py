"""Whatever is applied, the controller goes on: each resource is refused with a sentence, or its status tells of it."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.chaos.hostile_specs import hostile_specs
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_process import controller
from tests.unit.valid_specs import VALID_SPECS
from tests.waiting import until
from trending.api.names import API_VERSION, KIND, REQUESTED_AT_ANNOTATION

SCHEDULES = "/apis/trending.dev/v1/namespaces/default/trendingschedules"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
REFUSED = frozenset({400, 422})
"""What the API server answers to an object that it cannot read, and to one that breaks a rule."""
NOT_ACCEPTED = frozenset(
    ("InvalidSchedule", "UnknownTimeZone", "UnknownPreset", "OverlappingSlices", "NameTooLong", "SpecTooLarge")
)
STEADY: dict[str, Any] = {
    "schedule": "* * * * *",
    "concurrencyPolicy": "Replace",
    "immediate": True,
    "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
    "rewrite": [{"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
}
SECONDS = 300.0


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Draw values; the same ones each time, so that what fails can be looked at."""
    values: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(value: Any) -> None:
        values.append(value)

    keep()
    return values


def resource(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def apply(plane: ControlPlane, body: Mapping[str, Any]) -> str | None:
    """Create a resource; None where the API server takes it, else what it says against it."""
    try:
        plane.request("POST", SCHEDULES, body)
    except urllib.error.HTTPError as error:
        with error:
            answer = json.loads(error.read())
        if error.code not in REFUSED:
            raise
        return str(answer["message"])
    return None


def told(plane: ControlPlane, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
    """Return condition Accepted of each schedule; None until all have it."""
    items = plane.request("GET", SCHEDULES)["items"]
    conditions = {
        item["metadata"]["name"]: condition
        for item in items
        for condition in item.get("status", {}).get("conditions", [])
        if condition["type"] == "Accepted"
    }
    return conditions if set(names) <= conditions.keys() else None


def run_by_hand(plane: ControlPlane, name: str, request: str) -> None:
    """Ask for a run and wait until it is active."""
    plane.request("PATCH", f"{SCHEDULES}/{name}", {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: request}}})

    def is_handled() -> bool:
        status = plane.request("GET", f"{SCHEDULES}/{name}").get("status", {})
        return bool(status.get("lastHandledRequest") == request)

    until(is_handled, what=f"request {request} is handled", seconds=SECONDS)


def test_each_random_resource_is_refused_or_told_of_and_the_others_go_on(
    plane: ControlPlane, pytestconfig: pytest.Config
) -> None:
    count = int(pytestconfig.getoption("random_resources"))
    specs = [*drawn(VALID_SPECS, count // 4), *drawn(hostile_specs(), count - count // 4)]
    bodies = [resource(f"random-{number}", spec) for number, spec in enumerate(specs)]
    with controller(plane) as process, ThreadPoolExecutor(8) as several:
        plane.request("POST", SCHEDULES, resource("steady", STEADY))
        quarter = len(bodies) // 4 + 1
        answers: list[str | None] = []
        for start in range(0, len(bodies), quarter):
            answers += several.map(lambda body: apply(plane, body), bodies[start : start + quarter])
            run_by_hand(plane, "steady", f"after {len(answers)}")
        accepted = [body["metadata"]["name"] for body, answer in zip(bodies, answers, strict=True) if answer is None]
        assert len(accepted) > count // 8
        assert len(answers) - len(accepted) > count // 8
        assert [answer for answer in answers if answer is not None and len(answer) < 20] == []

        conditions = until(lambda: told(plane, accepted), what="each accepted resource is told of", seconds=SECONDS)
        unclear = [
            condition
            for condition in conditions.values()
            if not condition["message"] or (condition["status"] == "False" and condition["reason"] not in NOT_ACCEPTED)
        ]
        assert unclear == []
        assert {"True", "False"} == {condition["status"] for condition in conditions.values()}
        run_by_hand(plane, "steady", "in the end")
        assert process.is_live
        assert "passed over" not in process.log.read_text()
        assert "Traceback" not in process.log.read_text()
