"""What the controller creates: accepted by Kubernetes' own models, locked down, and carrying SQL unharmed."""

from dataclasses import replace
from typing import Any

import pytest
from kubernetes.aio.client import CoreV1Event, V1Job

from tests.unit.kube import SETTINGS, SPEC, at, own_target, schedule_body
from trending.api import document
from trending.api.document import RunDocument
from trending.controller.manifests import build_event, build_job
from trending.schedule.decision import Decision, Event, decide
from trending.schedule.observed import Job, Schedule

SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
POD_TERM = {"topologyKey": "zone", "labelSelector": SELECTOR, "namespaces": ["n"], "namespaceSelector": SELECTOR}
NODE_TERM = {
    "matchExpressions": [{"key": "a", "operator": "Exists"}],
    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
}
POD_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": [POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": POD_TERM}],
}
EVERY_POD_FIELD: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [
        {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 60},
        {"operator": "Exists"},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODE_TERM]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": NODE_TERM}],
        },
        "podAffinity": POD_AFFINITY,
        "podAntiAffinity": POD_AFFINITY,
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": SELECTOR,
            "matchLabelKeys": ["a"],
            "minDomains": 2,
            "nodeAffinityPolicy": "Honor",
            "nodeTaintsPolicy": "Ignore",
        }
    ],
    "priorityClassName": "batch",
    "imagePullSecrets": [{"name": "pull"}],
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
    "env": [{"name": "PGOPTIONS", "value": "-c jit=off"}, {"name": "EMPTY"}],
}
EVERY_FIELD: dict[str, Any] = {
    "timeZone": "Europe/Berlin",
    "startingDeadlineSeconds": 60,
    "staleAfter": "2h",
    "database": {
        "secretKeyRef": {"name": "db", "key": "uri"},
        "caSecretKeyRef": {"name": "ca", "key": "root.pem"},
        "clientCertSecretName": "client",
        "settings": {"work_mem": "256MB"},
    },
    "refresh": [{"materializedView": "plays", "mode": "Concurrently"}],
    "rewrite": [SPEC["rewrite"][0], own_target("own", table='s."Hot Posts"', board=["main"])],
    "template": {"metadata": {"labels": {"team": "x"}, "annotations": {"note": "y"}}, "spec": EVERY_POD_FIELD},
    "backoffLimit": 5,
    "activeDeadlineSeconds": 600,
}


def schedule(**spec: Any) -> Schedule:
    return Schedule.from_object(schedule_body(**spec))


def job_of(schedule: Schedule, **changed: Any) -> dict[str, Any]:
    """Build the Job that starts at 09:00."""
    return build_job(replace(schedule, **changed), decide(schedule, [], at("09:00")), at("09:00:07"), SETTINGS)


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def sources_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    [volume] = pod_of(job)["volumes"]
    sources: list[dict[str, Any]] = volume["projected"]["sources"]
    return sources


def document_of(job: dict[str, Any]) -> str:
    text: str = job["spec"]["template"]["metadata"]["annotations"]["trending.dev/run"]
    return text


@pytest.mark.parametrize("spec", [{}, EVERY_FIELD, {"template": {}}], ids=["least", "every field", "empty template"])
def test_kubernetes_own_models_know_every_field_of_a_job(spec: dict[str, Any]) -> None:
    job = V1Job.model_validate(job_of(schedule(**spec)))
    assert job.spec is not None
    assert job.spec.template.spec is not None


def test_a_job_says_of_which_generation_of_the_spec_it_is_and_is_read_so() -> None:
    own = {"metadata": {"annotations": {"trending.dev/generation": "99"}}}
    body = job_of(schedule(template=own), generation=7)
    body["metadata"] |= {"creationTimestamp": "2026-11-23T09:00:00Z"}
    assert Job.from_object(body).generation == 7


@pytest.mark.parametrize("text", ["", "0", "-1", "seven", "\u0667", "1" * 400])
def test_a_job_whose_generation_was_made_unreadable_is_read_without_it(text: str) -> None:
    body = job_of(schedule())
    body["metadata"] |= {"creationTimestamp": "2026-11-23T09:00:00Z"}
    body["metadata"]["annotations"]["trending.dev/generation"] = text
    assert Job.from_object(body).generation is None


