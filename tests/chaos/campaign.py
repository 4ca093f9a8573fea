"""Two controllers, schedules of every minute, and a hand that kills, freezes, stops and cuts what it likes."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

from tests.chaos.audit import audit_flags
from tests.chaos.kubelet import kubelet
from tests.chaos.link import Link, kubeconfig_by
from tests.chaos.verdict import SPREAD_SECONDS, Name, wrong_in
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.controller_process import ControllerProcess
from tests.cluster.folders import REPOSITORY
from tests.waiting import until
from trending.api.names import SCHEDULE_LABEL
from trending.controller.leadership import Periods

NAMESPACE: Final = "trending-system"
LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/trending-operator"
LONGER_THAN_THE_LEASE: Final = Periods().lease + 2 * Periods().retry
_SKEWED: Final = Path(__file__).with_name("skewed")


@dataclass(frozen=True)
class Replica:
    """A controller and its way to the API server."""

    process: ControllerProcess
    link: Link


@dataclass
class Campaign:
    """What is disturbed, and what was done to it."""

    plane: ControlPlane
    folder: Path
    replicas: Sequence[Replica]
    chance: random.Random
    say: Callable[[str], None]

    def apply(self, names: Sequence[Name], **spec: Any) -> None:
        """Create the schedules of those namespaces and names, or give those that are there another spec."""
        for namespace, name in names:
            path = f"/apis/trending.dev/v1/namespaces/{namespace}/trendingschedules"
            body = {"apiVersion": "trending.dev/v1", "kind": "TrendingSchedule", "metadata": {"name": name}}
            try:
                self.plane.request("POST", path, {**body, "spec": _spec(**spec)})
            except HTTPError as error:
                with error:
                    if error.code != 409:
                        raise
                self.plane.request("PATCH", f"{path}/{name}", {"spec": spec})

    def leader(self) -> Replica | None:
        """Return who holds the Lease; None where nobody does, or nobody of those who live."""
        try:
            holder = self.plane.request("GET", LEASE)["spec"].get("holderIdentity")
        except HTTPError as error:
            error.close()
            return None
        return next((each for each in self.replicas if each.process.name == holder), None)

    def wait_for_leader(self, *, other_than: Replica | None = None) -> Replica:
        """Return who leads, as soon as somebody does."""

        def look() -> Replica | None:
            leader = self.leader()
            return leader if leader is not None and leader is not other_than else None

        return until(look, what="somebody leads", pause=0.05)

    def wrong(self, names: Sequence[Name]) -> dict[str, str]:
        """Return what schedules that are suspended and at rest say that is not so."""
        found = {}
        for namespace, name in names:
            body = self.plane.request("GET", f"/apis/trending.dev/v1/namespaces/{namespace}/trendingschedules/{name}")
            selector = f"labelSelector={SCHEDULE_LABEL}%3D{name}"
            jobs = self.plane.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs?{selector}")["items"]
            if trouble := wrong_in(body, jobs):
                found[f"{namespace}/{name}"] = trouble
        return found

    def disturb(self, name: str) -> None:
        """Do what the name says to one or another, and make good again what does not of itself."""
        self.say(name)
        getattr(self, name)()
        self.plane.wait_until_ready()
        for replica in self.replicas:
            replica.process.start()

    def kill_the_leader(self) -> None:
        leader = self.wait_for_leader()
        leader.process.kill()
        time.sleep(self.chance.uniform(0, 3))

    def kill_the_leader_and_see_another_lead(self) -> None:
        leader = self.wait_for_leader()
        leader.process.kill()
        self.wait_for_leader(other_than=leader)

    def kill_one(self) -> None:
        self.chance.choice(self.replicas).process.kill()
        time.sleep(self.chance.uniform(0, 3))

    def freeze_the_leader(self) -> None:
        """For longer than its Lease: it wakes up as a leader that is none any more."""
        leader = self.wait_for_leader()
        leader.process.freeze()
        try:
            time.sleep(LONGER_THAN_THE_LEASE + self.chance.uniform(0, 2))
        finally:
            leader.process.thaw()

    def freeze_the_leader_for_a_moment(self) -> None:
        leader = self.wait_for_leader()
        leader.process.freeze()
        try:
            time.sleep(self.chance.uniform(0.5, Periods().lease))
        finally:
            leader.process.thaw()

    def stop_the_leader(self) -> None:
        """As a rollout does."""
        self.wait_for_leader().process.stop()
        time.sleep(self.chance.uniform(0, 2))

    def cut_the_leader_off(self) -> None:
        leader = self.wait_for_leader()
        leader.link.set(self.chance.choice(("refusing", "silent")))
        try:
            time.sleep(LONGER_THAN_THE_LEASE + self.chance.uniform(0, 2))
        finally:
            leader.link.set("open")

    def cut_all_watches(self) -> None:
        for replica in self.replicas:
            replica.link.drop()

    def slow_etcd(self) -> None:
        for _ in range(5):
            self.plane.etcd.freeze()
            try:
                time.sleep(self.chance.uniform(0.3, 2.5))
            finally:
                self.plane.etcd.thaw()
            time.sleep(self.chance.uniform(0.2, 1))

    def stop_the_api_server(self) -> None:
        self._api_server_away(self.chance.uniform(4, 12))

    def stop_the_api_server_for_two_minutes(self) -> None:
        self._api_server_away(120)

    def _api_server_away(self, seconds: float) -> None:
        self.plane.api_server.stop()
        time.sleep(seconds)
        self.plane.api_server.start()
        self.plane.wait_until_ready()


@contextmanager
def campaign(
    *, seed: int, skews: Sequence[float] = (0.0, 0.0), say: Callable[[str], None] = print
) -> Iterator[Campaign]:
    """Have a control plane, a controller for each skew of its clock, in seconds, and somebody who ends the runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trending-audit-")))
        plane = stack.enter_context(control_plane(controllers=(), api_server_flags=audit_flags(folder)))
        plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        stack.enter_context(kubelet(plane))
        replicas = []
        for number, skew in enumerate(skews):
            link = stack.enter_context(Link(int(urlsplit(plane.url).port or 0)).serving())
            process = _process(plane, f"controller-{number}", link, skew)
            stack.callback(process.kill)
            process.start()
            replicas.append(Replica(process, link))
        yield Campaign(plane, folder, replicas, random.Random(seed), say)  # noqa: S311 (chaos, not secrets)


def _process(plane: ControlPlane, name: str, link: Link, skew: float) -> ControllerProcess:
    environment = {
        "TRENDING_LEADER_ELECTION": "true",
        "KUBECONFIG": str(kubeconfig_by(link, plane.kubeconfig())),
    }
    if skew:
        environment |= {
            "PYTHONPATH": os.pathsep.join(map(str, (_SKEWED, REPOSITORY / "operator"))),
            "TRENDING_TEST_SKEW_SECONDS": str(skew),
        }
    return ControllerProcess(plane, name=name, environment=environment)


def _spec(**spec: Any) -> dict[str, Any]:
    return {
        "schedule": "* * * * *",
        "spread": f"{SPREAD_SECONDS}s",
        "successfulJobsHistoryLimit": 1,
        "staleAfter": "1h",
        "database": {"secretKeyRef": {"name": "db", "key": "uri"}},
        "rewrite": [{"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
        **spec,
    }
