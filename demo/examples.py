"""The schedules of manifests/examples/, applied as a person applies them, and their first runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from demo import runs, view
from demo.kubectl import Kubectl
from demo.postgres import NAMESPACE
from tests.cluster.console import say
from tests.cluster.folders import REPOSITORY
from trending.api.names import PLURAL

EXAMPLES: Final = REPOSITORY / "manifests" / "examples"


def apply_until_succeeded(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    """Apply the examples and show them until the last run of each has succeeded; returns them by name.

    Their first runs start by themselves; one whose last run has failed is run by hand. Raises DemoError.
    """
    before = {schedule["metadata"]["name"]: schedule for schedule in kubectl.list(PLURAL, namespace=NAMESPACE)}
    say("   " + kubectl.run("apply", f"--filename={EXAMPLES}").strip().replace("\n", "\n   "))
    names = example_names(EXAMPLES)
    again = [name for name in names if runs.last_result(before.get(name, {})) not in ("", "Succeeded")]
    after = {name: runs.request_run(kubectl, name, namespace=NAMESPACE) for name in again}
    with view.live(kubectl, NAMESPACE) as draw:
        return runs.wait_for_success(kubectl, *names, namespace=NAMESPACE, after=after, changed=draw)


def example_names(folder: Path) -> list[str]:
    """Return the names of the schedules in a folder of manifests."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return [document["metadata"]["name"] for text in texts for document in yaml.safe_load_all(text)]
