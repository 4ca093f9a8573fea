"""Address ranges for the containers' networks that nothing on this machine routes yet."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from tests.cluster.errors import ClusterError

CANDIDATES = ("172.30.0.0/15", "172.28.0.0/15", "172.26.0.0/15", "10.210.0.0/15", "192.168.128.0/17")


def pick_free(routes: Path = Path("/proc/net/route")) -> tuple[str, str]:
    """Return the bridge's address with its prefix, and the pool for further networks, both without any route."""
    taken = parse_routes(routes.read_text().splitlines())
    return pick(taken)


def parse_routes(lines: Iterable[str]) -> list[IPv4Network]:
    """Read the kernel's table: destination and mask are 32-bit numbers in hexadecimal, in the machine's byte order."""
    networks = []
    for line in list(lines)[1:]:
        fields = line.split()
        destination, mask = (bytes.fromhex(fields[column])[::-1] for column in (1, 7))
        if any(mask):  # the default route covers everything and so tells nothing
            networks.append(IPv4Network((destination, int.from_bytes(mask).bit_count())))
    return networks


def pick(taken: Iterable[IPv4Network]) -> tuple[str, str]:
    """Split the first candidate that overlaps nothing: its first /24 is the bridge, its upper half the pool."""
    for candidate in map(IPv4Network, CANDIDATES):
        if not any(candidate.overlaps(network) for network in taken):
            bridge = next(candidate.subnets(new_prefix=24))
            pool = list(candidate.subnets(prefixlen_diff=1))[1]
            return f"{bridge[1]}/24", str(pool)
    raise ClusterError(
        f"Every address range for containers is taken by a route of this machine: {', '.join(CANDIDATES)}"
    )
