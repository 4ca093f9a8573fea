"""The chart's files, as far as no Helm is needed to read them."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "trending-operator"
TEMPLATES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir()))
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """The values that a user sets: a mapping that is empty or a pod's own (resources) is one of them."""
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value and name != "resources":
            yield from leaves(value, here)
        else:
            yield here


def test_the_charts_versions_are_the_packages() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_chart_refuses_kubernetes_before_1_31() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["kubeVersion"] == ">=1.31.0-0"


def test_every_value_is_used_and_every_used_value_has_a_default() -> None:
    templates = TEMPLATES.replace("$own.", ".Values.image.").replace("$run.", ".Values.runs.image.")
    used = {name.rstrip(".") for name in re.findall(r"\.Values\.([\w.]+)", templates)}
    given = set(leaves(yaml.safe_load(VALUES)))
    assert used - {"image", "runs.image"} == given


def test_every_top_level_value_says_what_it_is_for() -> None:
    lines = VALUES.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+:", line):
            above = lines[number - 1]
            below = lines[number + 1] if number + 1 < len(lines) else ""
            group = above and not above.startswith(" ")  # nodeSelector, tolerations, affinity share a comment
            assert group or below.startswith("  #"), f"values.yaml, line {number + 1}: {line} has no comment"


def test_the_controller_may_read_no_secret_and_grant_itself_nothing() -> None:
    role = re.sub(r"(?m)^\s*#.*$", "", (CHART / "templates" / "rbac.yaml").read_text(encoding="utf-8"))
    for word in ("secrets", "*", "pods/log", "pods/exec", "roles]", "escalate", "impersonate", "serviceaccounts"):
        assert word not in role
