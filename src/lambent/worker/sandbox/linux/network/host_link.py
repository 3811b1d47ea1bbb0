"""The way from the router to the host, for root: an interface at either end, and the host's rules for what comes out of
it. Blocking; in the router's thread.
"""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from lambent.worker.sandbox.linux.network import namespaces
from lambent.worker.sandbox.linux.network import nftables as nft
from lambent.worker.sandbox.linux.network.addresses import free_network
from lambent.worker.sandbox.linux.network.links import Links
from lambent.worker.sandbox.linux.network.outlook import NO_DEFAULT_ROUTE
from lambent.worker.sandbox.linux.network.router import UPLINK, Router

_PREFIX = "lmb"
_PROBE_TO = ("203.0.113.1", 9)  # TEST-NET-3: nobody's; what goes there is counted and dropped on this host
_PROBE_TIMEOUT_S = 2.0

_Closing = TypeVar("_Closing", Links, nft.Table)


class HostLink:
    """`open` first, in the host's namespace, `close` last; after a failed `open` as well. `note`: where it is noted
    what was changed on the host."""

    def __init__(self, instance_id: str, note: Path) -> None:
        self.uplink = f"{_PREFIX}{instance_id[:8]}" if instance_id.isalnum() else f"{_PREFIX}{_hash(instance_id)}"
        self._note = note
        self._stack = contextlib.ExitStack()

    def open(self, router: Router, opened: Sequence[str], *, to_internet: bool) -> None:
        """Connect `router` with the host. `opened`: ranges that some policy opens. `to_internet`: fail if there is no
        way there. Raises `OSError` with the reason."""
        self._router = router
        self._links = self._keep(Links())
        # It would go with the router's namespace, but the kernel takes its time to remove those.
        self._links.remove(self.uplink)
        self._stack.callback(self._links.remove, self.uplink)
        self._set_back()
        self._connect()
        self._set_up_host([IPv4Network(network) for network in opened])
        self._forward()
        self._probe(to_internet=to_internet)

    def close(self) -> None:
        """Remove it. Sandboxes that are still connected lose their way out."""
        self._stack.close()
        self._set_back()

    def _connect(self) -> None:
        taken = [IPv4Network((to, prefix)) for to, prefix, _ in self._links.routes() if prefix]
        network = free_network(taken, 30, self.uplink)
        near, self._far = str(network[1]), str(network[2])
        self._links.make_pair(self.uplink, UPLINK, self._router.namespace)
        with contextlib.suppress(FileNotFoundError):  # a host without IPv6
            namespaces.set_option(f"ipv6/conf/{self.uplink}/disable_ipv6", "1")
        self._links.add_address(self.uplink, near, 30)
        with namespaces.back_to(self._router.home):
            namespaces.enter(self._router.namespace)
            with contextlib.closing(Links()) as inside:
                inside.bring_up(UPLINK)
                inside.add_address(UPLINK, self._far, 30)
                inside.add_route("0.0.0.0", 0, UPLINK, near)  # noqa: S104 - the default route

    def _set_up_host(self, opened: Sequence[IPv4Network]) -> None:
        rules = self._rules = self._keep(nft.Table(f"lambent_{self.uplink}"))
        ours, router = nft.comes_from(self.uplink), IPv4Network(self._far)
        # Before anything redirects them, as Docker does for the ports that containers publish.
        rules.chain("host", nft.PREROUTING, -150)
        for network in opened:
            rules.rule("host", ours, nft.destination(network), nft.verdict(nft.ACCEPT))
        rules.rule("host", ours, nft.to_local(), nft.reject())
        rules.chain("forward", nft.FORWARD, -10)
        rules.rule("forward", nft.goes_to(self.uplink), nft.answers(), nft.verdict(nft.ACCEPT))
        rules.rule("forward", nft.goes_to(self.uplink), nft.verdict(nft.DROP))
        if (namespaces.SYSCTL / "ipv4/ip_forward").read_text().strip() == "0":
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
        namespaces.set_option(f"ipv4/conf/{self.uplink}/forwarding", "1")
        interfaces = {interface for _, _, interface in self._links.routes()} - {self.uplink, "lo"}
        switched = [name for name in sorted(interfaces) if not name.startswith(_PREFIX) and not _forwards(name)]
        if switched:
            self._note.write_text("\n".join(switched))
        for name in switched:
            namespaces.set_option(f"ipv4/conf/{name}/forwarding", "1")

    def _set_back(self) -> None:
        """What `_forward` changed, now or before a crash; unless another server still needs it."""
        if not self._note.exists():
            return
        if any(name.startswith(_PREFIX) and name != self.uplink for _, name in socket.if_nameindex()):
            return
        for name in self._note.read_text().split():
            with contextlib.suppress(FileNotFoundError):
                namespaces.set_option(f"ipv4/conf/{name}/forwarding", "0")
        self._note.unlink()

    def _probe(self, *, to_internet: bool) -> None:
        """Whether the host lets through what comes out of the uplink: send a packet that it will not let out."""
        if not any(prefix == 0 for _, prefix, _ in self._links.routes()):
            if to_internet:
                raise OSError(NO_DEFAULT_ROUTE)
            return
        with namespaces.back_to(self._router.home):
            namespaces.enter(self._router.namespace)
            prober = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stack.callback(prober.close)
        deadline = time.monotonic() + _PROBE_TIMEOUT_S
        # The first ones get lost: the kernel takes a moment to notice that the interfaces are up.
        while not self._rules.counted("probe"):
            prober.sendto(b"", _PROBE_TO)
            if time.monotonic() > deadline:
                raise OSError(
                    f"this host's firewall does not forward packets: iptables -I FORWARD -i {self.uplink} -j ACCEPT; "
                    f"iptables -I FORWARD -o {self.uplink} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT "
                    "(with Docker: DOCKER-USER instead of FORWARD)"
                )
            time.sleep(0.005)

    def _keep(self, thing: _Closing) -> _Closing:
        self._stack.callback(thing.close)
        return thing


def _forwards(interface: str) -> bool:
    return (namespaces.SYSCTL / f"ipv4/conf/{interface}/forwarding").read_text().strip() == "1"


def _hash(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