def test_kubernetes_own_model_knows_every_field_of_an_event() -> None:
    event = Event(type="Normal", reason="SuccessfulCreate", message="Created job x", key="x")
    CoreV1Event.model_validate(build_event(schedule(), event, at("09:00"), SETTINGS))


def test_what_the_user_says_of_the_pod_arrives_as_it_was_written() -> None:
    pod = pod_of(job_of(schedule(**EVERY_FIELD)))
    [container] = pod["containers"]
    for field in EVERY_POD_FIELD.keys() - {"env", "resources"}:
        assert pod[field] == EVERY_POD_FIELD[field]
    assert container["resources"] == EVERY_POD_FIELD["resources"]
    own = {"name": "TRENDING_LOG_FORMAT", "value": "json"}
    assert container["env"] == [own, {"name": "PGOPTIONS", "value": "-c jit=off"}, {"name": "EMPTY", "value": ""}]


def test_the_user_may_have_logs_in_sentences() -> None:
    env = [{"name": "TRENDING_LOG_FORMAT", "value": "text"}]
    assert pod_of(job_of(schedule(template={"spec": {"env": env}})))["containers"][0]["env"] == env


@pytest.mark.parametrize("spec", [{}, EVERY_FIELD], ids=["least", "every field"])
def test_the_pod_is_within_pod_security_restricted_and_has_no_token(spec: dict[str, Any]) -> None:
    pod = pod_of(job_of(schedule(**spec)))
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0, "a number, since the kubelet cannot tell a name from root"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers", "serviceAccountName"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [volume.keys() - {"name"} for volume in pod["volumes"]] == [{"projected"}]
    assert {kind for source in sources_of(job_of(schedule(**spec))) for kind in source} <= {"downwardAPI", "secret"}


def test_the_document_is_an_annotation_mounted_where_the_runner_reads_it() -> None:
    job = job_of(schedule())
    [container] = pod_of(job)["containers"]
    [item] = sources_of(job)[0]["downwardAPI"]["items"]
    [mount] = container["volumeMounts"]
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['trending.dev/run']"
    assert mount["mountPath"] == str(document.RUN_DIRECTORY)
    assert container["args"] == ["run", "--document", f"{mount['mountPath']}/{item['path']}"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT $$a$$ AS a, $x$b$x$ AS b",
        "SELECT '$(HOME)' AS home, '$$(HOME)' AS escaped, 10 % 3 AS rest",
        "SELECT 'it''s' AS \"Quoted\", E'\\n\\\\' AS back, '\"' AS double",
        "SELECT 'Größe 東京 🎵' AS \"Ähre\"",
        "SELECT 1\n  -- a comment\n\tAS a\r\n",
        "SELECT '{{ not }} {a template}' AS t",
    ],
)
def test_a_query_arrives_character_for_character(query: str) -> None:
    job = job_of(schedule(rewrite=[own_target("own", query=query)]))
    assert RunDocument.parse(document_of(job)).spec.rewrite[0].query == query
    assert "SELECT" not in str([pod_of(job)]), "Kubernetes rewrites $$ and $(..) everywhere else"
    assert document_of(job).isascii() is query.isascii(), "the limit counts UTF-8, which escapes would triple"


def test_the_document_tells_which_run_it_is_and_until_when_it_may_work() -> None:
    seen = schedule(**EVERY_FIELD)
    run = RunDocument.parse(document_of(job_of(seen)))
    assert (run.namespace, run.name, run.uid, run.trigger) == ("default", "hourly", "u1", "Schedule")
    assert run.job == job_of(seen)["metadata"]["name"]
    assert run.scheduled_time == at("09:00")
    assert run.deadline == at("09:09:22"), "the time of creation + 600 s - 45 s to report in"
    assert run.spec == seen.spec


