"""Debian's packages, fetched from the mirror that this machine's apt is set up with and unpacked, never installed.

apt runs on lists and caches of its own, so third-party sources of the machine are neither asked nor waited for, no lock
of the machine's package database is taken, and nothing has to be removed afterwards.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster import process
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders

FALLBACK_MIRROR = "http://deb.debian.org/debian"
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg")


def why_not_here() -> str | None:
    """Say what keeps this machine from making Debian file systems and starting an engine; None where nothing does."""
    if not Path("/etc/debian_version").exists() or not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "this machine is not Debian"
    if os.geteuid() != 0:
        return "this user is not root"
    if not any(Path(keyring).exists() for keyring in KEYRINGS):
        return "Debian's archive keyring is missing (package debian-archive-keyring)"
    return None


def multiarch() -> str:
    """The folder of this architecture's libraries below /usr/lib, such as x86_64-linux-gnu."""
    machine = os.uname().machine
    return f"{machine}-linux-gnu"


def mirror() -> str:
    """The address of Debian's own archive as apt's configuration has it, else deb.debian.org's."""
    listed = process.output(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]) or ""
    return pick_mirror(listed.splitlines())


def pick_mirror(addresses: Sequence[str]) -> str:
    """Choose Debian's main archive among the addresses of apt's sources: its path ends in /debian on every mirror."""
    for address in addresses:
        if urlsplit(address).path.rstrip("/").endswith("/debian"):
            return address.rstrip("/")
    return FALLBACK_MIRROR


def fetch(packages: Sequence[str], *, suites: Sequence[str], into: Path, folders: Folders, log: Path) -> None:
    """Download packages, each named `name/suite`, with signatures checked, and without what they depend on.

    Raises ClusterError where the mirror does not answer or does not have one of them.
    """
    state = folders.work / "apt"
    shutil.rmtree(state, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    keyring = next(keyring for keyring in KEYRINGS if Path(keyring).exists())
    sources = state / "debian.sources"
    sources.write_text(
        f"Types: deb\nURIs: {mirror()}\nSuites: {' '.join(suites)}\nComponents: main\nSigned-By: {keyring}\n"
    )
    options = [
        *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"),
        *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "-o", "Acquire::Languages=none"),
    ]
    what = "Fetching Debian's packages"
    try:
        process.run(["apt-get", *options, "--error-on=any", "update"], what=what, log=log)
        process.run(["apt-get", *options, "download", *packages], what=what, log=log, cwd=into)
    finally:
        shutil.rmtree(state)


def unpack(debs: Path, *, into: Path, log: Path) -> None:
    """Unpack every .deb of a folder into a folder, running none of their scripts."""
    archives = sorted(debs.glob("*.deb"))
    if not archives:
        raise ClusterError(f"There is no Debian package in {debs}; remove that folder and run this again")
    for archive in archives:
        process.run(["dpkg-deb", "--extract", archive, into], what=f"Unpacking {archive.name}", log=log)
