"""Programs built from Go modules, pinned by the go.mod and go.sum files under go/."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import process
from tests.cluster.cache import Step, StepCache, digest_of_tree
from tests.cluster.console import step
from tests.cluster.errors import ClusterError
from tests.cluster.folders import SOURCES, Folders
from tests.cluster.versions import HELM, KUBERNETES

MODULES = SOURCES / "go"
GO_VARIABLES = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
"""No C compiler is needed, and the user's own settings change nothing."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A main package in one of the modules, its linker variables, and how long its build usually takes."""

    name: str
    module: str
    package: str = "."
    variables: Sequence[str] = ()
    usually: str
    quick: bool = False
    """Whether its build takes seconds, so that what needs it can begin early."""

    def step(self) -> Step:
        """The step that builds it; the Go version is left out, so that a newer one does not rebuild everything."""
        return Step(
            name=self.name,
            inputs={
                "module": digest_of_tree(MODULES / self.module),
                "package": self.package,
                "variables": " ".join(self.variables),
                "machine": os.uname().machine,
            },
        )


_MAJOR, _MINOR = KUBERNETES.removeprefix("v").split(".")[:2]
_KUBERNETES_VERSION = (
    f"k8s.io/component-base/version.gitVersion={KUBERNETES}",  # without it Helm's version checks fail
    f"k8s.io/component-base/version.gitMajor={_MAJOR}",
    f"k8s.io/component-base/version.gitMinor={_MINOR}",
    "k8s.io/component-base/version.gitTreeState=clean",
)
KUBELAB = Program(
    name="kubelab", module="kubelab", variables=_KUBERNETES_VERSION, usually="6 to 9 min; 20 s when Go has it cached"
)
COREDNS = Program(name="coredns", module="coredns", usually="1 min; 5 s when Go has it cached")
LOCAL_PATH = Program(
    name="local-path-provisioner",
    module="local-path-provisioner",
    package="github.com/rancher/local-path-provisioner",
    usually="15 s",
)
PAUSE = Program(name="pause", module="pause", usually="2 s", quick=True)
KIND = Program(name="kind", module="kind", package="sigs.k8s.io/kind", usually="15 s", quick=True)
KUBECTL = Program(
    name="kubectl",
    module="kubelab",
    package="k8s.io/kubernetes/cmd/kubectl",
    variables=_KUBERNETES_VERSION,
    usually="2 min",
)
HELM_PROGRAM = Program(
    name="helm",
    module="helm",
    package="helm.sh/helm/v3/cmd/helm",
    variables=(
        f"helm.sh/helm/v3/internal/version.version={HELM}",
        "helm.sh/helm/v3/internal/version.gitTreeState=clean",
    ),
    usually="45 s; 5 s when Go has it cached",
)
KUBECONFORM = Program(
    name="kubeconform",
    module="kubeconform",
    package="github.com/yannh/kubeconform/cmd/kubeconform",
    usually="20 s",
    quick=True,
)


def build(program: Program, folders: Folders, cache: StepCache) -> Path:
    """Return the program's file, from the cache or built; raises ClusterError."""
    wanted = program.step()
    found = cache.get(wanted)
    if not found:
        with step(f"Building {program.name} from Go modules", usually=program.usually):
            found = cache.build(wanted, lambda into: _compile(program, into, folders))
    return found / program.name


def module_folder(program: Program, log: Path) -> Path:
    """Return the folder of the module that holds the program's package, downloaded and checked against go.sum."""
    here = MODULES / program.module
    process.run(
        [_go(), "mod", "download", program.package],
        what=f"Fetching {program.package}",
        log=log,
        cwd=here,
        env=GO_VARIABLES,
    )
    folder = process.output([_go(), "list", "-m", "-f", "{{.Dir}}", program.package], cwd=here, env=GO_VARIABLES)
    if not folder:
        raise ClusterError(
            f"Go does not know where {program.package} lies; look at `go list -m {program.package}` in {here}"
        )
    return Path(folder)


def _compile(program: Program, into: Path, folders: Folders) -> None:
    values = [f"-X={variable}" for variable in program.variables]
    argv = [
        _go(),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        " ".join(["-s", "-w", *values]),
    ]
    process.run(
        [*argv, "-o", into / program.name, program.package],
        what=f"Building {program.name}",
        log=folders.logs / f"{program.name}.log",
        cwd=MODULES / program.module,
        env=GO_VARIABLES,
    )


def _go() -> str:
    """The go command; raises ClusterError."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise ClusterError(
            "Go 1.21 or newer is needed to build what cannot be downloaded here, and `go` is not on PATH:"
            " install it (https://go.dev/dl/), or install Docker, kind, kubectl and helm"
        )
    return found
