"""Rules of nftables, by nfnetlink: as much of it as the router needs. See nft(8), linux/netfilter/nf_tables.h.

A rule is the concatenation of expressions: matches, then a verdict. All of it is IPv4.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Network

from lambent.worker.sandbox.linux.network.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    Netlink,
    attribute,
    attributes,
    message,
    nested,
    text,
)

_NFNETLINK = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _NEWCHAIN, _GETCHAIN, _NEWRULE, _GETRULE, _DELRULE = 0, 3, 4, 6, 7, 8
_NEWSET, _NEWSETELEM, _DELSETELEM = 9, 12, 14
_TABLE_OWNER = 2
_SET_TIMEOUT, _SET_DYNAMIC = 0x10, 0x20
_TYPE_IPV4 = 7
_REGISTER, _VERDICT_REGISTER = 1, 0
_DATA_VALUE, _DATA_VERDICT = 1, 2
_FAMILY_INET = 1  # NFPROTO_INET: IPv4 and IPv6
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_META_IIFNAME, _META_OIFNAME, _META_L4PROTO = 6, 7, 16
_NAME_BYTES = 16  # IFNAMSIZ

PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = range(5)
DROP, ACCEPT, _JUMP = 0, 1, -3
UDP, TCP = 17, 6


def _be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">i" if value < 0 else ">I", value))


def _expression(name: str, *parts: bytes) -> bytes:
    return _nested_expression(1, name, *parts)


def _nested_expression(kind: int, name: str, *parts: bytes) -> bytes:
    return nested(kind, text(1, name), nested(2, *parts))


def _compare(value: bytes, *, equal: bool = True) -> bytes:
    return _expression("cmp", _be32(1, _REGISTER), _be32(2, int(not equal)), nested(3, attribute(_DATA_VALUE, value)))


def _meta(key: int) -> bytes:
    return _expression("meta", _be32(1, _REGISTER), _be32(2, key))


def _interface_name(name: str) -> bytes:
    """With "*" at its end: those that begin like that."""
    return name[:-1].encode() if name.endswith("*") else name.encode().ljust(_NAME_BYTES, b"\0")


def comes_from(interface: str, *, equal: bool = True) -> bytes:
    return _meta(_META_IIFNAME) + _compare(_interface_name(interface), equal=equal)


def goes_to(interface: str, *, equal: bool = True) -> bytes:
    return _meta(_META_OIFNAME) + _compare(_interface_name(interface), equal=equal)


def comes_from_like(prefix: str, *, equal: bool = True) -> bytes:
    """From an interface whose name begins so."""
    return _meta(_META_IIFNAME) + _compare(prefix.encode(), equal=equal)


def goes_to_like(prefix: str, *, equal: bool = True) -> bytes:
    return _meta(_META_OIFNAME) + _compare(prefix.encode(), equal=equal)


def _header(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _be32(1, _REGISTER), _be32(2, base), _be32(3, offset), _be32(4, length))


def _in_network(offset: int, network: IPv4Network) -> bytes:
    value = _header(_NETWORK_HEADER, offset, 4)
    if network.prefixlen < 32:
        mask = nested(4, attribute(_DATA_VALUE, network.netmask.packed))
        xor = nested(5, attribute(_DATA_VALUE, bytes(4)))
        value += _expression("bitwise", _be32(1, _REGISTER), _be32(2, _REGISTER), _be32(3, 4), mask, xor)
    return value + _compare(network.network_address.packed)


def source(network: IPv4Network) -> bytes:
    return _in_network(12, network)


def destination(network: IPv4Network) -> bytes:
    return _in_network(16, network)


def destination_in(set_name: str) -> bytes:
    return _header(_NETWORK_HEADER, 16, 4) + _expression("lookup", text(1, set_name), _be32(2, _REGISTER))


def to_local() -> bytes:
    """To an address of the host's own, whichever it is."""
    kind = _expression("fib", _be32(1, _REGISTER), _be32(2, 3), _be32(3, 2))  # type of the destination address
    return kind + _compare(struct.pack("=I", 2))  # RTN_LOCAL


def to_port(protocol: int, port: int) -> bytes:
    protocol_is = _meta(_META_L4PROTO) + _compare(bytes([protocol]))
    return protocol_is + _header(_TRANSPORT_HEADER, 2, 2) + _compare(struct.pack(">H", port))


def more_than(connections: int, set_name: str) -> bytes:
    """Of a source that has that many connections already. They are counted in a set made by `counts`."""
    limit = _nested_expression(7, "connlimit", _be32(1, connections), _be32(2, 1))  # 1: over
    return _header(_NETWORK_HEADER, 12, 4) + _expression(
        "dynset", text(1, set_name), _be32(3, 0), _be32(4, _REGISTER), limit
    )


def answers() -> bytes:
    """Packets of connections that were let through: established, related."""
    state = _expression("ct", _be32(1, _REGISTER), _be32(2, 0))
    mask = nested(4, attribute(_DATA_VALUE, struct.pack("=I", 2 | 4)))
    xor = nested(5, attribute(_DATA_VALUE, bytes(4)))
    bits = _expression("bitwise", _be32(1, _REGISTER), _be32(2, _REGISTER), _be32(3, 4), mask, xor)
    return state + bits + _compare(bytes(4), equal=False)


def verdict(code: int) -> bytes:
    return _verdict(_be32(1, code))


def jump(chain: str) -> bytes:
    return _verdict(_be32(1, _JUMP) + text(2, chain))


