"""What is wrong with a schedule and only the controller can see: condition Accepted says it, and nothing is started."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import preset_target, query_target, schedule

CASES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "no-such-zone": ("UnknownTimeZone", "Mars/Olympus", {"timeZone": "Mars/Olympus"}),
    "suspended-too": ("UnknownTimeZone", "Mars/Olympus", {"timeZone": "Mars/Olympus", "suspend": True}),
    "never": ("InvalidSchedule", "never", {"schedule": "0 0 31 2 *"}),
    "no-such-preset": (
        "UnknownPreset",
        "audius/tracks-pnagE",
        {"rewrite": [{"name": "t", "preset": {"name": "audius/tracks-pnagE", "timeRanges": ["week"]}}]},
    ),
    "overlap": (
        "OverlappingSlices",
        "targets one and two rewrite the same rows of track_trending_scores",
        {"rewrite": [preset_target("one", "week", "month"), preset_target("two", "month", "allTime")]},
    ),
    "annotations": (
        "SpecTooLarge",
        "spec.template.metadata.annotations are too large",
        {"template": {"metadata": {"annotations": {"example.com/note": "x" * 16 * 1024}}}},
    ),
}


@pytest.fixture(scope="module")
def judged(shared_namespace: Namespace) -> Namespace:
    """All cases side by side."""
    good = schedule(query_target())
    shared_namespace.apply(
        *(
            {**good, "metadata": {"name": name}, "spec": good["spec"] | changes}
            for name, (_, _, changes) in CASES.items()
        )
    )
    return shared_namespace


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_that_is_not_accepted_says_why_and_starts_nothing(judged: Namespace, name: str) -> None:
    reason, words, _ = CASES[name]
    judged.request_run(name)
    event = judged.until_event(name, reason)
    status = judged.status(name)
    accepted = condition_of(status, "Accepted")
    assert (accepted["status"], accepted["reason"], accepted["observedGeneration"]) == ("False", reason, 1)
    assert words in accepted["message"]
    assert (event["type"], event["message"], event["count"]) == ("Warning", accepted["message"], 1)
    assert "nextScheduleTime" not in status
    assert judged.jobs(name) == []


def test_a_correction_is_accepted_and_the_request_is_served(namespace: Namespace, shared_database: Database) -> None:
    namespace.create_secret(shared_database.uri)
    namespace.apply(schedule(query_target(board="corrected"), timeZone="Mars/Olympus", immediate=False))
    namespace.until_event("scores", "UnknownTimeZone")
    request = namespace.request_run("scores")
    namespace.patch("scores", '{"spec": {"timeZone": "Europe/Berlin"}}')
    status = namespace.until_run_ended("scores")
    assert status["lastHandledRequest"] == request
    assert condition_of(status, "Accepted")["status"] == "True"
    assert status["nextScheduleTime"].endswith("-02-28T23:00:00Z")
