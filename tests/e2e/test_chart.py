"""The chart, by Helm on the real cluster: rendered, installed, upgraded, uninstalled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from demo.kubectl import Kubectl
from demo.release import CHART
from tests.cluster.folders import REPOSITORY
from tests.cluster.versions import KUBERNETES
from tests.e2e.controllers import Controller
from tests.e2e.namespaces import Namespace
from trending.api.crd import build_crd
from trending.api.names import GROUP, PLURAL

CRD: Final = f"{PLURAL}.{GROUP}"
MAY: Final = {
    (GROUP, PLURAL): {"get", "list", "watch"},
    (GROUP, f"{PLURAL}/status"): {"get", "update", "patch"},
    (GROUP, f"{PLURAL}/finalizers"): {"update"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("", "pods"): {"get", "list"},
    ("", "events"): {"create", "list", "patch"},
}
"""All that the controller may do, anywhere."""
EXAMPLES: Final = [
    path
    for path in sorted((REPOSITORY / "manifests" / "examples").rglob("*.yaml"))
    if "kind: TrendingSchedule\n" in path.read_text(encoding="utf-8")
]
SUSPENDED: Final = {
    "schedule": "0 0 1 1 *",
    "suspend": True,
    "database": {"secretKeyRef": {"name": "none", "key": "uri"}},
    "rewrite": [{"name": "kept", "table": "scores", "slice": {}, "query": "SELECT 1 AS id"}],
}


def render(cluster: Kubectl, *settings: str) -> dict[str, dict[str, Any]]:
    """The chart's objects by kind; there is one of each."""
    given = [f"--set={setting}" for setting in settings]
    # without a server Helm goes by the version that it was built with, which not every build knows
    rendered = cluster.program(
        "helm", "template", "rel", str(CHART), "--namespace=somewhere", f"--kube-version={KUBERNETES}", *given
    )
    return {document["kind"]: document for document in yaml.safe_load_all(rendered) if document}