def _verdict(content: bytes) -> bytes:
    return _expression("immediate", _be32(1, _VERDICT_REGISTER), nested(2, nested(_DATA_VERDICT, content)))


def reject() -> bytes:
    """Refuse, and say so: the program is told at once that there is no way."""
    return _expression(
        "reject", _be32(1, 0), attribute(2, bytes([13]))
    )  # ICMP unreachable, administratively prohibited


def masquerade() -> bytes:
    return _expression("masq")


def counter() -> bytes:
    return _expression("counter")


class Table:
    """A table in the namespace that its thread is in when it is made. It lives as long as its socket if that owns it,
    or else as long as the namespace; then it may be there already."""

    def __init__(self, name: str, *, owned: bool = True) -> None:
        self._netlink = Netlink(_NFNETLINK)
        self._name = name
        self._pending: list[tuple[int, int, bytes, str]] = []
        self._add(_NEWTABLE, text(1, name) + _be32(2, _TABLE_OWNER if owned else 0), f"table {name}")

    def close(self) -> None:
        """Remove it, if it is owned."""
        self._netlink.close()

    def chain(self, name: str, hook: int | None = None, priority: int = 0, kind: str = "filter") -> None:
        """With a hook: a base chain, that accepts what none of its rules decides on."""
        body = text(1, self._name) + text(3, name)
        if hook is not None:
            body += nested(4, _be32(1, hook), _be32(2, priority)) + text(7, kind)
        self._add(_NEWCHAIN, body, f"chain {name}")

    def rule(self, chain: str, *expressions: bytes) -> None:
        body = text(1, self._name) + text(2, chain) + nested(4, *expressions)
        self._add(_NEWRULE, body, f"rule in {chain}", NLM_F_CREATE | NLM_F_APPEND)

    def flush(self, chain: str) -> None:
        """Remove all rules of it."""
        self._add(_DELRULE, text(1, self._name) + text(2, chain), f"rules in {chain}", 0)

    def addresses(self, name: str) -> None:
        """A set of addresses that leave it after a while."""
        self._set(name, _SET_TIMEOUT)

    def counts(self, name: str) -> None:
        """A set for `more_than`: addresses with their connections, that come and go by themselves."""
        self._set(name, _SET_DYNAMIC)

    def _set(self, name: str, flags: int) -> None:
        body = text(1, self._name) + text(2, name) + _be32(3, flags) + _be32(4, _TYPE_IPV4) + _be32(5, 4)
        self._add(_NEWSET, body + _be32(10, len(self._pending) + 1), f"set {name}")

    def open_addresses(self, set_name: str, addresses: Iterable[str], seconds: int) -> None:
        """Put `addresses` into the set, or keep them there, for so long."""
        for address in addresses:
            key = nested(1, attribute(_DATA_VALUE, socket.inet_aton(address)))
            where = text(1, self._name) + text(2, set_name)
            # Added, removed and added again, for its time to begin anew whether it was there or not.
            timeout = attribute(4, struct.pack(">Q", seconds * 1000))
            self._add(_NEWSETELEM, where + nested(3, nested(1, key)), f"address {address}")
            self._add(_DELSETELEM, where + nested(3, nested(1, key)), f"address {address}", 0)
            self._add(_NEWSETELEM, where + nested(3, nested(1, key, timeout)), f"address {address}")
        self.commit()

    def commit(self) -> None:
        """All that was added since the last one, at once. Raises `OSError`; then nothing of it holds."""
        pending, self._pending = self._pending, []
        if pending:
            self._netlink.batch(pending, _batch(_BATCH_BEGIN), _batch(_BATCH_END))

    def counted(self, chain: str) -> int:
        """Packets that the counters of a chain's rules have seen."""
        body = _header_of(socket.AF_INET) + text(1, self._name) + text(2, chain)
        return sum(_packets(dict(attributes(rule[4:])).get(4, b"")) for rule in
                   self._netlink.dump(_SUBSYSTEM << 8 | _GETRULE, body))  # fmt: skip

    def _add(self, kind: int, body: bytes, what: str, flags: int = NLM_F_CREATE) -> None:
        self._pending.append((_SUBSYSTEM << 8 | kind, flags, _header_of(socket.AF_INET) + body, f"nftables {what}"))


def base_chains_that_drop(hook: int) -> list[str]:
    """Those of anybody's at that hook in this namespace whose policy is to drop, for IPv4, as "TABLE CHAIN". Raises
    `OSError`: who lacks CAP_NET_ADMIN may not look."""
    found = []
    with contextlib.closing(Netlink(_NFNETLINK)) as netlink:
        for chain in netlink.dump(_SUBSYSTEM << 8 | _GETCHAIN, _header_of(socket.AF_UNSPEC)):
            values = dict(attributes(chain[4:]))
            hooked = dict(attributes(values.get(4, b""))).get(1) == struct.pack(">I", hook)
            drops = values.get(5) == struct.pack(">I", DROP)
            if chain[0] in (_FAMILY_INET, socket.AF_INET) and hooked and drops:
                found.append(" ".join(values[kind].rstrip(b"\0").decode("utf-8", "replace") for kind in (1, 3)))
    return found


def _packets(expressions: bytes) -> int:
    count = 0
    for _, expression in attributes(expressions):
        parts = dict(attributes(expression))
        if parts[1].rstrip(b"\0") == b"counter":
            count += struct.unpack(">Q", dict(attributes(parts[2]))[2])[0]
    return count


def _header_of(family: int, resource: int = 0) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


def _batch(kind: int) -> bytes:
    return message(kind, 0, _header_of(socket.AF_UNSPEC, _SUBSYSTEM))
