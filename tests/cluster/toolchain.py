"""kind, kubectl and helm: those on PATH where their versions fit, else built from Go modules."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.cluster import gobuild, process
from tests.cluster.cache import StepCache
from tests.cluster.folders import Folders
from tests.cluster.versions import HELM, KIND, KUBERNETES

Version = tuple[int, int, int]
_Tool = tuple[Callable[[str], Version | None], Callable[[Version | None], bool], gobuild.Program]
"""How to ask a program for its version, whether that one will do, and what is built where not."""


def parse(text: str) -> Version | None:
    """Read the first version number in a text: `v1.32.4-dispatcher` is (1, 32, 4); None where there is none."""
    match = re.search(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def kubectl_fits(client: Version | None, server: Version) -> bool:
    """Kubernetes' version skew policy: kubectl is within one minor of the API server, either way."""
    return client is not None and client[0] == server[0] and abs(client[1] - server[1]) <= 1


def kind_fits(found: Version | None, wanted: Version) -> bool:
    """kind's node images belong to one release of kind, patch levels aside."""
    return found is not None and found[:2] == wanted[:2]


def helm_fits(found: Version | None, wanted: Version) -> bool:
    """Helm is compiled against one Kubernetes minor and not meant for newer ones: an older Helm is not taken."""
    return found is not None and found[:2] >= wanted[:2]


def provide(folders: Folders, cache: StepCache, *, search: str | None = None) -> None:
    """Link kind, kubectl and helm into the folder of programs; raises ClusterError.

    `search` is the PATH to look in first, this process's own by default.
    """
    folders.programs.mkdir(parents=True, exist_ok=True)
    for name in ("kind", "kubectl", "helm"):
        _link(folders.programs / name, find(name, folders, cache, search=search))


def find(name: str, folders: Folders, cache: StepCache, *, search: str | None = None) -> Path:
    """Return kind, kubectl or helm: the one on PATH where its version fits, else one built; raises ClusterError."""
    version_of, fits, program = _tools(cache)[name]
    installed = shutil.which(name, path=search if search is not None else _path_without(folders.programs))
    return Path(installed) if installed and fits(version_of(installed)) else gobuild.build(program, folders, cache)


def link_docker(folders: Folders) -> None:
    """Link the client of the engine that was started here."""
    folders.programs.mkdir(parents=True, exist_ok=True)
    _link(folders.programs / "docker", folders.engine / "bin" / "docker")


def _tools(cache: StepCache) -> dict[str, _Tool]:
    kubernetes, kind, helm = (_known(version) for version in (KUBERNETES, KIND, HELM))
    return {
        "kind": (_kind_version, lambda found: kind_fits(found, kind), gobuild.KIND),
        "kubectl": (_kubectl_version, lambda found: kubectl_fits(found, kubernetes), _kubectl_program(cache)),
        "helm": (_helm_version, lambda found: helm_fits(found, helm), gobuild.HELM_PROGRAM),
    }


def _kubectl_program(cache: StepCache) -> gobuild.Program:
    """The multi-call binary answers to the name kubectl as well; where nothing else needs it, kubectl builds faster."""
    return gobuild.KUBELAB if cache.get(gobuild.KUBELAB.step()) else gobuild.KUBECTL


def _kind_version(program: str) -> Version | None:
    return parse(process.output([program, "version", "--quiet"]) or "")


def _helm_version(program: str) -> Version | None:
    return parse(process.output([program, "version", "--template", "{{.Version}}"]) or "")


def _kubectl_version(program: str) -> Version | None:
    """Ask for JSON, since the words around the number have changed over the releases."""
    printed = process.output([program, "version", "--client", "--output", "json"])
    if not printed:
        return None
    try:
        return parse(json.loads(printed)["clientVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return None  # a kubectl that answers something else is not taken


def _known(text: str) -> Version:
    version = parse(text)
    if version is None:
        raise ValueError(f"{text!r} in versions.py is not a version")
    return version


def _link(link: Path, target: Path) -> None:
    """Point a link at a target in one step, for commands that run meanwhile."""
    partial = link.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)


def _path_without(folder: Path) -> str:
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != str(folder))
