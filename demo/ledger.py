"""`trending migrate` as a Job: the database is reached from inside the cluster, and its URI stays there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import yaml

from demo.errors import DemoError
from demo.kubectl import Kubectl
from demo.postgres import NAMESPACE, SECRET

MANIFESTS: Final = {None: "migrate.yaml", "audius": "migrate-audius.yaml"}
"""By preset."""
SECONDS: Final = 300


def migrate(kubectl: Kubectl, *, namespace: str = NAMESPACE, secret: str = SECRET, preset: str | None = None) -> str:
    """Make the ledger in the database of a Secret's key `uri` and, with a preset, what that needs.

    It can be repeated. Returns what the migration said; raises DemoError.
    """
    job = build_job(secret=secret, preset=preset)
    namespaced = f"--namespace={namespace}"
    created = kubectl.run(namespaced, "create", "--filename=-", "--output=name", stdin=yaml.safe_dump(job)).strip()
    outcome = _wait_for_end(kubectl, created.rpartition("/")[2], namespace)
    if outcome != "Complete":
        look = f"kubectl -n {namespace} logs {created}"
        raise DemoError(f"The migration's {created} ended as {outcome}.", look=look)
    return kubectl.run(namespaced, "logs", created)


def build_job(*, secret: str = SECRET, preset: str | None = None) -> dict[str, Any]:
    """Return the Job of demo/migrate.yaml or, with a preset, of its own file."""
    job: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(MANIFESTS[preset]).read_text(encoding="utf-8"))
    job["spec"]["template"]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] = secret
    return job


def _wait_for_end(kubectl: Kubectl, name: str, namespace: str) -> str:
    """Return the condition in which a Job ended."""
    deadline = time.monotonic() + SECONDS
    for job in kubectl.watch("job", namespace=namespace, name=name, tick=5):
        conditions = (job or {}).get("status", {}).get("conditions", [])
        for condition in conditions:
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return str(condition["type"])
        if time.monotonic() > deadline:
            break
    look = f"kubectl -n {namespace} describe job {name}"
    raise DemoError(f"The migration's Job {name} did not end within {SECONDS} s.", look=look)
