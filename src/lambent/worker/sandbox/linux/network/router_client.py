"""The server's end of an ordinary user's router (`router_process`) and the way out of it (`slirp`)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

from lambent.worker.sandbox.api import NetworkPolicy, SandboxError
from lambent.worker.sandbox.linux.bases import Bases
from lambent.worker.sandbox.linux.child_process import ChildProcess
from lambent.worker.sandbox.linux.network import slirp
from lambent.worker.sandbox.linux.network.addresses import free_network
from lambent.worker.sandbox.linux.network.host_addresses import HostAddresses
from lambent.worker.sandbox.linux.network.links import Links
from lambent.worker.sandbox.linux.network.outlook import NO_DEFAULT_ROUTE

logger = logging.getLogger(__name__)

_FOLLOW_EVERY_S = 0.05
_RETRY_AFTER_S = 1.0


class RouterClient:
    """An `AnyRouter`. Its process is forked from the base; when it dies, another one takes over its namespace."""

    def __init__(self, instance_id: str, bases: Bases) -> None:
        self._instance_id = instance_id
        self._bases = bases
        self._process: ChildProcess | None = None
        self._calling = asyncio.Lock()
        self._count = 0
        self._answer: asyncio.Future[tuple[int, ...]]
        self._namespace: int | None = None
        self._sockets: tuple[socket.socket, ...] = ()
        self._slirp: slirp.Slirp | None = None
        self._host: HostAddresses | None = None
        self._host_changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def open(self, opened: Sequence[str], *, to_internet: bool) -> tuple[socket.socket, socket.socket]:
        if reason := slirp.why_not():
            raise OSError(reason)
        network = self._free_network(opened, to_internet=to_internet)
        namespace, users, datagrams, streams = await self._call("make")
        self._namespace, self._bases.user_namespace = namespace, users
        sockets = socket.socket(fileno=datagrams), socket.socket(fileno=streams)
        self._sockets = sockets
        for each in sockets:
            each.setblocking(False)
        self._host = HostAddresses(self._host_changed.set)
        known = self._host.now()
        await self._call("close_to", known)  # before there is a way to them
        self._slirp = slirp.Slirp(network, users, namespace, self._instance_id)
        await self._slirp.start()
        self._following = asyncio.get_running_loop().create_task(
            self._follow(self._host, known), name="follow the host's addresses"
        )
        return sockets

    async def make_namespace(self, index: int, policy: NetworkPolicy, number: int) -> int:
        (made,) = await self._call("make_namespace", index, _fields(policy), number)
        return made

    async def open_addresses(self, index: int, policy: NetworkPolicy, addresses: Sequence[str], seconds: int) -> None:
        await self._call("open_addresses", index, _fields(policy), tuple(addresses), seconds)

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._host is not None:
            self._host.close()
        if self._slirp is not None:
            await self._slirp.close()
        if self._process is not None:
            await self._process.stop()
        for each in self._sockets:
            each.close()
        if self._namespace is not None:
            os.close(self._namespace)

    def _free_network(self, opened: Sequence[str], *, to_internet: bool) -> IPv4Network:
        links = Links()
        try:
            routes = links.routes()
        finally:
            links.close()
        if to_internet and not any(prefix == 0 for _, prefix, _ in routes):
            raise OSError(NO_DEFAULT_ROUTE)
        taken = [IPv4Network((to, prefix)) for to, prefix, _ in routes if prefix]
        wanted = [network for text in opened if (network := IPv4Network(text)).prefixlen]
        return free_network([*taken, *wanted], slirp.PREFIX, self._instance_id)

    async def _call(self, call: str, *arguments: object) -> tuple[int, ...]:
        """The descriptors that come of it. Raises `OSError`."""
        async with self._calling:
            if self._process is None or not self._process.alive:
                self._process = await self._start()
            return await self._ask(self._process, call, *arguments)

    async def _start(self) -> ChildProcess:
        process = ChildProcess("the router of networks", self._handle, self._ended)
        try:
            await self._bases.base(None).fork(("router",), process)
            if self._namespace is not None:
                await self._ask(process, "take_over", descriptors=(self._namespace,))
        except BaseException as error:
            await process.stop()
            if isinstance(error, SandboxError):
                raise OSError(str(error)) from error
            raise
        return process

    async def _ask(
        self, process: ChildProcess, call: str, *arguments: object, descriptors: tuple[int, ...] = ()
    ) -> tuple[int, ...]:
        self._count += 1
        self._answer = asyncio.get_running_loop().create_future()
        await process.send((self._count, call, *arguments), descriptors)
        return await self._answer

    def _handle(self, message: tuple[Any, ...], descriptors: tuple[int, ...]) -> None:
        match message:
            case ("done", number) if number == self._count and not self._answer.done():
                self._answer.set_result(descriptors)
                return
            case ("failed", number, code, words, about) if number == self._count and not self._answer.done():
                self._answer.set_exception(OSError(code, words, about) if code else OSError(words))
        for descriptor in descriptors:  # of a call that was given up
            os.close(descriptor)

    def _ended(self, how: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(OSError(how))

    async def _follow(self, host: HostAddresses, known: tuple[str, ...]) -> None:
        """The supervision point of what the router knows of the host."""
        while True:
            await self._host_changed.wait()
            self._host_changed.clear()
            try:
                now = host.now()
                if now != known:
                    await self._call("close_to", now)
                    known = now
            except OSError as error:
                logger.warning("functions may reach addresses that this host has got just now: %s", error)
                self._host_changed.set()
                await asyncio.sleep(_RETRY_AFTER_S)
            await asyncio.sleep(_FOLLOW_EVERY_S)


def _fields(policy: NetworkPolicy) -> tuple[object, ...]:
    return policy.internet, policy.networks, policy.hosts
