"""The layer that the control plane's pods, kube-proxy and the network's stand-in run from.

It holds one multi-call binary, and out of the node's root a shell, iptables, nft and conntrack with every library that
they load, also those of iptables' extensions, which are opened at run time: with one missing, kube-proxy starts, the
node is Ready, and every Service is dead.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.folders import SOURCES

PROGRAMS = (
    *(
        "usr/bin/dash",
        "usr/bin/cat",
        "usr/bin/rm",
        "usr/bin/mkdir",
        "usr/bin/sleep",
        "usr/bin/ls",
        "usr/bin/kmod",
        "usr/bin/ip",
    ),
    *("usr/sbin/xtables-nft-multi", "usr/sbin/xtables-legacy-multi", "usr/sbin/nft", "usr/sbin/conntrack"),
)
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl")
TABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
LIBRARY = re.compile(r"(/\S+) \(0x")


def fill(layer: Path, *, root: Path, kubelab: Path) -> None:
    """Fill a new folder with the layer, out of the node's unpacked root."""
    for folder in ("tmp", "etc", "run", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local/bin"):
        (layer / folder).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (layer / name).symlink_to(f"usr/{name}")
    for program in PROGRAMS:
        shutil.copy2(root / program, layer / program)
    extensions = sorted((root / "usr/lib").glob("*/xtables/*.so"))
    for extension in extensions:
        _copy(extension, layer / extension.relative_to(root))
    programs = [f"/{program}" for program in PROGRAMS]
    for library in _libraries(root, [*programs, *(f"/{path.relative_to(root)}" for path in extensions)]):
        _copy(root / library, layer / "usr" / library.removeprefix("usr/"))
    (layer / "usr/bin/sh").symlink_to("dash")
    (layer / "usr/sbin/modprobe").symlink_to("../bin/kmod")
    for name in TABLES:
        (layer / "usr/sbin" / name).symlink_to("xtables-nft-multi")
    (layer / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    for name in ("protocols", "services"):
        if (root / "etc" / name).exists():
            shutil.copy2(root / "etc" / name, layer / "etc" / name)
    shutil.copy2(kubelab, layer / "usr/local/bin/kubelab")
    for component in COMPONENTS:
        (layer / "usr/local/bin" / component).symlink_to("kubelab")
    shutil.copy2(SOURCES / "kindnetd", layer / "usr/local/bin/kindnetd")
    (layer / "usr/local/bin/kindnetd").chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source.resolve(), target)


def _libraries(root: Path, files: list[str]) -> list[str]:
    """The libraries that the loader finds for the files, relative to the root; raises ClusterError without one."""
    listed = subprocess.run(["chroot", root, "ldd", *files], check=False, capture_output=True, text=True)
    missing = [line.strip() for line in listed.stdout.splitlines() if "not found" in line]
    if missing or not listed.stdout:
        raise ClusterError(f"A library of the control plane's image is missing: {missing or listed.stderr.strip()}")
    return sorted({path.lstrip("/") for path in LIBRARY.findall(listed.stdout)})
