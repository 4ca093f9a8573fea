"""The chart as Helm renders it, as the API server takes it, and what an installed controller may do.

docs/installing.md tells people of it.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from demo.kubectl import Kubectl
from demo.release import CHART
from tests.charts import conformity, promtool, rendering
from tests.charts.rendering import Manifest
from tests.cluster.folders import REPOSITORY
from tests.cluster.versions import KUBERNETES
from tests.e2e.controllers import Controller
from tests.e2e.namespaces import Namespace
from trending.api.crd import build_crd
from trending.api.names import GROUP, PLURAL

CRD: Final = f"{PLURAL}.{GROUP}"
MAY: Final = {
    (GROUP, PLURAL): {"get", "list", "watch"},
    (GROUP, f"{PLURAL}/status"): {"update"},
    (GROUP, f"{PLURAL}/finalizers"): {"update"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("", "pods"): {"list", "watch"},
    ("", "events"): {"create", "list"},
}
"""All that the controller may do, anywhere."""
EXAMPLES: Final = [
    path
    for path in sorted((REPOSITORY / "manifests" / "examples").rglob("*.yaml"))
    if "\nkind: TrendingSchedule\n" in path.read_text(encoding="utf-8")
]


@pytest.fixture(scope="module")
def helm(cluster: Kubectl) -> Path:
    """The Helm of the cluster's environment."""
    return Path(cluster.program("which", "helm").strip())


def render(helm: Path, *settings: str) -> list[Manifest]:
    """The chart's objects for settings, as `--set` takes them, as the release `rel`; not those of `helm test`."""
    given = [f"--set={setting}" for setting in settings]
    return rendering.render(helm, "--no-hooks", *given, release="rel", namespace="somewhere")


