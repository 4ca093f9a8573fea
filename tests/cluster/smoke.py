"""The cluster's check of itself.

Ready nodes and a completed Job prove little: with kube-proxy dead, both are to be had while no Service works. So a pod
resolves a Service's name through the cluster's DNS and connects to the address.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster import process

POD = "trending-self-check"
SERVICE = "kubernetes.default.svc.cluster.local"
SECONDS = 90
PROGRAM = (
    f"import socket; found = socket.getaddrinfo('{SERVICE}', 443, type=socket.SOCK_STREAM)[0][4]; "
    "socket.create_connection(found[:2], timeout=10).close(); print('resolved and reached', *found)"
)


def check(image: str, *, env: dict[str, str], log: Path) -> None:
    """Run the pod from an image that the node holds and has python3; raises ClusterError with the log's path."""
    delete = ["kubectl", "delete", "pod", POD, "--ignore-not-found", "--grace-period=0", "--force"]
    manifest = log.with_suffix(".json")
    log.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(pod(image), indent=1))
    process.run(delete, what="Removing an earlier check", log=log, env=env)
    try:
        process.run(["kubectl", "apply", "-f", manifest], what="Creating the check's pod", log=log, env=env)
        wait = ["kubectl", "wait", f"pod/{POD}", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={SECONDS}s"]
        what = f"A pod that resolves {SERVICE} (`make cluster-down cluster` makes a new cluster)"
        process.run(wait, what=what, log=log, env=env)
    finally:
        for question in (["logs", POD], ["describe", "pod", POD]):
            answer = process.output(["kubectl", *question], env=env)
            with log.open("a") as file:
                file.write(f"$ kubectl {' '.join(question)}\n{answer or '(no answer)'}\n")
        process.run(delete, what="Removing the check's pod", log=log, env=env)


def pod(image: str) -> dict[str, object]:
    """The pod's manifest, within Pod Security's level "restricted"."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "check",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", PROGRAM],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
