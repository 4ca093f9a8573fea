"""A database that wants TLS: a run connects with the CA and the client certificate of the schedule's Secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.databases import RANKING
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import query_target, schedule
from tests.postgres.certificates import make_certificates

MANIFEST: Final = Path(__file__).with_name("tls-postgres.yaml")
LEDGER: Final = Path(__file__).parents[2] / "migrations" / "0001_ledger.sql"
ROLE: Final = "certified"
REFERENCE: Final = {"secretKeyRef": {"name": "db", "key": "uri"}}
CA: Final = {"caSecretKeyRef": {"name": "ca", "key": "ca.crt"}}
CLIENT: Final = {"clientCertSecretName": "client"}

# What the database's part of the spec is, and what the run says; None where it succeeds.
CASES: Final[dict[str, tuple[Mapping[str, Any], str | None]]] = {
    "both": (CA | CLIENT, None),
    "no-client-certificate": (CA, "connection requires a valid client certificate"),
    "another-ca": (
        {"caSecretKeyRef": {"name": "ca", "key": "other-ca.crt"}} | CLIENT,
        "certificate verify failed",
    ),
    "a-missing-ca": (
        {"caSecretKeyRef": {"name": "nowhere", "key": "ca.crt"}} | CLIENT,
        "Secret nowhere with key ca.crt does not exist in namespace",
    ),
    "a-missing-client-certificate": (
        CA | {"clientCertSecretName": "nobody"},
        "Secret nobody with key tls.crt does not exist in namespace",
    ),
}


@pytest.fixture(scope="module")
def secured(shared_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """A namespace with such a server, the Secrets, and a schedule for each case."""
    host = f"tls-postgres.{shared_namespace.name}.svc"
    folder = tmp_path_factory.mktemp("certificates") / "tls"
    make_certificates(folder, client=ROLE, host=host)
    shared_namespace.create(
        secret(folder, "server-tls", "server.crt", "server.key", "ca.crt"),
        secret(folder, "ca", "ca.crt", "other-ca.crt"),
        {
            **secret(folder, "client", **{"tls.crt": "client.crt", "tls.key": "client.key"}),
            "type": "kubernetes.io/tls",
        },
    )
    shared_namespace.create_secret(f"postgresql://{ROLE}@{host}/postgres")
    shared_namespace.apply(*yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
    shared_namespace.run("wait", "pod/tls-postgres", "--for=condition=Ready", "--timeout=180s", timeout=190)
    psql = (
        "exec",
        "--stdin",
        "tls-postgres",
        "--",
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "postgres",
    )
    grants = (f"GRANT ALL ON {what} TO {ROLE};" for what in ("DATABASE postgres", "SCHEMA public"))
    role = f"CREATE ROLE {ROLE} LOGIN; {' '.join(grants)} SET ROLE {ROLE};"
    shared_namespace.run(*psql, stdin=f"{role}\n{LEDGER.read_text(encoding='utf-8')}\n{RANKING};")
    shared_namespace.apply(
        *(
            schedule(query_target(board=name), name=name, backoffLimit=0, database=REFERENCE | dict(database))
            for name, (database, _) in CASES.items()
        )
    )
    return shared_namespace


@pytest.mark.parametrize("name", CASES)
def test_a_run_connects_with_the_certificates_of_the_schedules_secrets(secured: Namespace, name: str) -> None:
    """With a CA given the server's certificate and name are checked, though the URI does not ask for it."""
    expected = CASES[name][1]
    status = secured.until_run_ended(name)
    if expected is None:
        assert status["lastRun"]["message"] == "rewrote 1 target: 1 row inserted, 0 unchanged"
    else:
        assert expected in status["lastRun"]["message"]
    assert condition_of(status, "Succeeded")["status"] == str(expected is None)


def secret(folder: Path, name: str, *files: str, **renamed: str) -> dict[str, Any]:
    """Return a Secret that holds files of a folder, some under other names."""
    named = {file: file for file in files} | renamed
    data = {key: base64.b64encode((folder / file).read_bytes()).decode() for key, file in named.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
