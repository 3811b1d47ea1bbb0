"""The port between the client and an endpoint: a signed request goes in, its answer comes out.

Implementations: `http_transport` (over a socket, any server) and `in_process` (our own endpoint, without one).
"""

from __future__ import annotations

from typing import Protocol

from lambent.http.messages import Headers, Request


class Answer:
    """A response as the client got it."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Transport(Protocol):
    """The way to one endpoint. Safe for any number of calls at once, on one event loop."""

    @property
    def host(self) -> str:
        """The Host that requests are signed for."""
        ...

    async def send(self, request: Request, timeout_s: float) -> Answer:
        """The answer to a request (which has its Host). Raises AwsUnreachableError when there is none.

        `timeout_s`: real time in which nothing comes. A caller that is cancelled gives the request up.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; calls under way fail. Idempotent."""
        ...
