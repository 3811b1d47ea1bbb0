"""Which addresses are used between sandboxes, the router and the host. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from ipaddress import IPv4Network

GATEWAY = "169.254.78.1"  # of every sandbox, and its name server
_SANDBOXES = IPv4Network("169.254.128.0/17")
# Where those of the way out of the router are taken from: what is least likely to be in use on a host.
_UPLINKS = tuple(map(IPv4Network, ("198.19.0.0/16", "169.254.128.0/17", "10.213.0.0/16")))
_ATTEMPTS = 64  # in each of them


def of_sandbox(number: int) -> str:
    """That of the sandbox that gets the network with this number; again another's after 32,764."""
    return str(_SANDBOXES[2 + number % (_SANDBOXES.num_addresses - 4)])


def free_network(taken: Iterable[IPv4Network], prefix: int, name: str) -> IPv4Network:
    """One of that size that overlaps none of `taken`. Servers with different names begin at different places. Raises
    `OSError`."""
    taken = tuple(taken)
    for pool in _UPLINKS:
        size = 1 << 32 - prefix
        networks = pool.num_addresses // size
        first = zlib.crc32(name.encode()) % networks
        for at in range(first, first + min(_ATTEMPTS, networks)):
            network = IPv4Network((pool[at % networks * size], prefix))
            if not any(network.overlaps(other) for other in taken):
                return network
    raise OSError("there are no free addresses for the way out of functions")
