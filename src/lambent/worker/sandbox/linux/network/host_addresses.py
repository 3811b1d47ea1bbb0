"""Which addresses are the host's own, as they change. What an ordinary user's sandboxes send comes out of the host
itself, where it would reach them without passing anything that could stop it: the router has to know them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from lambent.worker.sandbox.linux.network.links import Links

_RTMGRP_IPV4_IFADDR, _RTMGRP_IPV4_ROUTE = 0x10, 0x40
_NEWS_BYTES = 1 << 16


class HostAddresses:
    """`changed` is called, often too often, when they may be others than before, from now until `close`."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._news = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._news.bind((0, _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV4_ROUTE))
        self._links = Links()
        self._loop.add_reader(self._news, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._news)
        self._news.close()
        self._links.close()

    def now(self) -> tuple[str, ...]:
        """Ranges. Raises `OSError`."""
        return tuple(f"{address}/{prefix}" for address, prefix in self._links.local())

    def _readable(self) -> None:
        with contextlib.suppress(OSError):  # read all; or too many came to keep them all: there is news in any case
            while self._news.recv(_NEWS_BYTES):
                pass
        self._changed()
