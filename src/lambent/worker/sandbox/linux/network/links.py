"""Interfaces, addresses and routes, by rtnetlink(7)."""

from __future__ import annotations

import errno
import socket
import struct

from lambent.worker.sandbox.linux.network.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Netlink,
    attribute,
    attributes,
    nested,
    number,
    text,
)

_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_NEWROUTE, _RTM_GETROUTE = 16, 17, 20, 24, 26
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_MAIN, _LOCAL_TABLE = 254, 255
_STATIC = 4
_UNICAST, _LOCAL = 1, 2
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_NEW = NLM_F_CREATE | NLM_F_EXCL


class Links:
    """Those of the namespace that its thread is in when it is made."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def close(self) -> None:
        self._netlink.close()

    def make_pair(self, name: str, peer: str, peer_namespace: int) -> None:
        """A veth pair: `name` here, up; `peer` in the namespace of that descriptor."""
        there = _interface() + text(_IFLA_IFNAME, peer) + number(_IFLA_NET_NS_FD, peer_namespace)
        kind = nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, nested(_VETH_INFO_PEER, there)))
        body = _interface(flags=_IFF_UP) + text(_IFLA_IFNAME, name) + kind
        self._netlink.request(_RTM_NEWLINK, _NEW, body, f"interface {name}")

    def remove(self, name: str) -> None:
        """With its peer, if it has one. One that is not there is fine."""
        try:
            self._netlink.request(_RTM_DELLINK, 0, _interface() + text(_IFLA_IFNAME, name), f"interface {name}")
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    def bring_up(self, name: str) -> None:
        body = _interface(flags=_IFF_UP) + text(_IFLA_IFNAME, name)
        self._netlink.request(_RTM_NEWLINK, 0, body, f"interface {name} up")

    def add_address(self, name: str, address: str, prefix: int) -> None:
        packed = socket.inet_aton(address)
        header = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, _SCOPE_UNIVERSE, socket.if_nametoindex(name))
        body = header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
        self._netlink.request(_RTM_NEWADDR, _NEW, body, f"address {address} of {name}")

    def add_route(self, to: str, prefix: int, name: str, gateway: str | None = None) -> None:
        """Without a gateway, `to` is reached on the link itself."""
        scope = _SCOPE_LINK if gateway is None else _SCOPE_UNIVERSE
        body = struct.pack("=8BI", socket.AF_INET, prefix, 0, 0, _MAIN, _STATIC, scope, _UNICAST, 0)
        if prefix:
            body += attribute(_RTA_DST, socket.inet_aton(to))
        body += number(_RTA_OIF, socket.if_nametoindex(name))
        if gateway is not None:
            body += attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        self._netlink.request(_RTM_NEWROUTE, _NEW, body, f"route to {to}/{prefix}")

    def local(self) -> list[tuple[str, int]]:
        """(address, length of the prefix) of what this namespace takes for its own."""
        found = []
        for body in self._dump_routes():
            _, prefix, _, _, table, _, _, kind, _ = struct.unpack_from("=8BI", body)
            values = dict(attributes(body[12:]))
            if table == _LOCAL_TABLE and kind == _LOCAL:
                found.append((socket.inet_ntoa(values[_RTA_DST]) if _RTA_DST in values else "0.0.0.0", prefix))  # noqa: S104
        return sorted(found)

    def routes(self) -> list[tuple[str, int, str]]:
        """(address, length of the prefix, interface) of the IPv4 routes; 0.0.0.0 with prefix 0 is the default."""
        found = []
        for body in self._dump_routes():
            _, prefix, _, _, _, _, _, kind, _ = struct.unpack_from("=8BI", body)
            values = dict(attributes(body[12:]))
            if kind == _UNICAST and _RTA_OIF in values:
                index = struct.unpack("=I", values[_RTA_OIF])[0]
                address = socket.inet_ntoa(values[_RTA_DST]) if _RTA_DST in values else "0.0.0.0"  # noqa: S104
                found.append((address, prefix, socket.if_indextoname(index)))
        return found

    def _dump_routes(self) -> list[bytes]:
        return self._netlink.dump(_RTM_GETROUTE, struct.pack("=8BI", socket.AF_INET, *([0] * 7), 0))


def _interface(flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, 0, flags, flags)
