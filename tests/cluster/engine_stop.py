"""Stopping the engine that was started here, and taking back what it did to the machine."""

from __future__ import annotations

import os
import select
import shutil
import signal
from pathlib import Path

from tests.cluster import process
from tests.cluster.console import step
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders

BRIDGE = "docker0"
SECONDS_TO_STOP = 60


def stop(folders: Folders) -> None:
    """End our dockerd and what it started, unmount its file systems, remove its bridge and firewall chains."""
    if not folders.engine.exists():
        return
    with step("Stopping the Docker engine that was started here", usually="5 s"):
        for pid in _processes_of(folders.engine / "bin", folders.engine / "debian"):
            _end(pid)
        _unmount_below(folders.engine)
        if not _another_engine_runs():
            _remove_firewall_chains(folders)
            _remove_bridges(folders)


def _processes_of(*folders: Path) -> list[int]:
    """The processes whose program lies in one of the folders: dockerd first, since it restarts what ends before it."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            program = (entry / "exe").readlink()
        except OSError:
            continue  # it has ended meanwhile, or is the kernel's
        if any(program.is_relative_to(folder) for folder in folders):
            found[int(entry.name)] = program.name
    return sorted(found, key=lambda pid: found[pid] != "dockerd")


def _end(pid: int) -> None:
    """Ask a process to end and wait for it; after a minute, kill it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number, seconds in ((signal.SIGTERM, SECONDS_TO_STOP), (signal.SIGKILL, 10)):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], seconds)[0]:
                return
        raise ClusterError(f"Process {pid} of the engine does not end, even when killed: look at `ps {pid}`")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _unmount_below(folder: Path) -> None:
    """Unmount what a killed engine left, deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{folder}/")), key=len, reverse=True):
        process.output(["umount", "--lazy", point])


def _another_engine_runs() -> bool:
    """Whether a dockerd runs that is not ours: bridge and chains are then its own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == "dockerd":
                    return True
            except OSError:
                continue  # it has ended meanwhile
    return False


def _remove_firewall_chains(folders: Folders) -> None:
    """Drop every rule and chain of Docker's, in both families: dockerd leaves them when it ends."""
    for family in ("iptables", "ip6tables"):
        program = folders.engine / "bin" / family
        for table in ("filter", "nat", "raw"):
            rules = (process.output([program, "--table", table, "--list-rules"]) or "").splitlines()
            for rule in rules:
                if rule.startswith("-A") and ("DOCKER" in rule or BRIDGE in rule or " br-" in rule or _masquerades_ours(rule)):
                    process.output([program, "--table", table, "--delete", *rule.split()[1:]])
            chains = [rule.split()[1] for rule in rules if rule.startswith("-N DOCKER")]
            for action in ("--flush", "--delete-chain"):
                for chain in chains:
                    process.output([program, "--table", table, action, chain])
        if process.output([program, "--list-rules", "FORWARD"]) == "-P FORWARD DROP":
            process.output([program, "--policy", "FORWARD", "ACCEPT"])  # dockerd had set it to DROP


def _masquerades_ours(rule: str) -> bool:
    """Whether a rule translates addresses of a bridge of Docker's."""
    return "-j MASQUERADE" in rule and f"! -o {BRIDGE}" in rule


def _remove_bridges(folders: Folders) -> None:
    """Remove docker0 and the networks' bridges, where `ip` is to be had."""
    if not shutil.which("ip"):
        return  # without iproute2 an empty bridge stays until the next restart; it harms nothing
    del folders
    for link in Path("/sys/class/net").iterdir():
        if link.name == BRIDGE or link.name.startswith("br-"):
            process.output(["ip", "link", "delete", link.name])
