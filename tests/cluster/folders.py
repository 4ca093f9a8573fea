"""Where things are kept on this machine.

Two folders of the user's, shared by all clones of the repository: the cache survives `down`, the state does not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "trending-operator"
REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The cache (results of steps, by the hash of their inputs) and the state (engine, cluster, logs)."""

    cache: Path
    state: Path

    @classmethod
    def from_environment(cls) -> Folders:
        """Follow the XDG base directory specification: XDG_CACHE_HOME and XDG_STATE_HOME, else their defaults."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(cache=Path(cache) / NAME, state=Path(state) / NAME)

    @property
    def steps(self) -> Path:
        """Results of steps, one folder each."""
        return self.cache / "steps"

    @property
    def work(self) -> Path:
        """Scratch space of steps; not /tmp, which is often small, in memory, or mounted without devices."""
        return self.cache / "work"

    @property
    def lock(self) -> Path:
        """Held by whatever changes the cluster; outside the state folder, which `down` removes."""
        return self.cache / "lock"

    @property
    def logs(self) -> Path:
        """One log a step, of its last try."""
        return self.state / "logs"

    @property
    def programs(self) -> Path:
        """Links to kind, kubectl, helm and docker as this machine needs them: goes first on PATH."""
        return self.state / "bin"

    @property
    def engine(self) -> Path:
        """The Docker engine that this package started: programs, data root, socket, log."""
        return self.state / "engine"

    @property
    def search_path(self) -> str:
        """This process's PATH behind the programs that are kept here, each folder once."""
        ours = [str(self.programs), str(self.engine / "bin")]
        return os.pathsep.join(dict.fromkeys([*ours, *os.environ["PATH"].split(os.pathsep)]))

    @property
    def kubeconfig(self) -> Path:
        """The cluster's own kubeconfig; ~/.kube/config is not touched."""
        return self.state / "kubeconfig"