def only(objects: Iterable[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def container_of(objects: Iterable[Manifest]) -> Manifest:
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environment(container: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_helm_finds_no_fault_with_the_chart(cluster: Kubectl) -> None:
    linted = cluster.program("helm", "lint", "--strict", f"--kube-version={KUBERNETES}", str(CHART))
    assert "0 chart(s) failed" in linted


@pytest.mark.parametrize("variant", rendering.VARIANTS, ids=lambda path: path.stem)
def test_a_variant_is_rendered_as_its_snapshot_shows(helm: Path, variant: Path) -> None:
    kept = (rendering.SNAPSHOTS / variant.name).read_text(encoding="utf-8")
    assert rendering.snapshot(helm, variant) == kept, "if it is meant so: `make manifests`"


def test_the_manifests_for_people_without_helm_are_the_charts(helm: Path) -> None:
    assert rendering.plain_manifests(helm) == rendering.MANIFEST.read_text(encoding="utf-8"), "run `make manifests`"


@pytest.mark.parametrize("variant", rendering.VARIANTS, ids=lambda path: path.stem)
def test_the_server_accepts_a_variant_with_its_pods_restricted(
    helm: Path, cluster: Kubectl, controller: Controller, namespace: Namespace, variant: Path
) -> None:
    watched = () if variant.stem != "namespaced" else (f"--set=watchNamespaces={{{namespace.name}}}",)
    objects = rendering.render(helm, f"--values={variant}", *watched, namespace=controller.namespace)
    # there are no accounts in a dry run, and the server would ask for them
    pods = [pod_of(each) for each in objects if each["kind"] in ("Deployment", "Pod")]
    assert len(pods) == 2
    known = [each for each in objects if each["apiVersion"] != "monitoring.coreos.com/v1" and each["kind"] != "Pod"]
    server_side = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    answer = cluster.run("apply", *server_side, "--filename=-", stdin=as_list([*known, *pods]))
    assert answer.count("(server dry run)") == len(known) + len(pods)


@pytest.fixture(scope="module")
def kubeconform(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Manifest]], str]:
    """Has kubeconform judge objects, strictly; its verdict is empty where it has nothing against them."""
    program, schemas = conformity.build_kubeconform(), tmp_path_factory.mktemp("schemas")
    conformity.write_schemas(schemas)
    locations = [f"-schema-location={folder}/{conformity.LOCATION}" for folder in (schemas, conformity.OURS)]

    def judged(objects: list[Manifest]) -> str:
        arguments = [str(program), "-strict", *locations, "-"]
        text = rendering.write(objects)
        done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return judged


@pytest.mark.parametrize("variant", rendering.VARIANTS, ids=lambda path: path.stem)
def test_kubeconform_has_nothing_against_a_variant(
    helm: Path, kubeconform: Callable[[list[Manifest]], str], variant: Path
) -> None:
    assert kubeconform(rendering.render(helm, f"--values={variant}")) == ""


def test_kubeconform_would_see_a_field_that_there_is_not(
    helm: Path, kubeconform: Callable[[list[Manifest]], str]
) -> None:
    monitored = rendering.render(helm, "--set=metrics.serviceMonitor.create=true")
    for kind, field in (("Deployment", "replica"), ("ServiceMonitor", "endpoint")):
        mistaken = only(monitored, kind)
        mistaken["spec"][field] = 1
        assert f"additional properties '{field}' not allowed" in kubeconform([mistaken])


def test_the_alerts_speak_when_they_should_and_are_silent_when_they_should(helm: Path, tmp_path: Path) -> None:
    rules = only(rendering.render(helm, "--set=metrics.prometheusRule.create=true"), "PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    shutil.copy(REPOSITORY / "tests" / "charts" / "alerts.yaml", tmp_path)
    arguments = [str(promtool.provide()), "test", "rules", "alerts.yaml"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prometheus_understands_all_that_the_dashboard_asks(tmp_path: Path) -> None:
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    seconds = [expression.replace("$__range_s", "300") for expression in asked]
    filled = [re.sub(r"\$__(?:rate_interval|range)", "5m", expression) for expression in seconds]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(filled)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    arguments = [str(promtool.provide()), "check", "rules", str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_kustomize_gives_runs_the_image_that_it_gives_the_controller(cluster: Kubectl, tmp_path: Path) -> None:
    base = tmp_path / "manifests"
    shutil.copytree(REPOSITORY / "manifests", base)
    kustomization = base / "kustomization.yaml"
    text = kustomization.read_text(encoding="utf-8").replace(
        "newName: trending-operator", "newName: registry.example/ours"
    )
    kustomization.write_text(text.replace("newTag: 0.1.0", 'newTag: "7"'), encoding="utf-8")
    built = list(yaml.safe_load_all(cluster.run("kustomize", str(base))))
    container = container_of(built)
    assert container["image"] == environment(container)["TRENDING_RUN_IMAGE"] == "registry.example/ours:7"
    assert environment(container)["TRENDING_RUN_IMAGE_PULL_POLICY"] == "IfNotPresent"
    assert only(built, "CustomResourceDefinition")["spec"] == build_crd()["spec"]


def test_the_server_accepts_what_kustomize_makes(cluster: Kubectl, controller: Controller) -> None:
    objects = list(yaml.safe_load_all(cluster.run("kustomize", str(REPOSITORY / "manifests"))))
    assert only(objects, "Namespace")["metadata"]["name"] == controller.namespace
    folder = f"--kustomize={REPOSITORY / 'manifests'}"
    answer = cluster.run("apply", "--server-side", "--force-conflicts", "--dry-run=server", folder)
    assert answer.count("(server dry run)") == len(objects)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("image.tga=1", "at '/image': additional properties 'tga' not allowed"),
        ("replica=2", "additional properties 'replica' not allowed"),
        ("logLevel=loud", "at '/logLevel': value must be one of 'error', 'warning', 'info', 'debug'"),
        ("image.digest=abc", "at '/image/digest': 'abc' does not match pattern"),
        ("watchNamespaces={Team_A}", "at '/watchNamespaces/0': 'Team_A' does not match pattern"),
        ("tolerations[0].efect=NoSchedule", "at '/tolerations/0': additional properties 'efect' not allowed"),
        ("topologySpreadConstraints[0].minDomain=2", "additional properties 'minDomain' not allowed"),
        ("replicas=2,leaderElection.enabled=false", "Set leaderElection.enabled=true, or replicas=1."),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_a_sentence(helm: Path, setting: str, said: str) -> None:
    with pytest.raises(rendering.RenderError, match=re.escape(said)):
        render(helm, setting)


def test_a_tag_that_yaml_has_read_as_a_number_is_refused(helm: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("image: {tag: 1.10}\n", encoding="utf-8")
    with pytest.raises(rendering.RenderError, match=re.escape("at '/image/tag': got number, want integer or string")):
        rendering.render(helm, f"--values={values}")


def test_a_tag_that_is_a_number_and_a_namespace_of_digits_stay_what_they_are(helm: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text('image: {tag: 20261126}\nruns: {image: {tag: 20261127}}\nwatchNamespaces: ["2026"]\n')
    objects = rendering.render(helm, "--set=rbac.aggregate=false", f"--values={values}", namespace="1126")
    own = container_of(objects)
    assert own["image"] == "trending-operator:20261126"
    assert environment(own)["TRENDING_RUN_IMAGE"] == "trending-operator:20261127"
    namespaces = {each["metadata"].get("namespace", "") for each in objects}
    assert namespaces == {"", "1126", "2026"}


def test_the_crd_reaches_the_cluster_as_the_models_say_and_is_kept(helm: Path) -> None:
    crd = only(render(helm), "CustomResourceDefinition")
    assert crd["spec"] == build_crd()["spec"]
    assert crd["metadata"]["name"] == CRD
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_what_is_not_wanted_is_left_out(helm: Path) -> None:
    unwanted = ("crds.create", "serviceAccount.create", "rbac.create", "rbac.aggregate", "leaderElection.enabled")
    objects = render(helm, *(f"{each}=false" for each in unwanted), "serviceAccount.name=mine")
    assert {each["kind"] for each in objects} == {"Deployment", "Service"}
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_runs_have_the_controllers_image_unless_told_otherwise(helm: Path) -> None:
    own = container_of(render(helm, "image.repository=registry.example/trending", "image.tag=1"))
    assert own["image"] == environment(own)["TRENDING_RUN_IMAGE"] == "registry.example/trending:1"
    other = container_of(render(helm, "image.tag=1", "runs.image.tag=2", "runs.image.pullPolicy=Always"))
    assert other["image"] == "trending-operator:1"
    assert environment(other)["TRENDING_RUN_IMAGE"] == "trending-operator:2"
    assert environment(other)["TRENDING_RUN_IMAGE_PULL_POLICY"] == "Always"


def test_a_digest_is_the_runs_too_unless_they_have_another_image(helm: Path) -> None:
    digest = f"sha256:{'ab' * 32}"
    own = container_of(render(helm, "image.tag=1", f"image.digest={digest}"))
    assert own["image"] == environment(own)["TRENDING_RUN_IMAGE"] == f"trending-operator:1@{digest}"
    other = container_of(render(helm, "image.tag=1", f"image.digest={digest}", "runs.image.tag=2"))
    assert environment(other)["TRENDING_RUN_IMAGE"] == "trending-operator:2"


def test_a_spread_without_a_selector_gets_the_controllers_and_another_keeps_its_own(helm: Path) -> None:
    usual = ["maxSkew=1", "topologyKey=zone", "whenUnsatisfiable=ScheduleAnyway"]
    given = [f"topologySpreadConstraints[{index}].{each}" for index in range(2) for each in usual]
    objects = render(helm, *given, "topologySpreadConstraints[1].labelSelector.matchLabels.team=a")
    deployment = only(objects, "Deployment")["spec"]
    own, other = (each["labelSelector"] for each in deployment["template"]["spec"]["topologySpreadConstraints"])
    assert own == deployment["selector"]
    assert other == {"matchLabels": {"team": "a"}}


@pytest.mark.parametrize("length", [5, 47, 52, 63])
def test_what_is_made_for_helm_test_is_never_called_as_the_release(helm: Path, length: int) -> None:
    objects = rendering.render(helm, f"--set=fullnameOverride={'n' * length}")
    tests = {each["metadata"]["name"] for each in objects if "helm.sh/hook" in each["metadata"].get("annotations", {})}
    assert tests == {f"{'n' * min(length, 47)}-test"}
    assert max(map(len, tests)) <= 52  # a schedule is called so, too


def test_the_network_policy_lets_helm_test_ask_for_metrics(helm: Path) -> None:
    objects = rendering.render(
        helm, "--set=networkPolicy.create=true", "--set=networkPolicy.metricsFrom[0].ipBlock.cidr=10.0.0.0/8"
    )
    (pod,) = (each for each in objects if each["kind"] == "Pod")
    metrics = only(objects, "NetworkPolicy")["spec"]["ingress"][1]["from"]
    assert metrics[0] == {"ipBlock": {"cidr": "10.0.0.0/8"}}
    assert metrics[1] == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pod["metadata"]["namespace"]}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": pod["metadata"]["labels"]["app.kubernetes.io/name"]}},
    }


def test_values_reach_the_controllers_pod(helm: Path) -> None:
    objects = render(
        helm,
        "logLevel=debug",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy",
        "nodeSelector.disk=fast",
        "tolerations[0].operator=Exists",
        "affinity.podAntiAffinity.x=y",
        "priorityClassName=high",
        "imagePullSecrets[0].name=registry",
        "podAnnotations.note=a",
        "podLabels.team=b",
        "podLabels.app\\.kubernetes\\.io/name=stolen",
        "resources.limits.memory=1Gi",
    )
    deployment = only(objects, "Deployment")
    template = deployment["spec"]["template"]
    pod, container = template["spec"], container_of(objects)
    assert environment(container)["TRENDING_LOG_LEVEL"] == "debug"
    assert environment(container)["HTTPS_PROXY"] == "http://proxy"
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["affinity"] == {"podAntiAffinity": {"x": "y"}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["priorityClassName"] == "high"
    assert template["metadata"]["annotations"]["note"] == "a"
    assert template["metadata"]["labels"]["team"] == "b"
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()


def test_the_controller_may_do_what_it_does_and_nothing_else(cluster: Kubectl, controller: Controller) -> None:
    assert granted(cluster, controller, namespace="default") == (MAY, {})
    leases = ("coordination.k8s.io", "leases")
    may, may_with_one = granted(cluster, controller, namespace=controller.namespace)
    assert may == {**MAY, leases: {"create"}}
    assert may_with_one == {(*leases, controller.release): {"get", "update"}}


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get", "list", "watch"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
    ],
)
def test_kubernetes_own_roles_know_schedules(
    cluster: Kubectl, controller: Controller, role: str, verbs: set[str]
) -> None:
    assert controller.release
    rules = (cluster.get("clusterrole", role) or {})["rules"]
    ours = [rule for rule in rules if PLURAL in rule.get("resources", ())]
    assert {verb for rule in ours for verb in rule["verbs"]} == verbs
    assert {group for rule in ours for group in rule["apiGroups"]} == {GROUP}


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


def pod_of(manifest: Manifest) -> Manifest:
    """A pod as the object makes it, with the account that every namespace has."""
    spec = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Deployment" else manifest["spec"]
    metadata = {"name": f"{manifest['metadata']['name']}-pod", "namespace": manifest["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "serviceAccountName": "default"}}


def as_list(objects: list[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def granted(
    cluster: Kubectl, controller: Controller, *, namespace: str
) -> tuple[dict[tuple[str, str], set[str]], dict[tuple[str, str, str], set[str]]]:
    """What the controller may do in a namespace, less what everybody may: with all of a resource, with one of it."""
    account = f"system:serviceaccount:{controller.namespace}:{controller.pod()['spec']['serviceAccountName']}"
    everything: dict[tuple[str, str], set[str]] = {}
    one: dict[tuple[str, str, str], set[str]] = {}
    for rule in rules_of(cluster, account, namespace):
        for group, resource in itertools.product(rule.get("apiGroups", []), rule.get("resources", [])):
            if group in ("authorization.k8s.io", "authentication.k8s.io"):
                continue
            for name in rule.get("resourceNames", []):
                one.setdefault((group, resource, name), set()).update(rule["verbs"])
            if "resourceNames" not in rule:
                everything.setdefault((group, resource), set()).update(rule["verbs"])
    return everything, one


def rules_of(cluster: Kubectl, account: str, namespace: str) -> list[dict[str, Any]]:
    """What an account may do in a namespace, as the API server itself lists it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    # the account may not list CRDs, by which kubectl would validate
    asked = ("create", f"--as={account}", "--validate=false", "--filename=-", "--output=json")
    answer = cluster.run(*asked, stdin=json.dumps(review))
    rules: list[dict[str, Any]] = json.loads(answer)["status"]["resourceRules"]
    return rules
