"""The chart rendered by Helm: as snapshots, and as the manifests for people without Helm.

`python -m tests.charts.rendering`, which `make manifests` calls, writes both anew; tests say when they are out of date.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster import toolchain
from tests.cluster.cache import StepCache
from tests.cluster.folders import REPOSITORY, Folders
from tests.cluster.versions import KUBERNETES

Manifest = dict[str, Any]

CHART: Final = REPOSITORY / "charts" / "trending-operator"
RELEASE: Final = "trending-operator"
NAMESPACE: Final = "trending-system"
MANIFEST: Final = REPOSITORY / "manifests" / "operator.yaml"
VARIANTS: Final = sorted((Path(__file__).parent / "variants").glob("*.yaml"))
SNAPSHOTS: Final = Path(__file__).parent / "snapshots"
_HELMS_OWN: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by")
_HEAD: Final = "# Made from the chart by `make manifests`; change that.\n"


def find_helm() -> Path:
    """Return Helm: on PATH, or built from Go modules (45 s) and kept; raises ClusterError."""
    folders = Folders.from_environment()
    return toolchain.find("helm", folders, StepCache(folders.steps))


def render(helm: Path, *arguments: str, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Manifest]:
    """Return the chart's objects; raises RenderError with what Helm has against the values."""
    # without a server Helm goes by the version that it was built with, which not every build knows
    usual = ("template", release, str(CHART), f"--namespace={namespace}", f"--kube-version={KUBERNETES}")
    done = subprocess.run([helm, *usual, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return [document for document in yaml.safe_load_all(done.stdout) if document]


class RenderError(Exception):
    """Helm refused the values; the text is Helm's."""


def snapshot(helm: Path, variant: Path) -> str:
    """Return a variant as it is kept: less the CRD, and with the chart's own files by their names."""
    objects = [each for each in render(helm, f"--values={variant}") if each["kind"] != "CustomResourceDefinition"]
    # What Python compiled beside them, when a test imported one, is none of the chart's.
    paths = sorted(path for path in (CHART / "files").iterdir() if path.is_file())
    files = {path.read_text(encoding="utf-8").strip(): path for path in paths}
    for each in objects:
        if each["kind"] == "ConfigMap":
            named = {key: files.get(_unpadded(text)) for key, text in each["data"].items()}
            each["data"] = {
                key: f"<{path.relative_to(CHART)}>" if path else each["data"][key] for key, path in named.items()
            }
    return _HEAD + write(objects)


def plain_manifests(helm: Path) -> str:
    """Return what the chart installs, less the CRD, which has a file of its own, and less what is only for Helm."""
    objects = render(helm, "--set=crds.create=false", "--no-hooks")
    for each in objects:
        _drop_labels(each["metadata"])
        if each["kind"] == "Deployment":
            _drop_labels(each["spec"]["template"]["metadata"])
    return _HEAD + write(objects)


def write(objects: Iterable[Manifest]) -> str:
    """Return objects as YAML, in the order of their kinds and names, so that Helm's version does not show."""
    ordered = sorted(
        objects, key=lambda each: (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
    )
    return "---\n".join(yaml.dump(each, sort_keys=False, width=120, allow_unicode=True) for each in ordered)


def _drop_labels(metadata: Manifest) -> None:
    metadata["labels"] = {key: value for key, value in metadata["labels"].items() if key not in _HELMS_OWN}


def _unpadded(text: str) -> str:
    """A text as it was before Helm indented its empty lines."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def main() -> None:
    """Write snapshots and manifests anew."""
    helm = find_helm()
    for variant in VARIANTS:
        (SNAPSHOTS / variant.name).write_text(snapshot(helm, variant), encoding="utf-8")
    MANIFEST.write_text(plain_manifests(helm), encoding="utf-8")


if __name__ == "__main__":
    main()
