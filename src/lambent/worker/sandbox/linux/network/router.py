"""The router: a network namespace between sandboxes and what leads to the host. Blocking; all of it in one thread,
which changes namespaces: between calls it is in the one that it was in when the router was made.

Knows no more of the way to the host than the name of an interface: the host's end of it is `host_link`'s, or that of
slirp4netns (`slirp`). What it remembers can be asked for again: another one may take over its namespace.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux.network import namespaces
from lambent.worker.sandbox.linux.network import nftables as nft
from lambent.worker.sandbox.linux.network.addresses import GATEWAY, of_sandbox
from lambent.worker.sandbox.linux.network.links import Links
from lambent.worker.sandbox.linux.network.policy import BLOCKED

UPLINK = "uplink"
_INSIDE = "eth0"
_TABLE = "lambent"
_HOST = "host"
_CONNECTIONS = "connections"
MOST_CONNECTIONS = 1024  # of one sandbox at a time; as many as a process has descriptors
_MINIMUM_OPEN_S = 60


class Router:
    """`make` or `take_over` first, `close` last; after a failed one as well."""

    def __init__(self) -> None:
        self._policies: set[int] = set()
        self._stack = contextlib.ExitStack()
        self.home = namespaces.current()
        self._stack.callback(os.close, self.home)

    def make(self) -> tuple[int, socket.socket, socket.socket]:
        """Make its namespace, which has no way to the host yet. Returns it, a descriptor of the router's, and the
        sockets of the name server, UDP and TCP. Raises `OSError`."""
        with namespaces.back_to(self.home):
            namespaces.enter_new()
            self._attach(namespaces.current())
            self._set_up()
            return self.namespace, *self._name_server_sockets()

    def take_over(self, namespace: int) -> None:
        """That of a router that is no more. The descriptor is the router's from now on."""
        with namespaces.back_to(self.home):
            namespaces.enter(namespace)
            self._attach(namespace)

    def close(self) -> None:
        """Let go of it. Sandboxes that are still connected keep it, with its rules."""
        self._stack.close()

    def make_namespace(self, index: int, policy: NetworkPolicy, number: int) -> int:
        """A namespace with a way out by `policy`, which is that of `index`, as a descriptor. `number` is new each
        time."""
        self._add(index, policy)
        name, address = f"p{index}-{number % 100_000_000}", of_sandbox(number)
        with namespaces.back_to(self.home):
            namespaces.enter_new()
            namespace = namespaces.current()
            try:
                namespaces.set_option("ipv6/conf/default/disable_ipv6", "1")  # no way out by IPv6: do not try
                namespaces.enter(self.namespace)
                self._links.make_pair(name, _INSIDE, namespace)
                self._links.add_route(address, 32, name)
                namespaces.enter(namespace)
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

    def open_addresses(self, index: int, policy: NetworkPolicy, addresses: Sequence[str], seconds: int) -> None:
        """Those that a name which `policy` opens has now."""
        self._add(index, policy)
        open_ = [address for address in addresses if not IPv4Address(address).is_loopback]
        self._rules.open_addresses(f"names{index}", open_, max(seconds, _MINIMUM_OPEN_S))

    def close_to(self, networks: Iterable[str]) -> None:
        """Let no sandbox through to these and no others, but where a policy opens them by their numbers: addresses of
        the host that its end of the way out does not see to."""
        self._rules.flush(_HOST)
        for network in networks:
            self._rules.rule(_HOST, nft.destination(IPv4Network(network)), nft.reject())
        self._rules.commit()

    def _attach(self, namespace: int) -> None:
        """From within."""
        self.namespace = namespace
        self._stack.callback(os.close, namespace)
        self._links = Links()
        self._stack.callback(self._links.close)
        # Its sandboxes may outlive us, and must not lose the rules that hold them: the namespace's end is theirs.
        self._rules = nft.Table(_TABLE, owned=False)
        self._stack.callback(self._rules.close)

    def _set_up(self) -> None:
        namespaces.set_option("ipv6/conf/default/disable_ipv6", "1")
        namespaces.set_option("ipv4/ip_forward", "1")
        namespaces.set_option("ipv4/icmp_ratemask", "0")  # every refusal is told, not one a second
        self._links.bring_up("lo")
        self._links.add_address("lo", GATEWAY, 32)
        rules = self._rules
        rules.chain(_HOST)
        rules.chain("policies")
        rules.chain("forward", nft.FORWARD)
        rules.rule("forward", nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("forward", nft.goes_to(UPLINK, equal=False), nft.reject())  # other sandboxes
        # They take room in tables that all share, and descriptors of slirp4netns.
        rules.counts(_CONNECTIONS)
        rules.rule("forward", nft.more_than(MOST_CONNECTIONS, _CONNECTIONS), nft.reject())
        rules.rule("forward", nft.jump("policies"))
        rules.rule("forward", nft.reject())
        rules.chain("input", nft.INPUT)
        rules.rule("input", nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.comes_from("p*"), nft.to_port(nft.UDP, 53), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.comes_from("p*"), nft.to_port(nft.TCP, 53), nft.verdict(nft.ACCEPT))
        rules.rule("input", nft.reject())
        rules.chain("outward", nft.POSTROUTING, 100, "nat")
        rules.rule("outward", nft.goes_to(UPLINK), nft.masquerade())
        rules.commit()

    def _name_server_sockets(self) -> tuple[socket.socket, socket.socket]:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stack.callback(datagrams.close)
        datagrams.bind((GATEWAY, 53))
        datagrams.setblocking(False)
        streams = socket.create_server((GATEWAY, 53), backlog=128)
        self._stack.callback(streams.close)
        streams.setblocking(False)
        return datagrams, streams

    def _add(self, index: int, policy: NetworkPolicy) -> None:
        """The chain of `policy`, at its first use."""
        if index in self._policies:
            return
        chain, rules = f"policy{index}", self._rules
        rules.addresses(f"names{index}")
        rules.chain(chain)
        for network in policy.networks:
            rules.rule(chain, nft.destination(IPv4Network(network)), nft.verdict(nft.ACCEPT))
        rules.rule(chain, nft.jump(_HOST))
        rules.rule(chain, nft.destination_in(f"names{index}"), nft.verdict(nft.ACCEPT))
        if policy.internet:
            for blocked in BLOCKED:
                rules.rule(chain, nft.destination(blocked), nft.reject())
            rules.rule(chain, nft.verdict(nft.ACCEPT))
        rules.rule("policies", nft.comes_from(f"p{index}-*"), nft.jump(chain))
        rules.commit()
        self._policies.add(index)
