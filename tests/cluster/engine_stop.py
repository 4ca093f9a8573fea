"""Stopping the engine that was started here, and taking back what it did to the machine."""

from __future__ import annotations

import os
import select
import shutil
import signal
from pathlib import Path

from tests.cluster import bridges, process, state
from tests.cluster.console import step
from tests.cluster.engine import IP_FORWARD, Engine, another_runs, processes_of
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders

BRIDGE = "docker0"
SECONDS_TO_STOP = 60


def stop(folders: Folders, engine: Engine | None) -> None:
    """End our dockerd and what it started, unmount its file systems, remove its bridges and firewall chains.

    `engine` is the one that answers, if any does: it knows its networks. Raises ClusterError where one does not end.
    """
    if not folders.engine.exists():
        return
    with step("Stopping the Docker engine that was started here", usually="5 s"):
        networks = (
            engine.docker("network", "ls", "--quiet", "--filter", "driver=bridge") if engine and engine.ours else ""
        )
        left = [BRIDGE, *(f"br-{network}" for network in (networks or "").split())]
        for pid in processes_of(folders.engine):
            _end(pid)
        _unmount_below(folders.engine)
        if not another_runs():
            _restore_firewall(folders, left)
            bridges.remove(left)
            for made in state.read(folders).get("folders_made", []):
                shutil.rmtree(made, ignore_errors=True)


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


def _restore_firewall(folders: Folders, links: list[str]) -> None:
    """Drop every rule and chain of Docker's, in both families, and put back what it set: dockerd leaves all of it."""
    known = state.read(folders)
    for family in ("iptables", "ip6tables"):
        program = folders.engine / "bin" / family
        for table in ("filter", "nat", "raw"):
            rules = (process.output([program, "--table", table, "--list-rules"]) or "").splitlines()
            for rule in rules:
                if rule.startswith("-A") and is_of_docker(rule, links):
                    process.output([program, "--table", table, "--delete", *rule.split()[1:]])
            chains = [rule.split()[1] for rule in rules if rule.startswith("-N DOCKER")]
            for action in ("--flush", "--delete-chain"):
                for chain in chains:
                    process.output([program, "--table", table, action, chain])
    policy = known.get("forward_policy")
    if policy:
        process.output([folders.engine / "bin" / "iptables", "--policy", "FORWARD", policy])
    if known.get("ip_forward") == "0":
        IP_FORWARD.write_text("0\n")


def is_of_docker(rule: str, links: list[str]) -> bool:
    """Whether a firewall rule, as iptables lists it, names a chain or a bridge of Docker's."""
    words = rule.split()
    return any(word in links or word.startswith("DOCKER") for word in words)