def test_secrets_are_optional_files_where_the_runner_looks() -> None:
    secrets = [source["secret"] for source in sources_of(job_of(schedule(**EVERY_FIELD)))[1:]]
    assert secrets == [
        {"name": "db", "optional": True, "items": [{"key": "uri", "path": "database/uri"}]},
        {"name": "ca", "optional": True, "items": [{"key": "root.pem", "path": "ca/ca.crt"}]},
        {
            "name": "client",
            "optional": True,
            "items": [{"key": "tls.crt", "path": "client/tls.crt"}, {"key": "tls.key", "path": "client/tls.key"}],
        },
    ]
    assert {item["path"] for secret in secrets for item in secret["items"]} == {
        str(path)
        for path in (
            document.DATABASE_URI_FILE,
            document.CA_CERTIFICATE_FILE,
            document.CLIENT_CERTIFICATE_FILE,
            document.CLIENT_KEY_FILE,
        )
    }
    assert len(sources_of(job_of(schedule()))) == 2, "what the spec does not name is not mounted"


def test_the_users_labels_and_annotations_never_override_ours() -> None:
    ours = {
        "app.kubernetes.io/managed-by": "trending-operator",
        "trending.dev/schedule": "hourly",
        "trending.dev/run": "{",
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-23T09:00:00Z",
    }
    forged = {**dict.fromkeys(ours, "forged"), "team": "x"}
    job = job_of(schedule(template={"metadata": {"labels": forged, "annotations": forged}}))
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "trending-operator"
        assert metadata["labels"]["trending.dev/schedule"] == "hourly"
        assert metadata["labels"]["team"] == metadata["annotations"]["team"] == "x"
    assert document_of(job).startswith("{")
    assert job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] == "2026-11-23T09:00:00Z"


@pytest.mark.parametrize(
    ("zone", "written"), [("Etc/UTC", "2026-11-23T09:00:00Z"), ("Europe/Berlin", "2026-11-23T10:00:00+01:00")]
)
def test_the_scheduled_time_is_written_in_the_schedules_zone_and_read_back_as_the_slot(zone: str, written: str) -> None:
    job = job_of(schedule(timeZone=zone))
    assert job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] == written
    metadata = {**job["metadata"], "uid": "j1", "creationTimestamp": "2026-11-23T09:00:07Z"}
    observed = Job.from_object({**job, "metadata": metadata})
    assert (observed.scheduled_time, observed.owner, observed.trigger) == (at("09:00"), "u1", "Schedule")


def test_an_exit_of_2_ends_the_job_and_a_disruption_does_not_count() -> None:
    spec = job_of(schedule(backoffLimit=0, activeDeadlineSeconds=120))["spec"]
    disrupted, wrong = spec["podFailurePolicy"]["rules"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 120)
    assert disrupted["action"] == "Ignore"
    assert disrupted["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert wrong["action"] == "FailJob"
    assert wrong["onExitCodes"]["values"] == [2]
    assert wrong["onExitCodes"]["containerName"] == pod_of(job_of(schedule()))["containers"][0]["name"]


def test_a_decision_that_starts_nothing_has_no_job() -> None:
    seen = schedule()
    with pytest.raises(ValueError, match="names no Job to start"):
        build_job(seen, decide(seen, [], at("08:45")), at("08:45"), SETTINGS)


def event_name(*, reason: str = "MissSchedule", key: str = "k", message: str = "m", **changed: Any) -> str:
    event = Event(type="Warning", reason=reason, message=message, key=key)
    built = build_event(replace(schedule(), **changed), event, at("09:00"), SETTINGS)
    name: str = built["metadata"]["name"]
    return name


def test_an_events_name_is_made_of_what_it_says_so_that_it_exists_once() -> None:
    assert event_name() == event_name(message="other words")
    different = [event_name(), event_name(reason="RunFailed"), event_name(key="other"), event_name(uid="u2")]
    assert len(set(different)) == 4


def test_an_events_name_and_message_stay_within_kubernetes_limits() -> None:
    assert len(event_name(name="n" * 253)) <= 253
    event = Event(type="Warning", reason="RunFailed", message="é" * 5000, key="k")
    message = build_event(schedule(), event, at("09:00"), SETTINGS)["message"]
    assert (len(message), message[-1]) == (1024, "…")


def test_the_decision_of_a_run_by_hand_says_so_in_the_document() -> None:
    seen = replace(schedule(), requested_at="now, please")
    decision: Decision = decide(seen, [], at("08:45:30"))
    run = RunDocument.parse(document_of(build_job(seen, decision, at("08:45:30"), SETTINGS)))
    assert (run.trigger, run.scheduled_time, run.job) == ("Manual", at("08:45:30"), decision.job)
