"""Debian file systems made by debootstrap: the base of the operator's image, of PostgreSQL's and of the node's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import debian, process
from tests.cluster.cache import Step, StepCache, digest_of_file
from tests.cluster.engine import install
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders
from tests.cluster.versions import NODE_SUITE

TARBALL = "root.tar"
RUBBISH = (
    *("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/log/*.log", "var/log/apt/*"),
    *("var/cache/debconf/*-old", "var/lib/dpkg/*-old", "usr/share/doc/*", "usr/share/man/*", "usr/share/info/*"),
    *("usr/share/locale/*", "usr/share/lintian/*", "etc/apt/sources.list"),
)


@dataclass(frozen=True, kw_only=True)
class Root:
    """What a Debian file system holds, and what is done to it after debootstrap.

    `unwanted` are patterns of what goes in the end. `finish` gets the root and the log; `revision` names what it does:
    a change of it makes a new root.
    """

    name: str
    packages: Sequence[str]
    unwanted: Sequence[str] = ()
    finish: Callable[[Path, Path], None]
    revision: str

    def step(self) -> Step:
        """The step that makes this root, for the cache and for the steps that build on it."""
        return Step(
            name=self.name,
            inputs={
                "suite": NODE_SUITE,
                "packages": " ".join(self.packages),
                "finish": self.revision,
                "trim": " ".join((*RUBBISH, *self.unwanted)),
                "machine": debian.multiarch(),
            },
        )


def build(root: Root, folders: Folders, cache: StepCache) -> Path:
    """Return the tarred root, from the cache or made; raises ClusterError where the machine cannot make one."""
    log = folders.logs / f"{root.name}.log"
    return cache.build(root.step(), lambda into: _make(root, into, folders, cache, log)) / TARBALL


def _make(root: Root, into: Path, folders: Folders, cache: StepCache, log: Path) -> None:
    obstacle = debian.why_not_here()
    if obstacle:
        raise ClusterError(
            f"A Debian base image has to be made, since none can be pulled, and {obstacle}: run this as root on Debian"
        )
    programs = install(folders, cache, log=log)
    here = folders.work / root.name
    _remove(here)
    here.mkdir(parents=True)
    try:
        # debootstrap's mounts live in a mount namespace of their own: they end with it, however it ends
        argv: list[str | Path] = ["unshare", "--mount", "--propagation", "private", programs / "debootstrap"]
        argv += ["--variant=minbase", "--force-check-gpg"]
        argv += [f"--include={','.join(root.packages)}", NODE_SUITE, here, debian.mirror()]
        process.run(argv, what="debootstrap", log=log, env={"PATH": _path(programs)})
        root.finish(here, log)
        trim(here, (*RUBBISH, *root.unwanted))
        pack(here, into / TARBALL, log=log)
    finally:
        _remove(here)


def trim(root: Path, patterns: Sequence[str]) -> None:
    """Remove what no program reads: package lists, logs, documentation, translations, the mirror's address."""
    for pattern in patterns:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def pack(root: Path, tarball: Path, *, log: Path) -> None:
    """Tar a folder in a fixed order with owners by number; the same files give the same bytes but for their times."""
    process.run(
        [
            "tar",
            "--create",
            "--sort=name",
            "--numeric-owner",
            "--one-file-system",
            "--file",
            tarball,
            "--directory",
            root,
            ".",
        ],
        what=f"Packing {root.name}",
        log=log,
    )


def chroot(root: Path, *argv: str, log: Path) -> None:
    """Run a program inside the root; raises ClusterError."""
    process.run(["chroot", root, *argv], what=f"{argv[0]} inside {root.name}", log=log)


def replace_line(path: Path, pattern: str, replacement: str) -> None:
    """Replace the one match of a regular expression in a file; raises ClusterError where there is not exactly one."""
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise ClusterError(
            f"{path} was expected to hold {pattern!r} once and holds it {count} times: its package has changed"
        )
    path.write_text(text)


def revision_of(*sources: Path) -> str:
    """The hash of the source files that say what is done to a root."""
    return " ".join(digest_of_file(source) for source in sources)


def _path(programs: Path) -> str:
    return f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _remove(folder: Path) -> None:
    """Remove a root, refusing while something is mounted in it."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in mounted if point.startswith(f"{folder}/")]
    if inside:
        raise ClusterError(f"{inside[0]} is still mounted; run `umount {inside[0]}` and then this again")
    if folder.exists():
        shutil.rmtree(folder)
