"""Requests over HTTP/1.1 to one origin, with or without TLS; connections are kept for the next request.

A kept connection that the server closed just as it was used again costs one more try, on a new connection.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from typing import Final
from urllib.parse import urlsplit

from lambent.aws_client.errors import AwsUnreachableError
from lambent.aws_client.http_connection import ConnectionLostError, HttpClientConnection
from lambent.aws_client.transport import Answer
from lambent.http.messages import Request

CONNECT_TIMEOUT_S: Final = 5.0
KEPT_MAX: Final = 64
KEPT_S: Final = 15.0  # below what servers and load balancers allow


class HttpTransport:
    """Implements `transport.Transport`. `url`: scheme://host[:port]; `tls`: None for the system's authorities."""

    def __init__(self, url: str, *, connect_timeout_s: float = CONNECT_TIMEOUT_S, tls: ssl.SSLContext | None = None):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the URL of an endpoint: {url}")
        self._url = url
        self._address = parts.hostname
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._host = parts.netloc.rpartition("@")[2]
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._kept: deque[tuple[HttpClientConnection, float]] = deque()  # since when; the last one was used last
        self._busy: set[HttpClientConnection] = set()
        self._closed = False

    @property
    def host(self) -> str:
        return self._host

    async def send(self, request: Request, timeout_s: float) -> Answer:
        """See `transport.Transport`."""
        connection = self._take() or await self._connect()
        try:
            return await self._exchange(connection, request, timeout_s)
        except ConnectionLostError as error:
            if not (error.unanswered and connection.was_used) or self._closed:
                raise self._unreachable(str(error)) from error
        except AwsUnreachableError as error:
            raise self._unreachable(str(error)) from error
        try:
            return await self._exchange(await self._connect(), request, timeout_s)
        except ConnectionLostError as error:
            raise self._unreachable(str(error)) from error

    async def close(self) -> None:
        """See `transport.Transport`."""
        self._closed = True
        for connection in [*self._busy, *(connection for connection, _ in self._kept)]:
            connection.close()
        self._kept.clear()
        await asyncio.sleep(0)  # for the event loop to see the sockets closed

    async def _exchange(self, connection: HttpClientConnection, request: Request, timeout_s: float) -> Answer:
        self._busy.add(connection)
        try:
            answer = await connection.exchange(request, timeout_s)
        finally:
            self._busy.discard(connection)
        if connection.usable and not self._closed and len(self._kept) < KEPT_MAX:
            self._kept.append((connection, time.monotonic()))
        else:
            connection.close()
        return answer

    def _take(self) -> HttpClientConnection | None:
        """A kept connection, the one used last; old ones are closed."""
        oldest = time.monotonic() - KEPT_S
        while self._kept and (self._kept[0][1] < oldest or not self._kept[0][0].usable):
            self._kept.popleft()[0].close()
        while self._kept:
            connection, _ = self._kept.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> HttpClientConnection:
        if self._closed:
            raise self._unreachable("is not used any more")
        if self._secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    HttpClientConnection, self._address, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise self._unreachable(f"took no connection within {self._connect_timeout_s:g} seconds") from error
        except OSError as error:
            raise self._unreachable(f"takes no connection: {error}") from error
        return connection

    def _unreachable(self, what: str) -> AwsUnreachableError:
        return AwsUnreachableError(f"{self._url}: {what}")
