"""The router and its link to the host in a thread of the server's, for root."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux.network.host_link import HostLink
from lambent.worker.sandbox.linux.network.router import Router

_T = TypeVar("_T")


class RouterThread:
    """An `AnyRouter`. `note`: see `HostLink`."""

    def __init__(self, instance_id: str, note: Path) -> None:
        self._link = HostLink(instance_id, note)
        self._router: Router | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lambent-network")

    async def open(self, opened: Sequence[str], *, to_internet: bool) -> tuple[socket.socket, socket.socket]:
        return await self._run(lambda: self._open(opened, to_internet=to_internet))

    async def make_namespace(self, index: int, policy: NetworkPolicy, number: int) -> int:
        return await self._run(lambda: self._opened().make_namespace(index, policy, number))

    async def open_addresses(self, index: int, policy: NetworkPolicy, addresses: Sequence[str], seconds: int) -> None:
        await self._run(lambda: self._opened().open_addresses(index, policy, addresses, seconds))

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown()

    def _open(self, opened: Sequence[str], *, to_internet: bool) -> tuple[socket.socket, socket.socket]:
        self._router = Router()
        _, datagrams, streams = self._router.make()
        self._link.open(self._router, opened, to_internet=to_internet)
        return datagrams, streams

    def _close(self) -> None:
        if self._router is not None:
            self._router.close()
        self._link.close()

    def _opened(self) -> Router:
        assert self._router is not None  # noqa: S101 - `open` comes first
        return self._router

    async def _run(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
