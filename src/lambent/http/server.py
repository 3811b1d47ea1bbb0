"""The HTTP/1.1 server: listening sockets in, exchanges to a handler.

It may know asyncio and this folder, nothing of AWS. `connection` is the way of one client, `parsing` its input,
`rendering` and `streaming` its output; `roster` is what the connections of a server share.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from lambent.http.connection import HttpConnection
from lambent.http.coroutines import CoroutineHandler, coroutine_handler
from lambent.http.limits import HttpLimits
from lambent.http.messages import Handler, Policy
from lambent.http.roster import Roster
from lambent.http.sockets import BACKLOG

__all__ = ["CoroutineHandler", "HttpLimits", "HttpServer", "coroutine_handler"]

logger = logging.getLogger(__name__)

# How many turns of its loop asyncio takes from accepting a connection to telling its protocol.
_ACCEPT_TURNS = 5

_DEFAULT_LIMITS = HttpLimits()


class HttpServer:
    """Serves HTTP/1.1 (and 1.0) on sockets that already listen. Use only from the event loop's thread."""

    __slots__ = ("_connection", "_handler", "_limits", "_name", "_policy", "_roster", "_servers")

    def __init__(
        self,
        handler: Handler,
        policy: Policy,
        limits: HttpLimits = _DEFAULT_LIMITS,
        name: str = "http",
        connection: Callable[[Roster], HttpConnection] = HttpConnection,
    ) -> None:
        """`name` tells servers apart in the log. `connection` makes the connections."""
        self._connection = connection
        self._handler = handler
        self._policy = policy
        self._limits = limits
        self._name = name
        self._roster: Roster | None = None
        self._servers: list[asyncio.Server] = []

    @property
    def connection_count(self) -> int:
        """Open connections, idle ones included."""
        return 0 if self._roster is None else len(self._roster.members)

    async def start(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept on `sock`, a listening TCP or Unix stream socket, which belongs to the server from here on.

        With `tls` (TCP only), clients must speak TLS, and shake hands in the time they have for a request's head. May
        be called for several sockets. Raises RuntimeError after `close`.
        """
        loop = asyncio.get_running_loop()
        roster = self._roster
        if roster is None:
            roster = self._roster = Roster(self._handler, self._policy, self._limits, self._name)
        if roster.stopping:
            raise RuntimeError("the server is closed")
        found = roster
        sock.setblocking(False)
        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(lambda: self._connection(found), sock=sock, backlog=BACKLOG)
        else:
            handshake_s = self._limits.header_timeout_s if tls is not None else None
            server = await loop.create_server(
                lambda: self._connection(found), sock=sock, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake_s
            )
        self._servers.append(server)

    async def close(self, grace_s: float) -> None:
        """Stop accepting, close idle connections, give exchanges in flight `grace_s` seconds, then abort them."""
        roster = self._roster
        if roster is None:
            return
        roster.stopping = True
        servers, self._servers = self._servers, []
        await _stop_accepting(servers)
        for member in list(roster.members):
            member.drain()
        if not await roster.emptied(grace_s):
            if grace_s > 0:  # without a grace, aborting is what was asked for
                logger.warning("aborting %d connections of %s", len(roster.members), self._name)
            for member in list(roster.members):
                member.abort()
            await roster.emptied(None)
        if roster.streams:
            await asyncio.wait(roster.streams)
        roster.stop_sweeping()
        for server in servers:
            await server.wait_closed()


async def _stop_accepting(servers: list[asyncio.Server]) -> None:
    """Close `servers`, but not over connections on their way in: asyncio (3.11) would lose those, unclosed."""
    loop = asyncio.get_running_loop()
    for server in servers:
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
    for _ in range(_ACCEPT_TURNS):
        await asyncio.sleep(0)
    for server in servers:
        server.close()
