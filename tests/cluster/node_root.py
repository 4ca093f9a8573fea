"""The file system of the node: what images/base/Dockerfile of kind makes, from Debian's packages alone.

Deviations from kind's own: containerd 1.7 of the engine's suite (crictl, kind's own CNI plugins and containerd 2 come
from release archives, which only packages registries do not serve), and no tools of network storage.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.cluster import debian_root, gobuild
from tests.cluster.cache import StepCache
from tests.cluster.debian_root import Root
from tests.cluster.engine import install
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders
from tests.cluster.versions import KIND

PACKAGES = (
    *(
        "systemd",
        "conntrack",
        "iptables",
        "nftables",
        "iproute2",
        "ethtool",
        "util-linux",
        "mount",
        "kmod",
        "libseccomp2",
    ),
    *("socat", "e2fsprogs", "bash", "ca-certificates", "jq", "procps", "runc", "containernetworking-plugins"),
)
UNWANTED_UNITS = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)
CNI_PLUGINS = ("host-local", "loopback", "ptp", "portmap")
CONTAINERD = ("containerd", "ctr", "containerd-shim-runc-v2")
CONTAINERD_CONFIG = "etc/containerd/config.toml"


def root(folders: Folders, cache: StepCache) -> Root:
    """Describe the node's root; its files come from kind's own module."""

    def finish(here: Path, log: Path) -> None:
        _copy_kind_files(gobuild.module_folder(gobuild.KIND, log) / "images/base/files", here)
        _settle_systemd(here, log)
        _install_containerd(here, install(folders, cache, log=log).parent / "debian")

    revision = f"{KIND} {debian_root.revision_of(Path(__file__))}"
    return Root(name="node-root", packages=PACKAGES, finish=finish, revision=revision)


def _copy_kind_files(files: Path, here: Path) -> None:
    """Copy kind's configuration and scripts with the modes that its Dockerfile sets; Go's module cache is read-only."""
    for part, mode in (("etc", 0o644), ("kind", 0o644), ("kind/bin", 0o755), ("usr/local/bin", 0o755)):
        for source in sorted((files / part).rglob("*")):
            target = here / part / source.relative_to(files / part)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copyfile(source, target)
                target.chmod(mode)


def _settle_systemd(here: Path, log: Path) -> None:
    """Keep of systemd what a container needs, and enable the node's services."""
    for pattern in UNWANTED_UNITS:
        for unit in here.glob(pattern):
            unit.unlink()
    with (here / "etc/systemd/journald.conf").open("a") as config:
        config.write("ReadKMsg=no\n")
    init = here / "sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("/usr/lib/systemd/systemd")
    debian_root.chroot(
        here, "systemctl", "enable", "kubelet.service", "containerd.service", "undo-mount-hacks.service", log=log
    )
    debian_root.chroot(here, "systemctl", "mask", "systemd-binfmt.service", log=log)
    (here / "etc/kubernetes/manifests").mkdir(parents=True)


def _install_containerd(here: Path, packages: Path) -> None:
    """Copy containerd and the CNI plugins to where kind expects them, and write the pods' runtime defaults."""
    plugins = here / "opt/cni/bin"
    plugins.mkdir(parents=True)
    for name in CNI_PLUGINS:
        shutil.copy2(here / "usr/lib/cni" / name, plugins / name)
    for name in CONTAINERD:
        shutil.copy2(packages / "usr/bin" / name, here / "usr/local/bin" / name)
    # without CAP_SYS_RESOURCE no process may lower its oom_score_adj, and every sandbox would die of trying
    debian_root.replace_line(
        here / CONTAINERD_CONFIG, "restrict_oom_score_adj = false", "restrict_oom_score_adj = true"
    )
    defaults = subprocess.run(["chroot", here, "ctr", "oci", "spec"], check=False, capture_output=True, text=True)
    if defaults.returncode:
        raise ClusterError(f"containerd's `ctr oci spec` failed in the node's root: {defaults.stderr.strip()}")
    spec = json.loads(defaults.stdout)
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    (here / "etc/containerd/cri-base.json").write_text(json.dumps(spec))
