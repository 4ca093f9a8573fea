"""Network bridges of Docker's: dockerd leaves them behind, and their routes keep the addresses from the next one."""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tests.cluster.subnets import CANDIDATES

NAMES = re.compile(r"docker0|br-[0-9a-f]{12}")
_NAME_BYTES = 16
_SIOCGIFADDR, _SIOCGIFNETMASK, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCBRDELBR = 0x8915, 0x891B, 0x8913, 0x8914, 0x89A1
_IFF_UP = 1


def remove(names: Iterable[str]) -> None:
    """Remove bridges by the kernel's own calls, since iproute2 may not be installed; one that is not there is passed.

    Raises OSError where this process may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name in names:
            if Path("/sys/class/net", name, "bridge").exists():
                request = struct.pack("16sh14x", name.encode(), 0)
                (flags,) = struct.unpack("16xh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags & ~_IFF_UP))
                fcntl.ioctl(control, _SIOCBRDELBR, name.encode().ljust(_NAME_BYTES, b"\0"))


def leftovers(links: Path = Path("/sys/class/net")) -> list[str]:
    """Return the bridges that an engine of ours must have left: Docker's names, our addresses, nothing attached.

    To be asked while no engine runs; one that starts makes what it needs.
    """
    found = []
    for link in sorted(links.iterdir()):
        if NAMES.fullmatch(link.name) and (link / "bridge").exists() and not any((link / "brif").iterdir()):
            network = _network(link.name)
            if network and is_ours(network):
                found.append(link.name)
    return found


def is_ours(network: IPv4Network) -> bool:
    """Whether an engine of ours gives out such ranges: a /24 within the candidates. Docker's own are larger."""
    return network.prefixlen == 24 and any(network.subnet_of(IPv4Network(candidate)) for candidate in CANDIDATES)


def _network(name: str) -> IPv4Network | None:
    request = struct.pack("16s24x", name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control, suppress(OSError):  # one without an address
        address, mask = (
            IPv4Address(fcntl.ioctl(control, question, request)[20:24]) for question in (_SIOCGIFADDR, _SIOCGIFNETMASK)
        )
        return IPv4Network((int(address), int(mask).bit_count()), strict=False)
    return None
