"""The Docker engine: one that answers is used, else one is started from Debian's packages.

The started engine keeps to itself: its programs are unpacked rather than installed, and data root, state, socket, pid
file and log lie in one folder. Every clone of the repository finds it there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import bridges, debian, process, state, subnets
from tests.cluster.cache import Step, StepCache
from tests.cluster.console import step
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders
from tests.cluster.versions import ENGINE_SUITE, NODE_SUITE

ENGINE_PACKAGES = ("docker.io", "docker-cli", "containerd", "debootstrap")
HOST_PACKAGES = ("runc", "iptables", "libseccomp2")
HOST_PACKAGES_LIBRARIES = (
    *("libip4tc2", "libip6tc2", "libxtables12", "libmnl0", "libnftnl11", "libnetfilter-conntrack3", "libnfnetlink0"),
)
PROGRAMS = {
    "usr/sbin/dockerd": "dockerd",
    "usr/bin/docker": "docker",
    "usr/bin/docker-proxy": "docker-proxy",
    "usr/sbin/docker-proxy": "docker-proxy",
    "usr/bin/docker-init": "docker-init",
    "usr/bin/containerd": "containerd",
    "usr/bin/containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "usr/bin/ctr": "ctr",
    "usr/sbin/runc": "runc",
    "usr/sbin/xtables-nft-multi": "xtables-nft-multi",
}
TABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
FOLDERS_OF_DOCKER = (Path("/run/docker"), Path("/run/containerd"), Path("/opt/containerd"))
INSTALL_DOCKER = "install Docker (https://docs.docker.com/engine/install/) and start it"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A Docker engine that answers; `env` is what its clients need in their environment."""

    env: dict[str, str]
    ours: bool

    def docker(self, *arguments: str, timeout: float = 60) -> str | None:
        """Return what the docker client printed, or None where it failed."""
        return process.output(["docker", *arguments], env=self.env, timeout=timeout)

    def run(self, *arguments: str | Path, what: str, log: Path) -> None:
        """Run the docker client with its output in the log; raises ClusterError."""
        process.run(["docker", *arguments], what=what, log=log, env=self.env)

    def image_id(self, tag: str) -> str | None:
        """The content's id of an image that the engine holds, or None."""
        return self.docker("image", "inspect", "--format", "{{.Id}}", tag)

    def import_root(self, root: Path, tag: str, changes: list[str], *, log: Path) -> None:
        """Make an image of a tarred file system; `changes` are Dockerfile instructions such as ENV."""
        flags = [word for change in changes for word in ("--change", change)]
        self.run("import", *flags, root, tag, what=f"Importing {tag}", log=log)


def find(folders: Folders) -> Engine | None:
    """Return the engine that an earlier `up` started, or one that the docker client on PATH reaches, or None."""
    socket = folders.engine / "docker.sock"
    if socket.exists():
        ours = Engine(env=_client_environment(folders), ours=True)
        if _answers(ours):
            return ours
    theirs = Engine(env={}, ours=False)
    return theirs if shutil.which("docker") and _answers(theirs) else None


def find_or_start(folders: Folders, cache: StepCache) -> Engine:
    """Return an engine that answers; raises ClusterError with one sentence where none can be had."""
    found = find(folders)
    if found:
        return found
    obstacle = debian.why_not_here()
    if obstacle:
        raise ClusterError(
            f"No Docker engine answers, and none can be started here because {obstacle}: {INSTALL_DOCKER}"
        )
    log = folders.logs / "engine.log"
    if not (folders.engine / "bin").exists():
        with step("Fetching a Docker engine from Debian's packages", usually="20 s; 5 s when cached"):
            install(folders, cache, log=log)
    with step("Starting the Docker engine", usually="4 s"):
        return _start(folders)


def install(folders: Folders, cache: StepCache, *, log: Path) -> Path:
    """Unpack the engine's programs and debootstrap; returns the folder of programs, to go first on PATH."""
    here = folders.engine / "debian"
    programs = folders.engine / "bin"
    if (programs / "dockerd").exists():
        return programs
    packages = [f"{name}/{ENGINE_SUITE}" for name in ENGINE_PACKAGES]
    packages += [f"{name}/{NODE_SUITE}" for name in (*HOST_PACKAGES, *HOST_PACKAGES_LIBRARIES)]
    debs = cache.build(
        Step(name="engine-packages", inputs={"packages": " ".join(packages), "machine": os.uname().machine}),
        lambda into: debian.fetch(packages, suites=[NODE_SUITE, ENGINE_SUITE], into=into, folders=folders, log=log),
    )
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    debian.unpack(debs, into=here, log=log)
    partial = folders.engine / "bin.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for source, name in PROGRAMS.items():
        if (here / source).exists():
            _wrap(here, here / source, partial / name)
    for name in TABLES:
        _wrap(here, here / "usr/sbin/xtables-nft-multi", partial / name, name)
    _wrap_debootstrap(here, partial)
    partial.rename(programs)
    return programs


