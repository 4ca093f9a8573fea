"""The operator in the cluster: the chart, installed by Helm with the image that was built here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from demo.errors import DemoError
from demo.kubectl import Kubectl
from tests.cluster.folders import REPOSITORY
from tests.cluster.operator_image import TAG

CHART: Final = REPOSITORY / "charts" / "trending-operator"
NAMESPACE: Final = "trending-system"
RELEASE: Final = "trending-operator"
ROLLOUT_SECONDS: Final = 300


def install(
    kubectl: Kubectl,
    *,
    namespace: str = NAMESPACE,
    release: str = RELEASE,
    image: str = TAG,
    values: Sequence[str] = (),
    chart: Path = CHART,
) -> None:
    """Install the chart or bring it up to date, and wait until the controller is ready; raises DemoError.

    `image` is one that the node holds; `values` are further settings as `helm --set` takes them; `chart` is a folder or
    an archive.
    """
    kubectl.ensure_namespace(namespace)
    _settle(kubectl, namespace, release)
    arguments = upgrade_arguments(
        kubectl, namespace=namespace, release=release, image=image, values=values, chart=chart
    )
    kubectl.program("helm", *arguments)
    wait_until_ready(kubectl, namespace=namespace, release=release)


def upgrade_arguments(
    kubectl: Kubectl, *, namespace: str, release: str, image: str, values: Sequence[str] = (), chart: Path = CHART
) -> list[str]:
    """Return helm's arguments; by the image's id among its annotations, another content of a tag is another pod."""
    repository, _, tag = image.rpartition(":")
    identity = kubectl.program("docker", "image", "inspect", "--format={{.Id}}", image).strip()
    settings = [f"image.repository={repository}", f"image.tag={tag}", *values]
    return [
        *("upgrade", "--install", release, str(chart), f"--namespace={namespace}"),
        # a CRD that outlived an earlier release, or came by kubectl, becomes this release's
        "--take-ownership",
        *(f"--set={setting}" for setting in settings),
        f"--set-string=podAnnotations.trending\\.dev/image-id={identity}",
    ]


def wait_until_ready(kubectl: Kubectl, *, namespace: str = NAMESPACE, release: str = RELEASE) -> None:
    """Wait until the controller's pod is the newest and ready; raises DemoError."""
    rollout = ("rollout", "status", f"deployment/{release}", f"--timeout={ROLLOUT_SECONDS}s")
    try:
        kubectl.run(f"--namespace={namespace}", *rollout, timeout=ROLLOUT_SECONDS + 10)
    except DemoError as error:
        look = f"kubectl -n {namespace} logs deployment/{release}; kubectl -n {namespace} describe pods"
        raise DemoError(f"The operator did not become ready: {error.sentence}", look=look) from error


def uninstall(kubectl: Kubectl, *, namespace: str = NAMESPACE, release: str = RELEASE) -> None:
    """Uninstall the chart; the CRD and all schedules stay."""
    wait = ("--wait", "--cascade=foreground")  # without the latter the pod outlives helm's command
    kubectl.program("helm", "uninstall", release, f"--namespace={namespace}", *wait, "--ignore-not-found", timeout=300)


def _settle(kubectl: Kubectl, namespace: str, release: str) -> None:
    """Undo what a helm that was killed left half done, since Helm would refuse to go on from it."""
    listed = json.loads(kubectl.program("helm", "list", "--all", f"--namespace={namespace}", "--output=json"))
    status = next((entry["status"] for entry in listed if entry["name"] == release), "")
    if status in ("pending-install", "uninstalling"):
        uninstall(kubectl, namespace=namespace, release=release)
    elif status.startswith("pending-"):
        kubectl.program("helm", "rollback", release, f"--namespace={namespace}")
