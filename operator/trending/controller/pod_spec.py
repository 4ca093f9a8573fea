"""What a run's pod is made of, and that of a plan or a migration: locked down, with the secrets as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trending.api import document
from trending.api.names import RUN_ANNOTATION, RUN_CONTAINER
from trending.api.pod import PodSettings
from trending.controller.settings import PullPolicy
from trending.schedule.observed import Schedule

DOCUMENT_PATH: Final = str(document.RUN_DIRECTORY / document.DOCUMENT_FILE)
"""What `--document` names in a pod."""

_USER: Final = 65532
"""The image's own user; a number, so that the kubelet can tell that it is not root."""
_VOLUME: Final = "trending"
_DEFAULT_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
_LOG_FORMAT: Final = {"name": "TRENDING_LOG_FORMAT", "value": "json"}
"""So that `kubectl trending logs` can draw what a run does; the user's own env may say `text`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunImage:
    """Which image a pod runs, and how its node gets it."""

    name: str
    pull_policy: PullPolicy = "IfNotPresent"


def pod_spec(schedule: Schedule, image: RunImage, arguments: Sequence[str]) -> dict[str, Any]:
    """Return a pod spec within Pod Security "restricted", without a token for the API server."""
    template = schedule.spec.template
    placed = ((template and template.spec) or PodSettings()).to_json_object()
    resources, env = placed.pop("resources", _DEFAULT_RESOURCES), placed.pop("env", [])
    if _LOG_FORMAT["name"] not in {variable["name"] for variable in env}:
        env = [_LOG_FORMAT, *env]
    return {
        **placed,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": RUN_CONTAINER,
                "image": image.name,
                "imagePullPolicy": image.pull_policy,
                "args": list(arguments),
                "env": env,
                "resources": resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": _VOLUME, "mountPath": str(document.RUN_DIRECTORY), "readOnly": True}],
            }
        ],
        "volumes": [{"name": _VOLUME, "projected": {"defaultMode": 0o440, "sources": _sources(schedule)}}],
    }


def _sources(schedule: Schedule) -> list[dict[str, Any]]:
    """Return what a run is given: its document and, as files, the secrets that its schedule names.

    Secrets are optional: a missing one reaches the runner as a missing file, which it tells in a sentence, instead of
    a pod that never starts. 0440 with the pod's group is what libpq asks of a private key.
    """
    database = schedule.spec.database
    uri = database.secret_key_ref
    path = {"fieldPath": f"metadata.annotations['{RUN_ANNOTATION}']"}
    sources: list[dict[str, Any]] = [
        {"downwardAPI": {"items": [{"path": str(document.DOCUMENT_FILE), "fieldRef": path}]}},
        _secret(uri.name, {str(uri.key): document.DATABASE_URI_FILE}),
    ]
    if database.ca_secret_key_ref:
        reference = database.ca_secret_key_ref
        sources.append(_secret(reference.name, {str(reference.key): document.CA_CERTIFICATE_FILE}))
    if database.client_cert_secret_name:
        files = {"tls.crt": document.CLIENT_CERTIFICATE_FILE, "tls.key": document.CLIENT_KEY_FILE}
        sources.append(_secret(database.client_cert_secret_name, files))
    return sources


def _secret(name: str, files: Mapping[str, Any]) -> dict[str, Any]:
    items = [{"key": key, "path": str(path)} for key, path in files.items()]
    return {"secret": {"name": name, "optional": True, "items": items}}
