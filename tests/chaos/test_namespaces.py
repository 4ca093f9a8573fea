"""Some namespaces, with Roles alone, on a real API server: each is served for itself, none keeps another waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.test_control_plane import schedule
from tests.cluster.control_plane import OPERATOR, ControlPlane
from tests.cluster.controller_process import ControllerProcess, controller
from tests.waiting import until

RULES = [
    {"apiGroups": ["trending.dev"], "resources": ["trendingschedules"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["trending.dev"], "resources": ["trendingschedules/status"], "verbs": ["update"]},
    {"apiGroups": ["trending.dev"], "resources": ["trendingschedules/finalizers"], "verbs": ["update"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "list"]},
]
LEASES = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}]


def create_namespace(plane: ControlPlane, name: str) -> None:
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def grant(plane: ControlPlane, namespace: str, rules: list[dict[str, Any]]) -> None:
    """Give the controller's service account a Role."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    plane.request("POST", f"{path}/roles", {"metadata": {"name": "trending"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "trending"}
    subjects = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": OPERATOR}]
    body = {"metadata": {"name": "trending"}, "roleRef": role, "subjects": subjects}
    plane.request("POST", f"{path}/rolebindings", body)


def schedules(namespace: str) -> str:
    return f"/apis/trending.dev/v1/namespaces/{namespace}/trendingschedules"


def jobs(plane: ControlPlane, namespace: str) -> list[str]:
    listed = plane.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return [job["metadata"]["name"] for job in listed]


@pytest.fixture
def served(bare: ControlPlane) -> Iterator[ControllerProcess]:
    """A controller of four namespaces: two with a Role, one without, one that is not there."""
    for name in ("trending-system", "team-a", "team-b", "closed", "other"):
        create_namespace(bare, name)
    for name in ("team-a", "team-b", "other"):
        grant(bare, name, RULES)
    grant(bare, "trending-system", LEASES)
    environment = {
        "TRENDING_WATCH_NAMESPACES": "team-a,closed,nowhere,team-b",
        "TRENDING_LEADER_ELECTION": "true",
    }
    with controller(bare, user=OPERATOR, environment=environment) as process:
        until(lambda: process.answers("/readyz"), what="it is ready")
        yield process


def test_the_namespaces_of_the_list_are_served_with_roles_alone(bare: ControlPlane, served: ControllerProcess) -> None:
    for name in ("closed", "nowhere"):
        told = f"namespace {name}: schedules and Jobs cannot be listed: trendingschedules.trending.dev is forbidden"
        assert served.said().count(told) == 1
    for name in ("team-a", "team-b", "closed", "other"):
        bare.request("POST", schedules(name), schedule("first", immediate=True))
    assert_served(bare, "team-a")
    assert jobs(bare, "closed") == []
    # A Role that comes later is taken up by the watches, which never cease to ask.
    grant(bare, "closed", RULES)
    for name in ("team-b", "closed"):
        assert_served(bare, name)
    assert jobs(bare, "other") == []
    assert served.answers("/healthz")


def assert_served(plane: ControlPlane, namespace: str) -> None:
    """A run is started, and told of in the status and an event."""
    until(lambda: jobs(plane, namespace), what=f"a run in {namespace}")
    status = until(lambda: plane.request("GET", f"{schedules(namespace)}/first").get("status"), what="its status")
    assert status["activeCount"] == 1
    until(lambda: "SuccessfulCreate" in reasons(plane, namespace), what="an event tells of it")


def reasons(plane: ControlPlane, namespace: str) -> list[str]:
    return [event["reason"] for event in plane.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]]
