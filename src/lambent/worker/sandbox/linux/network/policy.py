"""What a sandbox with a network may reach, and how that is written down. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from lambent.worker.sandbox.api import NetworkPolicy

# Nothing of these is the internet (IANA's special-purpose address registry): the host's surroundings, other hosts'
# metadata services, multicast.
BLOCKED = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_HOST_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def parse_allowed(items: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(networks, host names) out of addresses, ranges and names. Raises `ValueError`."""
    networks, hosts = [], []
    for item in items:
        text = item.strip().lower().rstrip(".")
        try:
            networks.append(str(ipaddress.IPv4Network(text)))
        except ValueError:
            if re.fullmatch(r"[\d./]+|.*:.*", text) or not _HOST_NAME.fullmatch(text) or len(text) > 253:
                raise ValueError(
                    f"must hold IPv4 addresses, ranges such as 10.1.0.0/16, and host names such as example.com or "
                    f"*.example.com, not {item.strip()!r}"
                ) from None
            hosts.append(text)
    return tuple(networks), tuple(hosts)


def may_resolve(policy: NetworkPolicy, name: str) -> bool:
    """Whether the name server answers questions for `name`."""
    return policy.internet or is_opened(policy, name)


def is_opened(policy: NetworkPolicy, name: str) -> bool:
    """Whether the addresses of `name` are opened by the policy's host names."""
    name = name.lower().rstrip(".")
    return any(name == host or (host.startswith("*.") and name.endswith(host[1:])) for host in policy.hosts)
