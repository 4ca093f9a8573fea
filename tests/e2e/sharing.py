"""One release of the operator for several test processes: the first installs it, the last uninstalls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypedDict

from demo.kubectl import Kubectl
from tests.cluster.lock import exclusive
from tests.e2e.controllers import Controller

_FILE: Final = "release.json"


class _Use(TypedDict):
    users: int
    """How many test processes work with it."""
    keep: bool
    """Whether it was there before them all, and stays."""


@contextmanager
def shared_release(cluster: Kubectl, folder: Path) -> Iterator[Controller]:
    """Have this checkout's operator in the cluster while any process works with it; `folder` is what they share."""
    path, lock = folder / _FILE, folder / "release.lock"
    with exclusive(lock, tell=lambda _: None):
        controller = _enter(cluster, path)
    try:
        yield controller
    finally:
        with exclusive(lock, tell=lambda _: None):
            _leave(cluster, controller, path)


def _enter(cluster: Kubectl, path: Path) -> Controller:
    found = Controller.find(cluster)
    controller = found or Controller(kubectl=cluster)
    use = _read(path)
    if use is None or not use["users"]:
        use = _Use(users=0, keep=found is not None)
        controller.install()
    _write(path, _Use(users=use["users"] + 1, keep=use["keep"]))
    return controller


def _leave(cluster: Kubectl, controller: Controller, path: Path) -> None:
    use = _read(path) or _Use(users=1, keep=False)
    _write(path, _Use(users=use["users"] - 1, keep=use["keep"]))
    if use["users"] == 1 and not use["keep"]:
        controller.uninstall()
        cluster.run("delete", "namespace", controller.namespace, "--timeout=180s", timeout=190)


def _read(path: Path) -> _Use | None:
    if not path.exists():
        return None
    use: _Use = json.loads(path.read_text())
    return use


def _write(path: Path, use: _Use) -> None:
    path.write_text(json.dumps(use))
