"""Ready network namespaces for sandboxes, some for each policy in use; the router and its name server behind them."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Protocol

from lambent.worker.sandbox.api import NetworkPolicy, SandboxError
from lambent.worker.sandbox.linux.network.addresses import of_sandbox
from lambent.worker.sandbox.linux.network.dns import NameServer
from lambent.worker.sandbox.linux.shelf import Shelf


class AnyRouter(Protocol):
    """Wherever it runs. `open` first, `close` last; after a failed `open` as well. Calls raise `OSError`. `index` is
    that of the policy."""

    async def open(self, opened: Sequence[str], *, to_internet: bool) -> tuple[socket.socket, socket.socket]:
        """Connect it with the host; returns the sockets of the name server, UDP and TCP, which stay the router's.
        `opened`: ranges that some policy opens. `to_internet`: fail if there is no way there."""
        ...

    async def make_namespace(self, index: int, policy: NetworkPolicy, number: int) -> int:
        """A namespace with a way out, as a descriptor. `number` is new each time."""
        ...

    async def open_addresses(self, index: int, policy: NetworkPolicy, addresses: Sequence[str], seconds: int) -> None:
        """Let sandboxes with that policy through to `addresses` for so long."""
        ...

    async def close(self) -> None:
        """Remove it. Sandboxes that are still connected lose their way out."""
        ...


class Networks:
    """`start` first, `close` last."""

    def __init__(self, router: AnyRouter) -> None:
        self._router = router
        self._indexes: dict[NetworkPolicy, int] = {}
        self._shelves: dict[NetworkPolicy, Shelf] = {}
        self._policy_at: dict[str, NetworkPolicy] = {}
        self._count = 0
        self._names: NameServer | None = None

    async def start(self, opened: Sequence[str], *, to_internet: bool) -> None:
        """Raises `OSError` with the reason when this host cannot give a network."""
        datagrams, streams = await self._router.open(opened, to_internet=to_internet)
        self._names = NameServer(datagrams, streams, self._policy_at.get, self._open_addresses)
        await self._names.start()

    async def take(self, policy: NetworkPolicy) -> int:
        """A namespace with a way out by `policy`, as a descriptor. Raises `SandboxError`."""
        shelf = self._shelves.get(policy)
        if shelf is None:
            shelf = self._shelves[policy] = Shelf("network", lambda: self._make(policy), _discard)
        try:
            return await shelf.take()
        except OSError as error:
            raise SandboxError(f"no network: {error}") from error

    async def close(self) -> None:
        for shelf in self._shelves.values():
            await shelf.close()
        if self._names is not None:
            await self._names.close()
        await self._router.close()

    async def _make(self, policy: NetworkPolicy) -> int:
        number = self._count
        self._count += 1
        self._policy_at[of_sandbox(number)] = policy
        return await self._router.make_namespace(self._index(policy), policy, number)

    async def _open_addresses(self, policy: NetworkPolicy, addresses: list[str], seconds: int) -> None:
        await self._router.open_addresses(self._index(policy), policy, addresses, seconds)

    def _index(self, policy: NetworkPolicy) -> int:
        return self._indexes.setdefault(policy, len(self._indexes))


async def _discard(namespace: int) -> None:
    os.close(namespace)
