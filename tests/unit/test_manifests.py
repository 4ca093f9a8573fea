"""What people apply with kubectl: the CRD and the examples."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from trending.api.spec import TrendingScheduleSpec
from trending.cli import main
from trending.controller.validity import refusal_of
from trending.presets import load_preset
from trending.schedule.decision import decide
from trending.schedule.observed import Schedule

ROOT = Path(__file__).parents[2]
OF_THE_DEMO = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
EXAMPLES = [*OF_THE_DEMO, *sorted((ROOT / "manifests" / "examples" / "more").glob("*.yaml"))]


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def crd() -> str:
    return CliRunner().invoke(main, ["crd"], catch_exceptions=False).output


@pytest.mark.parametrize("copy", ["manifests/crd.yaml", "charts/trending-operator/files/crd.yaml"])
def test_each_copy_of_the_crd_is_what_the_models_say(copy: str, crd: str) -> None:
    assert (ROOT / copy).read_text(encoding="utf-8") == crd, f"{copy} is out of date: run `make manifests`"


def test_there_are_examples() -> None:
    assert [path.name for path in OF_THE_DEMO] == ["audius-hourly.yaml", "audius-more.yaml", "own-query.yaml"]
    assert [path.name for path in EXAMPLES[3:]] == ["all-time-daily.yaml", "cloudnativepg.yaml", "many-targets.yaml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_and_names_presets_that_there_are(path: Path) -> None:
    for document in documents(path):
        spec = TrendingScheduleSpec.model_validate(document["spec"])
        for target in spec.rewrite:
            if target.preset:
                load_preset(target.preset.name, target.preset.time_ranges)


@pytest.mark.parametrize("path", OF_THE_DEMO, ids=lambda path: path.name)
def test_an_example_is_a_schedule_of_the_demos_namespace_and_holds_no_secret(path: Path) -> None:
    for document in documents(path):
        assert (document["apiVersion"], document["kind"]) == ("trending.dev/v1", "TrendingSchedule")
        assert document["metadata"]["namespace"] == "discovery"
        assert document["spec"]["database"]["secretKeyRef"] == {"name": "discovery-db", "key": "uri"}
    assert "postgresql://" not in path.read_text(encoding="utf-8")


def test_the_own_query_example_shows_the_table_that_the_demo_makes() -> None:
    shown = (ROOT / "manifests/examples/own-query.yaml").read_text(encoding="utf-8")
    made = (ROOT / "demo/genre_scores.sql").read_text(encoding="utf-8")
    assert _create_table(re.sub("^# ?", "", shown, flags=re.MULTILINE)) == _create_table(made)


def _create_table(text: str) -> list[str]:
    match = re.search(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+ \(.*?\n\s*\);)", text, re.DOTALL)
    assert match is not None
    return match[1].split()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_controller_accepts_an_example_which_shares_no_name_with_another(path: Path) -> None:
    for document in documents(path):
        metadata = {**document["metadata"], "uid": "1", "generation": 1, "creationTimestamp": "2026-11-26T00:00:00Z"}
        schedule = Schedule.from_object({**document, "metadata": {**metadata, "resourceVersion": "1"}})
        decision = decide(schedule, [], schedule.created, refusal=refusal_of(schedule))
        assert decision.refusal is None
        others = [each for other in EXAMPLES if other != path for each in documents(other)]
        assert metadata["name"] not in [each["metadata"]["name"] for each in others]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "manifests/examples/gitops").rglob("*.yaml")), ids=lambda path: path.name
)
def test_what_is_for_gitops_is_yaml_with_valid_schedules(path: Path) -> None:
    for document in documents(path):
        assert {"apiVersion", "kind"} <= set(document)
        if document["kind"] == "TrendingSchedule":
            TrendingScheduleSpec.model_validate(document["spec"])
