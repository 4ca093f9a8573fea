"""A control plane alone: etcd, the API server and the controllers that are asked for, as plain processes.

There is no node, so no pod ever runs, and none is missed by a test of what the API server sees. It answers some three
seconds after its start. Everything of it lies in a temporary folder and goes with it, whatever happens.
"""

from __future__ import annotations

import json
import secrets
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster import gobuild, process
from tests.cluster.cache import StepCache
from tests.cluster.component import Component, free_ports
from tests.cluster.errors import ClusterError
from tests.cluster.folders import REPOSITORY, Folders
from tests.cluster.lock import exclusive
from trending.api.names import GROUP, PLURAL, VERSION

CONTROLLERS: Final = ("job-controller", "cronjob-controller", "garbage-collector-controller")
"""What runs by default: Jobs get their pods, which stay Pending, and what is owned goes with its owner."""
ADMIN: Final = "admin"
OPERATOR: Final = "system:serviceaccount:trending-system:trending-operator"
"""The chart's service account: bind its ClusterRole, and the controller has the rights that it is to have."""
_TOKENS: Final = {ADMIN: "system:masters", OPERATOR: "system:serviceaccounts"}
_READY_SECONDS: Final = 60.0
_CRD: Final = REPOSITORY / "manifests" / "crd.yaml"


class ControlPlane:
    """Its processes and the ways to speak to it. `etcd`, `api_server` and `controllers` may be stopped, started and
    frozen by a test."""

    def __init__(
        self,
        kubelab: Path,
        folder: Path,
        *,
        controllers: Sequence[str],
        api_server_flags: Sequence[str] = (),
        controller_flags: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._kubelab = kubelab
        self._tokens = {user: secrets.token_hex(16) for user in _TOKENS}
        port, client, peer = free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self.ca = folder / "apiserver.crt"
        self.etcd = Component(_etcd(kubelab, folder, client, peer), log=folder / "etcd.log")
        argv = [*_api_server(kubelab, folder, port, client), *api_server_flags]
        self.api_server = Component(argv, log=folder / "kube-apiserver.log")
        argv = [*_controller_manager(kubelab, self.kubeconfig(ADMIN), controllers), *controller_flags]
        self.controllers = Component(argv, log=folder / "kube-controller-manager.log")
        self._has_controllers = bool(controllers)

    def start(self) -> None:
        """Start everything, install the CRD, and return once it is served; raises ClusterError."""
        _make_service_account_key(self.folder)
        rows = [f'{self._tokens[user]},{user},{user},"{group}"' for user, group in _TOKENS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        self.etcd.start()
        self.api_server.start()
        self.wait_until_ready()
        if self._has_controllers:
            self.controllers.start()
        self.kubectl("apply", "--server-side", "--filename", str(_CRD))
        self._wait_until_served(f"/apis/{GROUP}/{VERSION}/{PLURAL}")

    def stop(self) -> None:
        """Stop everything."""
        for component in (self.controllers, self.api_server, self.etcd):
            component.kill()  # nothing is to be kept

    def wait_until_ready(self) -> None:
        """Return once the API server says that it is ready; raises ClusterError."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            self.etcd.check()
            self.api_server.check()
            try:
                self.request("GET", "/readyz")
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"The API server did not become ready ({error}); its log is {self.api_server.log}"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _wait_until_served(self, path: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self.request("GET", path)
            except urllib.error.HTTPError as error:
                with error:
                    if time.monotonic() > deadline:
                        raise ClusterError(f"The API server does not serve {path} ({error})") from None
                time.sleep(0.05)
            else:
                return

    def kubeconfig(self, user: str = ADMIN, *, namespace: str = "default") -> Path:
        """Return a kubeconfig file of a user: ADMIN, who may do anything, or OPERATOR, who may do what is bound."""
        path = self.folder / f"{user.rpartition(':')[2]}-{namespace}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "plane",
            "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": user, "namespace": namespace}}],
            "clusters": [{"name": "plane", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
        }
        path.write_text(json.dumps(config))
        return path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl printed, as ADMIN; raises ClusterError."""
        done = subprocess.run(
            [self._kubelab, "kubectl", "--kubeconfig", self.kubeconfig(), "--cache-dir", self.folder, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"`kubectl {' '.join(arguments)}` did not work: {done.stderr.strip()}")
        return done.stdout

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, accept: str = "*/*") -> Any:
        """Send a request to the API server as ADMIN; return the JSON or the text that it answered.

        Raises OSError where it does not answer, and HTTPError, which is one, where it refuses.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(  # noqa: S310 (our own URL)
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._tokens[ADMIN]}", "Content-Type": kind, "Accept": accept},
        )
        with urllib.request.urlopen(request, timeout=30, context=self._tls()) as response:  # noqa: S310
            text = response.read().decode()
            return json.loads(text) if "json" in response.headers.get_content_type() else text

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)  # a FileNotFoundError, until the API server has made it


@contextmanager
def control_plane(
    *,
    controllers: Sequence[str] = CONTROLLERS,
    api_server_flags: Sequence[str] = (),
    controller_flags: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """Have a control plane for the while of the block; raises ClusterError.

    `controllers` are names as kube-controller-manager's --controllers takes them; the flags are added to the API
    server's and the controller manager's own. The block is best entered in the main thread: see Component.
    """
    kubelab = provide_kubelab()
    with tempfile.TemporaryDirectory(prefix="trending-plane-", ignore_cleanup_errors=True) as folder:
        plane = ControlPlane(
            kubelab,
            Path(folder),
            controllers=controllers,
            api_server_flags=api_server_flags,
            controller_flags=controller_flags,
        )
        try:
            plane.start()
            yield plane
        finally:
            plane.stop()


def provide_kubelab() -> Path:
    """Return the multi-call binary, from the cache or built from Go modules (minutes); raises ClusterError."""
    folders = Folders.from_environment()
    cache = StepCache(folders.steps)
    if found := cache.get(gobuild.KUBELAB.step()):
        return found / gobuild.KUBELAB.name
    with exclusive(folders.lock):  # `make cluster` may be building it
        return gobuild.build(gobuild.KUBELAB, folders, cache)


def _etcd(kubelab: Path, folder: Path, client: int, peer: int) -> list[str | Path]:
    here, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        kubelab,
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",  # it may lose its last words
        "--log-level=warn",
    ]


def _api_server(kubelab: Path, folder: Path, port: int, etcd: int) -> list[str | Path]:
    return [
        kubelab,
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # it would refuse to publish a loopback address
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-account.key'}",
        f"--service-account-signing-key-file={folder / 'service-account.key'}",
        "--disable-admission-plugins=ServiceAccount",  # no controller here makes the account that pods would need
    ]


def _controller_manager(kubelab: Path, kubeconfig: Path, controllers: Sequence[str]) -> list[str | Path]:
    return [
        kubelab,
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--authentication-skip-lookup",
        "--leader-elect=false",
        "--secure-port=0",
        f"--controllers={','.join(controllers)}",
    ]


def _make_service_account_key(folder: Path) -> None:
    key = folder / "service-account.key"
    argv: list[str | Path] = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]
    process.run(argv, what="Making a key for service accounts", log=folder / "openssl.log")