def _wrap(root: Path, program: Path, wrapper: Path, *arguments: str) -> None:
    """Write a script that runs an unpacked program with the libraries unpacked beside it."""
    libraries = root / "usr/lib" / debian.multiarch()
    lines = [
        "#!/bin/sh",
        f"export LD_LIBRARY_PATH='{libraries}:{root / 'lib' / debian.multiarch()}'",
        f"export XTABLES_LIBDIR='{libraries}/xtables'",
        f"exec '{program}' {' '.join(arguments)} \"$@\"",
    ]
    wrapper.write_text("\n".join(lines) + "\n")
    wrapper.chmod(0o755)


def _wrap_debootstrap(root: Path, programs: Path) -> None:
    """Tell debootstrap where its functions are, and let apt's own downloader stand in for wget where that is absent."""
    script = programs / "debootstrap"
    script.write_text(
        f"#!/bin/sh\nexport DEBOOTSTRAP_DIR='{root}/usr/share/debootstrap'\nexec '{root}/usr/sbin/debootstrap' \"$@\"\n"
    )
    script.chmod(0o755)
    if shutil.which("wget"):
        return
    wget = programs / "wget"
    wget.write_text(
        "#!/bin/sh\n# wget [options] -O FILE ADDRESS, as debootstrap calls it\n"
        "while [ $# -gt 1 ]; do case $1 in -O) file=$2; shift 2;; *) shift;; esac; done\n"
        'exec /usr/lib/apt/apt-helper -q download-file "$1" "$file"\n'
    )
    wget.chmod(0o755)


def _start(folders: Folders) -> Engine:
    """Start dockerd detached from this process and wait until it answers."""
    here = folders.engine
    socket = here / "docker.sock"
    if len(str(socket)) > 100:
        raise ClusterError(f"The path {socket} is too long for a socket: set XDG_STATE_HOME to a shorter folder")
    log = here / "dockerd.log"
    if not processes_of(here):
        (here / "docker.pid").unlink(missing_ok=True)  # after a restart of the machine its number may be another's
    _remember_machine(folders)
    if not another_runs():
        bridges.remove(bridges.leftovers())  # of one that was killed
    bridge, pool = subnets.pick_free()
    argv = [
        *(here / "bin/dockerd", "--data-root", here / "root", "--exec-root", here / "run"),
        *("--pidfile", here / "docker.pid", "--host", f"unix://{socket}"),
        *("--bip", bridge, "--default-address-pool", f"base={pool},size=24"),
    ]
    environment = {**os.environ, "PATH": f"{here / 'bin'}:{os.environ['PATH']}"}
    with log.open("ab") as sink:
        daemon = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    engine = Engine(env=_client_environment(folders), ours=True)
    deadline = time.monotonic() + 60
    while not _answers(engine):
        if daemon.poll() is not None or time.monotonic() > deadline:
            said = process.last_line(log)
            raise ClusterError(f"The Docker engine did not start ({said}); its log is {log}; or {INSTALL_DOCKER}")
        time.sleep(0.2)  # dockerd has no event to wait for before its socket answers
    return engine


def another_runs() -> bool:
    """Whether a dockerd runs other than ours, which has ended or not begun: chains and bridges are then its own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                if name == "dockerd" and rest.split()[0] != "Z":  # one that has ended may wait for its parent
                    return True
            except OSError:
                continue  # it has ended meanwhile
    return False


def processes_of(folder: Path) -> list[int]:
    """The processes whose program lies below a folder; dockerd first, since it restarts what ends before it."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            program = (entry / "exe").readlink()
        except OSError:
            continue  # it has ended meanwhile, or is the kernel's
        if program.is_relative_to(folder):
            found[int(entry.name)] = program.name
    return sorted(found, key=lambda pid: found[pid] != "dockerd")


def _remember_machine(folders: Folders) -> None:
    """Note what dockerd is about to change, for `down` to put back; a restarted engine finds its own changes."""
    known = state.read(folders)
    if "forward_policy" not in known:
        rules = process.output([folders.engine / "bin" / "iptables", "--list-rules", "FORWARD"]) or ""
        policy = rules.partition("\n")[0].removeprefix("-P FORWARD ")
        setting = IP_FORWARD.read_text().strip()
        made = [str(folder) for folder in FOLDERS_OF_DOCKER if not folder.exists()]
        state.write(folders, {**known, "forward_policy": policy, "ip_forward": setting, "folders_made": made})


def _answers(engine: Engine) -> bool:
    return engine.docker("version", "--format", "{{.Server.Version}}", timeout=10) is not None


def _client_environment(folders: Folders) -> dict[str, str]:
    """What clients of the started engine need: it has the classic builder only, since Debian packs buildx apart."""
    socket = f"unix://{folders.engine / 'docker.sock'}"
    return {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0", "PATH": folders.search_path}
