"""The sockets that the controller is asked at, on all addresses of the pod: its cluster has IPv4, IPv6 or both."""

import errno
import os
import socket
from typing import Final

_NO_IPV6: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class PortError(Exception):
    """A port cannot be listened on; the text says which one, why and what to do."""


def listening_socket(port: int) -> socket.socket:
    """Listen on a port, 0 for any that is free: one socket for both families, IPv4's alone where the kernel has no
    other.

    Raises PortError where the port is taken, or may not be listened on.
    """
    try:
        if socket.has_dualstack_ipv6():
            try:
                return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            except OSError as error:
                if error.errno not in _NO_IPV6:
                    raise
        return socket.create_server(("", port))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortError(
            f"port {port} cannot be listened on: {why}; free it, or name others in TRENDING_HEALTH_PORT and "
            "TRENDING_METRICS_PORT"
        ) from None
