"""Ready network namespaces for sandboxes, some for each policy in use; the router and its name server behind them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lambent.worker.sandbox.api import NetworkPolicy, SandboxError
from lambent.worker.sandbox.linux.network.dns import NameServer
from lambent.worker.sandbox.linux.network.router import Router
from lambent.worker.sandbox.linux.shelf import Shelf


class Networks:
    """`start` first, `close` last. `note`: see `Router`."""

    def __init__(self, instance_id: str, note: Path) -> None:
        self._router = Router(instance_id, note)
        self._shelves: dict[NetworkPolicy, Shelf] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lambent-network")
        self._names: NameServer | None = None

    async def start(self, opened: Sequence[str], *, to_internet: bool) -> None:
        """Raises `OSError` with the reason when this host cannot give a network."""
        loop = asyncio.get_running_loop()
        datagrams, streams = await loop.run_in_executor(self._thread, self._open, opened, to_internet)
        self._names = NameServer(datagrams, streams, self._router.policy_at, self._open_addresses)
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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._router.close)
        self._thread.shutdown()

    def _open(self, opened: Sequence[str], to_internet: bool) -> tuple[socket.socket, socket.socket]:
        return self._router.open(opened, to_internet=to_internet)

    async def _make(self, policy: NetworkPolicy) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._router.make_namespace, policy)

    async def _open_addresses(self, policy: NetworkPolicy, addresses: list[str], seconds: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._router.open_addresses, policy, addresses, seconds)


async def _discard(namespace: int) -> None:
    os.close(namespace)
