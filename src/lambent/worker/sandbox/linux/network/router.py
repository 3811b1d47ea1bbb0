"""The router: a network namespace between sandboxes and the host. Blocking; all of it in one thread, which changes
namespaces: the thread's own is the host's between calls.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux import syscalls
from lambent.worker.sandbox.linux.network import nftables as nft
from lambent.worker.sandbox.linux.network.links import Links
from lambent.worker.sandbox.linux.network.policy import BLOCKED

logger = logging.getLogger(__name__)

GATEWAY = "169.254.78.1"  # of every sandbox, and its name server
_SANDBOXES = IPv4Network("169.254.128.0/17")
# Where the uplink's two addresses are taken from: what is least likely to be in use on a host.
_UPLINKS = ("198.19.0.0/16", "169.254.128.0/17", "10.213.0.0/16")
_UPLINK = "uplink"
_PREFIX = "lmb"
_INSIDE = "eth0"
_SYSCTL = Path("/proc/sys/net")
_PROBE_TO = ("203.0.113.1", 9)  # TEST-NET-3: nobody's; what goes there is counted and dropped on this host
_PROBE_TIMEOUT_S = 2.0
_MINIMUM_OPEN_S = 60

_Closing = TypeVar("_Closing", Links, nft.Table)


class Router:
    """`open` first, `close` last; after a failed `open` as well. `note`: where it is noted what was changed on the
    host."""

    def __init__(self, instance_id: str, note: Path) -> None:
        self.uplink = f"{_PREFIX}{instance_id[:8]}" if instance_id.isalnum() else f"{_PREFIX}{_hash(instance_id)}"
        self._note = note
        self._policies: dict[NetworkPolicy, int] = {}
        self._policy_at: dict[str, NetworkPolicy] = {}
        self._count = 0
        self._stack = contextlib.ExitStack()

    def open(self, opened: Sequence[str], *, to_internet: bool) -> tuple[socket.socket, socket.socket]:
        """Connect it with the host; returns the sockets of the name server, UDP and TCP. `opened`: ranges that some
        policy opens. `to_internet`: fail if there is no way there. Raises `OSError` with the reason."""
        self._host = self._namespace()
        self._links = self._keep(Links())
        self._set_back()
        with self._elsewhere():
            syscalls.unshare(syscalls.CLONE_NEWNET)
            self._own = self._namespace()
            names = self._set_up_inside()
        self._connect()
        self._set_up_host([IPv4Network(network) for network in opened])
        self._forward()
        self._probe(to_internet=to_internet)
        return names

    def close(self) -> None:
        """Remove it. Sandboxes that are still connected lose their way out."""
        self._stack.close()
        self._set_back()

    def make_namespace(self, policy: NetworkPolicy) -> int:
        """A namespace with a way out by `policy`, as a descriptor."""
        index = self._policy(policy)
        address = str(_SANDBOXES[2 + self._count % (_SANDBOXES.num_addresses - 4)])
        name = f"p{index}-{self._count % 100_000_000}"
        self._policy_at[address] = policy
        self._count += 1
        with self._elsewhere():
            syscalls.unshare(syscalls.CLONE_NEWNET)
            namespace = _open_namespace()
            try:
                _write("ipv6/conf/default/disable_ipv6", "1")  # there is no way out by IPv6: do not try
                syscalls.setns(self._own, syscalls.CLONE_NEWNET)
                self._inside.make_pair(name, _INSIDE, namespace)
                self._inside.add_route(address, 32, name)
                syscalls.setns(namespace, syscalls.CLONE_NEWNET)
                with contextlib.closing(Links()) as links:
                    links.bring_up("lo")
                    links.bring_up(_INSIDE)
                    links.add_address(_INSIDE, address, 32)
                    links.add_route(GATEWAY, 32, _INSIDE)
                    links.add_route("0.0.0.0", 0, _INSIDE, GATEWAY)  # noqa: S104 - the default route
            except BaseException:
                os.close(namespace)
                raise
        return namespace

    def policy_at(self, address: str) -> NetworkPolicy | None:
        """Of the sandbox with that address."""
        return self._policy_at.get(address)

    def open_addresses(self, policy: NetworkPolicy, addresses: Sequence[str], seconds: int) -> None:
        """Those that a name which `policy` opens has now."""
        blocked = [address for address in addresses if IPv4Address(address).is_loopback]
        self._rules.open_addresses(
            f"names{self._policy(policy)}",
            [address for address in addresses if address not in blocked],
            max(seconds, _MINIMUM_OPEN_S),
        )

    def _set_up_inside(self) -> tuple[socket.socket, socket.socket]:
        self._inside = self._keep(Links())
        _write("ipv6/conf/default/disable_ipv6", "1")
        _write("ipv4/ip_forward", "1")
        _write("ipv4/icmp_ratemask", "0")  # every refusal is told, not one a second
        self._inside.bring_up("lo")
        self._inside.add_address("lo", GATEWAY, 32)
        rules = self._rules = self._keep(nft.Table("lambent"))
        rules.chain("policies")
        rules.chain("forward", nft.FORWARD)
        rules.rule("forward", nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("forward", nft.goes_to(_UPLINK, equal=False), nft.reject())  # other sandboxes
        rules.rule("forward", nft.jump("policies"))
        rules.rule("forward", nft.reject())
        rules.chain("input", nft.INPUT)
        rules.rule("input", nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.comes_from("p*"), nft.to_port(nft.UDP, 53), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.comes_from("p*"), nft.to_port(nft.TCP, 53), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.reject())
        rules.chain("outward", nft.POSTROUTING, 100, "nat")
        rules.rule("outward", nft.goes_to(_UPLINK), nft.masquerade())
        rules.commit()
        return self._name_server_sockets()

    def _name_server_sockets(self) -> tuple[socket.socket, socket.socket]:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stack.callback(datagrams.close)
        datagrams.bind((GATEWAY, 53))
        datagrams.setblocking(False)
        streams = socket.create_server((GATEWAY, 53), backlog=128)
        self._stack.callback(streams.close)
        streams.setblocking(False)
        return datagrams, streams

    def _policy(self, policy: NetworkPolicy) -> int:
        """The number of its chain, which is made at the first use."""
        if policy in self._policies:
            return self._policies[policy]
        index = len(self._policies)
        chain, rules = f"policy{index}", self._rules
        rules.addresses(f"names{index}")
        rules.chain(chain)
        for network in policy.networks:
            rules.rule(chain, nft.destination(IPv4Network(network)), nft.verdict(nft.ACCEPT))
        rules.rule(chain, nft.destination_in(f"names{index}"), nft.verdict(nft.ACCEPT))
        if policy.internet:
            for blocked in BLOCKED:
                rules.rule(chain, nft.destination(blocked), nft.reject())
            rules.rule(chain, nft.verdict(nft.ACCEPT))
        rules.rule("policies", nft.comes_from(f"p{index}-*"), nft.jump(chain))
        rules.commit()
        self._policies[policy] = index
        return index

    def _connect(self) -> None:
        self._near, self._far = self._free_addresses()
        self._links.make_pair(self.uplink, _UPLINK, self._own)
        with contextlib.suppress(FileNotFoundError):  # a host without IPv6
            _write(f"ipv6/conf/{self.uplink}/disable_ipv6", "1")
        self._links.add_address(self.uplink, self._near, 30)
        with self._elsewhere():
            syscalls.setns(self._own, syscalls.CLONE_NEWNET)
            self._inside.bring_up(_UPLINK)
            self._inside.add_address(_UPLINK, self._far, 30)
            self._inside.add_route("0.0.0.0", 0, _UPLINK, self._near)  # noqa: S104 - the default route

    def _free_addresses(self) -> tuple[str, str]:
        taken = [IPv4Network((to, prefix)) for to, prefix, _ in self._links.routes() if prefix]
        for pool in map(IPv4Network, _UPLINKS):
            networks = pool.num_addresses // 4
            first = zlib.crc32(self.uplink.encode()) % networks
            for at in range(first, first + 64):
                network = IPv4Network((pool[at % networks * 4], 30))
                if not any(network.overlaps(other) for other in taken):
                    return str(network[1]), str(network[2])
        raise OSError("there are no free addresses for an interface to functions")

    def _set_up_host(self, opened: Sequence[IPv4Network]) -> None:
        rules = self._host_rules = self._keep(nft.Table(f"lambent_{self.uplink}"))
        ours, router = nft.comes_from(self.uplink), IPv4Network(self._far)
        # Before anything redirects them, as Docker does for the ports that containers publish.
        rules.chain("host", nft.PREROUTING, -150)
        for network in opened:
            rules.rule("host", ours, nft.destination(network), nft.verdict(nft.ACCEPT))
        rules.rule("host", ours, nft.to_local(), nft.reject())
        rules.chain("forward", nft.FORWARD, -10)
        rules.rule("forward", nft.goes_to(self.uplink), nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("forward", nft.goes_to(self.uplink), nft.verdict(nft.DROP))
        if (_SYSCTL / "ipv4/ip_forward").read_text().strip() == "0":
            # This host forwards for nobody else but servers like this one, and will not because of us.
            others = nft.comes_from_like(_PREFIX, equal=False), nft.goes_to_like(_PREFIX, equal=False)
            rules.rule("forward", *others, nft.verdict(nft.DROP))
        rules.chain("probe", nft.POSTROUTING, 90)
        probe = nft.destination(IPv4Network(_PROBE_TO[0])) + nft.to_port(nft.UDP, _PROBE_TO[1])
        rules.rule("probe", nft.source(router), probe, nft.counter(), nft.verdict(nft.DROP))
        rules.chain("outward", nft.POSTROUTING, 100, "nat")
        rules.rule("outward", nft.source(router), nft.goes_to("lo", equal=False), nft.masquerade())
        rules.commit()

    def _forward(self) -> None:
        """Have the host forward between the uplink and the interfaces that lead somewhere."""
        _write(f"ipv4/conf/{self.uplink}/forwarding", "1")
        interfaces = {interface for _, _, interface in self._links.routes()} - {self.uplink, "lo"}
        switched = [name for name in sorted(interfaces) if not name.startswith(_PREFIX) and not _forwards(name)]
        if switched:
            self._note.write_text("\n".join(switched))
        for name in switched:
            _write(f"ipv4/conf/{name}/forwarding", "1")

    def _set_back(self) -> None:
        """What `_forward` changed, now or before a crash; unless another server still needs it."""
        if not self._note.exists():
            return
        if any(name.startswith(_PREFIX) and name != self.uplink for _, name in socket.if_nameindex()):
            return
        for name in self._note.read_text().split():
            with contextlib.suppress(FileNotFoundError):
                _write(f"ipv4/conf/{name}/forwarding", "0")
        self._note.unlink()

    def _probe(self, *, to_internet: bool) -> None:
        """Whether the host lets through what comes out of the uplink: send a packet that it will not let out."""
        if not any(prefix == 0 for _, prefix, _ in self._links.routes()):
            if to_internet:
                raise OSError("this host has no default route")
            return
        with self._elsewhere():
            syscalls.setns(self._own, syscalls.CLONE_NEWNET)
            prober = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stack.callback(prober.close)
        deadline = time.monotonic() + _PROBE_TIMEOUT_S
        # The first ones get lost: the kernel takes a moment to notice that the interfaces are up.
        while not self._host_rules.counted("probe"):
            prober.sendto(b"", _PROBE_TO)
            if time.monotonic() > deadline:
                raise OSError(
                    f"this host's firewall does not forward packets: iptables -I FORWARD -i {self.uplink} -j ACCEPT; "
                    f"iptables -I FORWARD -o {self.uplink} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT "
                    "(with Docker: DOCKER-USER instead of FORWARD)"
                )
            time.sleep(0.005)

    @contextlib.contextmanager
    def _elsewhere(self) -> Iterator[None]:
        """Back in the host's namespace at the end, whatever happens."""
        try:
            yield
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNET)

    def _namespace(self) -> int:
        descriptor = _open_namespace()
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _keep(self, thing: _Closing) -> _Closing:
        self._stack.callback(thing.close)
        return thing


def _open_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _write(name: str, value: str) -> None:
    (_SYSCTL / name).write_text(value)


def _forwards(interface: str) -> bool:
    return (_SYSCTL / f"ipv4/conf/{interface}/forwarding").read_text().strip() == "1"


def _hash(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