def container_of(objects: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environment(container: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_helm_finds_no_fault_with_the_chart(cluster: Kubectl) -> None:
    linted = cluster.program("helm", "lint", "--strict", f"--kube-version={KUBERNETES}", str(CHART))
    assert "0 chart(s) failed" in linted


def test_the_crd_reaches_the_cluster_as_the_models_say_and_is_kept(cluster: Kubectl) -> None:
    crd = render(cluster)["CustomResourceDefinition"]
    assert crd["spec"] == build_crd()["spec"]
    assert crd["metadata"]["name"] == CRD
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_what_is_not_wanted_is_left_out(cluster: Kubectl) -> None:
    settings = ("crds.create=false", "serviceAccount.create=false", "serviceAccount.name=mine", "rbac.create=false")
    objects = render(cluster, *settings)
    assert set(objects) == {"Deployment"}
    assert objects["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_runs_have_the_controllers_image_unless_told_otherwise(cluster: Kubectl) -> None:
    own = container_of(render(cluster, "image.repository=registry.example/trending", "image.tag=1"))
    assert own["image"] == environment(own)["TRENDING_RUN_IMAGE"] == "registry.example/trending:1"
    other = container_of(render(cluster, "image.tag=1", "runs.image.tag=2", "runs.image.pullPolicy=Always"))
    assert other["image"] == "trending-operator:1"
    assert environment(other)["TRENDING_RUN_IMAGE"] == "trending-operator:2"
    assert environment(other)["TRENDING_RUN_IMAGE_PULL_POLICY"] == "Always"


def test_values_reach_the_controllers_pod(cluster: Kubectl) -> None:
    objects = render(
        cluster,
        "logLevel=debug",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy",
        "nodeSelector.disk=fast",
        "tolerations[0].operator=Exists",
        "affinity.podAntiAffinity.x=y",
        "imagePullSecrets[0].name=registry",
        "podAnnotations.note=a",
        "podLabels.team=b",
        "podLabels.app\\.kubernetes\\.io/name=stolen",
        "resources.limits.memory=1Gi",
    )
    template = objects["Deployment"]["spec"]["template"]
    pod, container = template["spec"], container_of(objects)
    assert environment(container)["TRENDING_LOG_LEVEL"] == "debug"
    assert environment(container)["HTTPS_PROXY"] == "http://proxy"
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["affinity"] == {"podAntiAffinity": {"x": "y"}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert template["metadata"]["annotations"]["note"] == "a"
    assert template["metadata"]["labels"]["team"] == "b"
    selector = objects["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()


def test_the_controller_may_do_what_it_does_and_nothing_else(cluster: Kubectl, controller: Controller) -> None:
    account = f"system:serviceaccount:{controller.namespace}:{controller.pod()['spec']['serviceAccountName']}"
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in rules_of(cluster, account)
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        if "resourceNames" not in rule and group != "authorization.k8s.io" and group != "authentication.k8s.io"
    }
    assert granted == MAY


def test_only_the_controllers_pod_is_given_the_token(cluster: Kubectl, controller: Controller) -> None:
    pod = controller.pod()
    account = cluster.get("serviceaccount", pod["spec"]["serviceAccountName"], namespace=controller.namespace)
    assert account is not None
    assert account["automountServiceAccountToken"] is False
    assert pod["spec"]["automountServiceAccountToken"] is True


def test_the_namespace_of_the_controller_enforces_pod_security_restricted(
    cluster: Kubectl, controller: Controller
) -> None:
    namespace = cluster.get("namespace", controller.namespace)
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_server_accepts_an_example_and_knows_all_its_fields(namespace: Namespace, path: Path) -> None:
    moved = path.read_text(encoding="utf-8").replace("namespace: discovery", f"namespace: {namespace.name}")
    answer = namespace.run("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=moved)
    assert answer.strip().endswith("(server dry run)")


@pytest.fixture
def kept(namespace: Namespace) -> Namespace:
    """A namespace with a schedule that starts nothing."""
    namespace.create(
        {"apiVersion": f"{GROUP}/v1", "kind": "TrendingSchedule", "metadata": {"name": "kept"}, "spec": SUSPENDED}
    )
    return namespace


def test_an_upgrade_is_taken_up_and_uninstalling_leaves_the_schedules(
    cluster: Kubectl, controller: Controller, kept: Namespace
) -> None:
    in_namespace = f"--namespace={controller.namespace}"
    before = controller.pod()["metadata"]["name"]
    values = ("--reuse-values", "--set=logLevel=debug")
    cluster.program("helm", "upgrade", controller.release, str(CHART), in_namespace, *values, "--wait", timeout=300)
    cluster.run(in_namespace, "rollout", "status", f"deployment/{controller.release}", "--timeout=300s", timeout=310)
    assert controller.pod()["metadata"]["name"] != before

    controller.uninstall()
    try:
        left = cluster.run(
            in_namespace, "get", "all,serviceaccounts", f"--selector={controller.selector}", "-o", "name"
        )
        assert left == ""
        assert cluster.get("clusterrole", f"{controller.namespace}:{controller.release}") is None
        assert cluster.get(PLURAL, "kept", namespace=kept.name) is not None
        # nobody is there to remove a finalizer, and nobody has to be
        kept.run("delete", PLURAL, "kept", "--timeout=180s", timeout=190)
    finally:
        controller.install()
    assert cluster.get("crd", CRD) is not None


def rules_of(cluster: Kubectl, account: str) -> list[dict[str, Any]]:
    """What an account may do in the namespace `default`, as the API server itself lists it, less what everybody may."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    # the account may not list CRDs, by which kubectl would validate
    asked = ("create", f"--as={account}", "--validate=false", "--filename=-", "--output=json")
    answer = cluster.run(*asked, stdin=json.dumps(review))
    rules: list[dict[str, Any]] = json.loads(answer)["status"]["resourceRules"]
    return rules
