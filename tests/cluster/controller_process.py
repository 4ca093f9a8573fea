"""This checkout's controller as a process beside a control plane: started, killed, frozen, as often as a test likes."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from tests.cluster.component import Component, free_ports
from tests.cluster.control_plane import ADMIN, ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.folders import REPOSITORY

RUN_IMAGE: Final = "trending-operator:none"
"""No pod of it ever runs."""
_LIVE_SECONDS: Final = 60.0


class ControllerProcess(Component):
    """`trending controller`, whose /healthz can be asked."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        name: str = "trending-operator-0",
        user: str = ADMIN,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.health_port, self.metrics_port = free_ports(2)
        env = {
            "KUBECONFIG": str(plane.kubeconfig(user)),
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "TRENDING_RUN_IMAGE": RUN_IMAGE,
            "TRENDING_HEALTH_PORT": str(self.health_port),
            "TRENDING_METRICS_PORT": str(self.metrics_port),
            "POD_NAME": name,
            "POD_NAMESPACE": "trending-system",
            **(environment or {}),
        }
        argv = [*prefix, sys.executable, "-m", "trending", "controller"]
        super().__init__(argv, log=plane.folder / f"{name}.log", env=env)

    @property
    def is_live(self) -> bool:
        """Whether /healthz answers 200."""
        return self.answers("/healthz")

    def answers(self, path: str) -> bool:
        """Tell whether a path of the health port answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def wait_until_live(self) -> None:
        """Return once it is live; raises ClusterError where it ends before, or takes a minute."""
        deadline = time.monotonic() + _LIVE_SECONDS
        while not self.is_live:
            self.check()
            if time.monotonic() > deadline:
                raise ClusterError(f"{self.name} did not become live; its log is {self.log}")
            time.sleep(0.1)


@contextmanager
def controller(
    plane: ControlPlane,
    *,
    name: str = "trending-operator-0",
    user: str = ADMIN,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[ControllerProcess]:
    """Have the controller run, and live, for the while of the block; raises ClusterError.

    `name` is its POD_NAME and names its log in the plane's folder; `environment` is added to what it is told; `prefix`
    is put before its command, such as `("faketime", "+1h")`.
    """
    started = ControllerProcess(plane, name=name, user=user, environment=environment, prefix=prefix)
    try:
        started.start()
        started.wait_until_live()
        yield started
    finally:
        started.kill()
