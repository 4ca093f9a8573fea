"""The chart's life: uninstalled, installed with two controllers, upgraded from an older one, rolled back.

Meanwhile the release that all other tests share is not there: two operators would both act on every schedule.
docs/installing.md says how people do the same.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from demo import release
from tests.cluster.folders import REPOSITORY
from tests.e2e.controllers import Controller
from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import SECRET
from trending.api.names import API_VERSION, GROUP, KIND, PLURAL

pytestmark = pytest.mark.alone

CRD: Final = f"{PLURAL}.{GROUP}"
OLDER_CHART: Final = REPOSITORY / "tests" / "charts" / "trending-operator-0.1.0.tgz"
"""As it was before it had leader election, a Service, and a schema."""
CHARTS_KINDS: Final = (
    "deployments,replicasets,pods,services,serviceaccounts,configmaps,roles,rolebindings,leases,"
    "poddisruptionbudgets,networkpolicies"
)


@pytest.fixture(scope="module")
def absent(controller: Controller) -> Iterator[Controller]:
    """The shared release, uninstalled; in the end it is there again, as this checkout has it."""
    controller.uninstall()
    yield controller
    controller.install()


@pytest.fixture
def kept(absent: Controller, namespace: Namespace) -> Namespace:
    """A namespace with a schedule that nobody looks at yet."""
    namespace.create(suspended("kept"))
    return replace(namespace, kubectl=absent.kubectl)


def suspended(name: str) -> dict[str, Any]:
    """A schedule that starts nothing."""
    spec = {
        "schedule": "0 0 1 1 *",
        "suspend": True,
        "database": {"secretKeyRef": {"name": "none", "key": "uri"}},
        "rewrite": [{"name": "kept", "table": "scores", "slice": {}, "query": "SELECT 1 AS id"}],
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def left_of(controller: Controller) -> str:
    """What is still there of a release, in its namespace and beside all namespaces."""
    chosen = ("get", "--output=name", f"--selector={controller.selector}")
    return controller.run(*chosen, CHARTS_KINDS) + controller.kubectl.run(*chosen, "clusterroles,clusterrolebindings")


def test_uninstalling_leaves_the_resource_and_the_schedules_and_nothing_else(
    kept: Namespace, absent: Controller
) -> None:
    assert left_of(absent) == ""
    assert absent.run("get", "leases", "--output=name") == ""
    assert kept.kubectl.get("crd", CRD) is not None
    # nobody is there to remove a finalizer, and nobody has to be
    kept.run("delete", PLURAL, "kept", "--timeout=180s", timeout=190)


def test_two_controllers_serve_the_namespaces_they_are_given_and_no_other(
    absent: Controller, kept: Namespace, database: Database
) -> None:
    cluster = absent.kubectl
    several = replace(absent, namespace=f"e2e-ha-{secrets.token_hex(2)}", release="ha")
    cluster.ensure_namespace(several.namespace)
    outside = Namespace(kubectl=cluster, name=several.namespace)
    outside.create(suspended("outside"))
    kept.create_secret(database.uri)
    settings = (
        "crds.create=false",
        "fullnameOverride=ha",
        "replicas=2",
        f"watchNamespaces={{{kept.name}}}",
        f"test.database.secretName={SECRET}",
    )
    try:
        release.install(cluster, namespace=several.namespace, release=several.release, values=settings)
        until_accepted(kept, "kept")
        several.until_leading()
        assert len(cluster.list("pods", namespace=several.namespace, selector=several.selector)) == 2

        # what the test's pod says goes to standard error
        test = f"helm test {several.release} --namespace={several.namespace} 2>&1"
        told = cluster.program("sh", "-c", test, timeout=300)
        assert "A run has succeeded" in told
        table_and_ledger = "SELECT to_regclass('trending_helm_test'), (SELECT count(*) FROM trending.freshness)"
        assert database.rows(table_and_ledger) == [(None, 0)]
        assert [each["metadata"]["name"] for each in cluster.list(PLURAL, namespace=kept.name)] == ["kept"]
        assert outside.status("outside") == {}
        assert may_list_schedules(several, kept.name)
        assert not may_list_schedules(several, outside.name)
    finally:
        several.uninstall()
        left = left_of(several)
        cluster.run("delete", "namespace", several.namespace, "--wait=false")
    assert left == ""


def test_a_release_of_an_older_chart_is_upgraded_and_rolled_back(absent: Controller, kept: Namespace) -> None:
    cluster, in_namespace = absent.kubectl, f"--namespace={absent.namespace}"
    release.install(cluster, namespace=absent.namespace, release=absent.release, chart=OLDER_CHART)
    until_accepted(kept, "kept")
    older = absent.pod()["metadata"]["name"]

    advised = (absent.release, str(release.CHART), "--reset-then-reuse-values", "--dry-run=server")
    assert "kind: Lease" in cluster.program("helm", "upgrade", *advised, in_namespace)
    absent.install()
    newer = absent.pod()["metadata"]["name"]
    assert newer != older
    kept.create(suspended("upgraded"))
    until_accepted(kept, "upgraded")

    cluster.program("helm", "rollback", absent.release, "1", in_namespace, "--wait", timeout=300)
    assert absent.pod()["metadata"]["name"] != newer
    kept.create(suspended("back"))
    until_accepted(kept, "back")


def until_accepted(namespace: Namespace, name: str) -> None:
    """Wait until a controller has looked at a schedule."""
    namespace.until_status(
        name, lambda status: condition_of(status, "Accepted").get("status") == "True", what="accepted"
    )


def may_list_schedules(controller: Controller, namespace: str) -> bool:
    """Whether the controller may list schedules in a namespace, as the API server answers."""
    attributes = {"group": GROUP, "resource": PLURAL, "verb": "list", "namespace": namespace}
    account = f"system:serviceaccount:{controller.namespace}:{controller.release}"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": account, "resourceAttributes": attributes},
    }
    answer = controller.run("create", "--filename=-", "--output=json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])
