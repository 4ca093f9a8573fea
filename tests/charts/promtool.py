"""Prometheus' own judge of alerts: promtool, on PATH or from Debian's packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster import debian
from tests.cluster.cache import Step, StepCache
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders
from tests.cluster.versions import NODE_SUITE


def provide() -> Path:
    """Return promtool; raises ClusterError where it is neither on PATH nor can be fetched."""
    installed = shutil.which("promtool")
    if installed:
        return Path(installed)
    obstacle = debian.why_not_here()
    if obstacle:
        raise ClusterError(f"promtool is not on PATH, and cannot be fetched because {obstacle}: install Prometheus")
    folders = Folders.from_environment()
    inputs = {"suite": NODE_SUITE, "machine": os.uname().machine}
    made = StepCache(folders.steps).build(Step(name="promtool", inputs=inputs), lambda into: _fetch(into, folders))
    return made / "promtool"


def _fetch(into: Path, folders: Folders) -> None:
    log = folders.logs / "promtool.log"
    folders.work.mkdir(parents=True, exist_ok=True)
    folders.logs.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folders.work) as scratch:
        debs, root = Path(scratch) / "debs", Path(scratch) / "root"
        debs.mkdir()
        root.mkdir()
        debian.fetch([f"prometheus/{NODE_SUITE}"], suites=[NODE_SUITE], into=debs, folders=folders, log=log)
        debian.unpack(debs, into=root, log=log)
        shutil.copy2(root / "usr/bin/promtool", into / "promtool")
