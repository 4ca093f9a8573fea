"""The operator as the chart installed it: its pod, and the ways in which the tests get in its way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from demo import release
from demo.kubectl import Kubectl
from tests.e2e.waiting import Object, until_objects
from trending.api.names import PLURAL

_CHART: Final = "trending-operator-"
_STATUS: Final = f"{PLURAL}/status"


@dataclass(frozen=True, kw_only=True)
class Controller:
    """A release of the chart."""

    kubectl: Kubectl
    namespace: str = release.NAMESPACE
    release: str = release.RELEASE

    @classmethod
    def find(cls, kubectl: Kubectl) -> Controller | None:
        """Return the release that is in the cluster; None where there is none. Two would both act on all schedules."""
        listed = json.loads(kubectl.program("helm", "list", "--all", "--all-namespaces", "--output=json"))
        found = [entry for entry in listed if entry["chart"].startswith(_CHART)]
        if not found:
            return None
        return cls(kubectl=kubectl, namespace=found[0]["namespace"], release=found[0]["name"])

    def install(self) -> None:
        """Install the chart of this checkout, or bring the release up to it; wait until it is ready."""
        release.install(self.kubectl, namespace=self.namespace, release=self.release)

    def uninstall(self) -> None:
        """Uninstall the chart; the CRD and all schedules stay."""
        release.uninstall(self.kubectl, namespace=self.namespace, release=self.release)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl printed, in the release's namespace."""
        return self.kubectl.run(f"--namespace={self.namespace}", *arguments, stdin=stdin)

    @property
    def selector(self) -> str:
        """What selects the controller's pods."""
        return f"app.kubernetes.io/instance={self.release}"

    def pod(self) -> Object:
        """Return the controller's pod; there is one, less those that are on their way out."""
        pods = self.kubectl.list("pods", namespace=self.namespace, selector=self.selector)
        (pod,) = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
        return pod

    def logs(self) -> str:
        """Return what the controller's pod has logged."""
        return self.run("logs", f"deployment/{self.release}")

    def kill(self) -> None:
        """Kill the controller's process at once, and wait until another one leads."""
        self.run("delete", "pods", f"--selector={self.selector}", "--force", "--grace-period=0")
        release.wait_until_ready(self.kubectl, namespace=self.namespace, release=self.release)
        self.until_leading()

    def until_leading(self) -> None:
        """Wait until one of the pods that there are holds the Lease."""

        def led(leases: list[Object]) -> bool:
            pods = self.kubectl.list("pods", namespace=self.namespace, selector=self.selector)
            names = {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
            holders = {lease["spec"].get("holderIdentity", "").partition("_")[0] for lease in leases}
            return bool(names & holders)

        what = "a controller leads"
        until_objects(self.kubectl, "leases", led, what=what, namespace=self.namespace, selector=self.selector)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have no controller for the while of the block."""
        self._scale(0)
        try:
            until_objects(
                self.kubectl,
                "pods",
                lambda pods: not pods,
                what="the controller is down",
                namespace=self.namespace,
                selector=self.selector,
            )
            yield
        finally:
            self._scale(1)
            release.wait_until_ready(self.kubectl, namespace=self.namespace, release=self.release)

    @contextmanager
    def without_status_writes(self) -> Iterator[None]:
        """Take the right to write schedules' status from the controller for the while of the block."""
        role = f"{self.namespace}:{self.release}"
        before = self._rules(role)
        self._set_rules(role, [rule for rule in before if _STATUS not in rule["resources"]])
        try:
            yield
        finally:
            self._set_rules(role, before)

    def _scale(self, replicas: int) -> None:
        self.run("scale", f"deployment/{self.release}", f"--replicas={replicas}")

    def _rules(self, role: str) -> list[dict[str, Any]]:
        found = self.kubectl.get("clusterrole", role) or {}
        rules: list[dict[str, Any]] = found["rules"]
        return rules

    def _set_rules(self, role: str, rules: list[dict[str, Any]]) -> None:
        self.kubectl.run("patch", "clusterrole", role, "--type=merge", f"--patch={json.dumps({'rules': rules})}")
