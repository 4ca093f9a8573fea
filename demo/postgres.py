"""PostgreSQL 15 in the cluster: a server with a volume, a role that owns the database, and a Secret with its URI."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml
from psycopg.sql import Identifier

from demo.errors import DemoError
from demo.kubectl import Kubectl

MANIFEST: Final = Path(__file__).with_name("postgres.yaml")
NAMESPACE: Final = "discovery"
SERVICE: Final = "postgres"
POD: Final = "postgres-0"
SECRET: Final = "discovery-db"  # noqa: S105 - the name of one, not a secret
OWNER: Final = "discovery"
"""The role that owns the database and its tables; the operator's runs work as it."""
ADMINISTRATOR: Final = "postgres"
DATABASE: Final = "discovery"
READY_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A server in a namespace of the cluster."""

    kubectl: Kubectl
    namespace: str = NAMESPACE

    def psql(
        self,
        sql: str,
        *,
        database: str = DATABASE,
        role: str = OWNER,
        variables: tuple[str, ...] = (),
        timeout: float = 120,
    ) -> str:
        """Run SQL by psql inside the pod and return its rows, tab between columns, without headings.

        `role` is whose rights it has; `variables` are psql's, as NAME=VALUE. The first error ends it: DemoError.
        """
        arguments = self.psql_arguments(database=database, role=role, variables=variables)
        return self.kubectl.run(*arguments, stdin=sql, timeout=timeout)

    def psql_arguments(
        self, *, database: str = DATABASE, role: str = OWNER, variables: tuple[str, ...] = ()
    ) -> list[str]:
        """Return the arguments of a kubectl that runs psql inside the pod with SQL from its standard input."""
        given = [f"--set={variable}" for variable in ("ON_ERROR_STOP=1", *variables)]
        psql = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t", *given]
        inside = ["env", f"PGOPTIONS=-c role={role}", *psql, f"--dbname={database}"]
        return [f"--namespace={self.namespace}", "exec", "--stdin", POD, "--", *inside]

    def create_database(self, name: str) -> None:
        """Create a database of the same owner."""
        self.psql(f"CREATE DATABASE {_quoted(name)} OWNER {_quoted(OWNER)}", database="postgres", role=ADMINISTRATOR)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.psql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)", database="postgres", role=ADMINISTRATOR)

    def password(self) -> str:
        """Return the owner's password; for URIs in Secrets and connections of this process alone."""
        secret = self.kubectl.get("secret", SECRET, namespace=self.namespace)
        if secret is None:
            raise DemoError(
                f"The Secret {SECRET} is not in the namespace {self.namespace}.",
                look=f"kubectl -n {self.namespace} get secrets",
            )
        return base64.b64decode(secret["data"]["password"]).decode()

    def uri(self, database: str = DATABASE, *, host: str | None = None, port: int = 5432) -> str:
        """Return the URI with the owner's password, as pods of any namespace reach the server."""
        return build_uri(self.password(), database=database, host=host or self.host, port=port)

    @property
    def host(self) -> str:
        """The Service's name, as pods of any namespace resolve it."""
        return f"{SERVICE}.{self.namespace}.svc"

    @contextmanager
    def forwarded(self, database: str = DATABASE) -> Iterator[str]:
        """Give a URI that this process can use, through a forwarded port of this machine."""
        forward = ("port-forward", f"pod/{POD}", ":5432", "--address=127.0.0.1")
        with self.kubectl.started(f"--namespace={self.namespace}", *forward) as process:
            line = process.stdout.readline() if process.stdout else ""
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
            if port is None:
                look = f"kubectl -n {self.namespace} port-forward pod/{POD} 5432"
                raise DemoError(f"The port of {POD} could not be forwarded: {line.strip() or 'no answer'}", look=look)
            yield self.uri(database, host="127.0.0.1", port=int(port[1]))

    def log(self) -> str:
        """Return what the server has logged since it started, waits for locks of more than 100 ms among it."""
        return self.kubectl.run(f"--namespace={self.namespace}", "logs", POD)


def deploy(kubectl: Kubectl, *, namespace: str = NAMESPACE) -> Postgres:
    """Have the server in a namespace and wait until it takes connections; one that is there is left as it is."""
    kubectl.ensure_namespace(namespace)
    secret = _ensure_secret(kubectl, namespace)
    kubectl.apply(*_manifests(restart_for=secret), namespace=namespace)
    rollout = ("rollout", "status", f"statefulset/{SERVICE}", f"--timeout={READY_SECONDS}s")
    try:
        kubectl.run(f"--namespace={namespace}", *rollout, timeout=READY_SECONDS + 10)
    except DemoError as error:
        raise DemoError(
            f"PostgreSQL did not become ready within {READY_SECONDS} s.",
            look=f"kubectl -n {namespace} describe pod {POD}; kubectl -n {namespace} logs {POD}",
        ) from error
    return Postgres(kubectl=kubectl, namespace=namespace)


def build_uri(password: str, *, host: str, port: int = 5432, database: str = DATABASE) -> str:
    """Return a connection URI of the owner."""
    return f"postgresql://{OWNER}:{quote(password, safe='')}@{host}:{port}/{quote(database, safe='')}"


def build_secret(password: str, *, host: str, name: str = SECRET, database: str = DATABASE) -> dict[str, Any]:
    """Return a Secret with the keys that a CloudNativePG cluster's app secret has."""
    data = {
        "username": OWNER,
        "password": password,
        "host": host,
        "port": "5432",
        "dbname": database,
        "uri": build_uri(password, host=host, database=database),
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": data}


def _ensure_secret(kubectl: Kubectl, namespace: str) -> str:
    """Create the Secret with a random password where there is none; returns its uid."""
    found = kubectl.get("secret", SECRET, namespace=namespace)
    if found is None:
        server = Postgres(kubectl=kubectl, namespace=namespace)
        kubectl.create(build_secret(secrets.token_urlsafe(24), host=server.host), namespace=namespace)
        found = kubectl.get("secret", SECRET, namespace=namespace)
    return str(found["metadata"]["uid"]) if found else ""


def _manifests(*, restart_for: str) -> list[dict[str, Any]]:
    """Read the manifests; another configuration or another Secret (its uid) is another pod."""
    text = MANIFEST.read_text(encoding="utf-8")
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    configuration = next(document["data"] for document in documents if document["kind"] == "ConfigMap")
    digest = hashlib.sha256(f"{restart_for} {sorted(configuration.items())}".encode()).hexdigest()[:16]
    for document in documents:
        if document["kind"] == "StatefulSet":
            document["spec"]["template"]["metadata"]["annotations"] = {"trending.dev/configuration": digest}
    return documents


def _quoted(name: str) -> str:
    return Identifier(name).as_string()
