"""The server's `Exchange`: one request, and its one answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from lambent.http.messages import Request, RequestHead, Response

logger = logging.getLogger(__name__)


class Answering(Protocol):
    """What an exchange needs of its connection."""

    def answer(self, exchange: HttpExchange, response: Response) -> None:
        """Send `response` and mark `exchange` answered. Raises ValueError for one that cannot be sent."""
        ...

    def call_soon(self, callback: Callable[[], None]) -> None: ...

    @property
    def client_address(self) -> str | None:
        """The peer's IP address, if it has one."""
        ...


class HttpExchange:
    """Implements `messages.Exchange`. `connection` is None once it is lost."""

    __slots__ = ("_callbacks", "_connection", "_left", "answered", "http10", "keep_alive", "request")

    def __init__(self, connection: Answering, request: Request, keep_alive: bool, http10: bool) -> None:
        self.request = request
        self.keep_alive = keep_alive
        self.http10 = http10
        self.answered = False
        self._connection: Answering | None = connection
        self._callbacks: list[Callable[[], None]] | None = None
        self._left = False

    @property
    def closed(self) -> bool:
        return self.answered or self._connection is None

    @property
    def client_address(self) -> str | None:
        return self._connection.client_address if self._connection is not None else None

    def respond(self, response: Response) -> None:
        if self.answered:
            raise RuntimeError("this exchange has been answered before")
        if self._connection is not None:
            self._connection.answer(self, response)

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        if self.answered:
            return
        if not self._left:
            self._callbacks = [*(self._callbacks or ()), callback]
        elif self._connection is not None:
            self._connection.call_soon(callback)
        else:
            _call(callback)

    def client_left(self) -> None:
        """The client will send no more, and may be gone altogether."""
        self._left = True
        callbacks, self._callbacks = self._callbacks, None
        if not self.answered:
            for callback in callbacks or ():
                _call(callback)

    def connection_lost(self) -> None:
        """There is nobody left to answer."""
        self._connection = None
        self.client_left()


class LargeExchange(HttpExchange):
    """One whose body still lies in the `parts` it came in. Joining 60 MB takes 50 ms: that is for a thread, before the
    exchange is handed over."""

    __slots__ = ("parts",)

    def __init__(
        self, connection: Answering, head: RequestHead, parts: list[bytes], keep_alive: bool, http10: bool
    ) -> None:
        super().__init__(connection, Request(head, b""), keep_alive, http10)
        self.parts = parts

    def complete(self, body: bytes) -> None:
        """Give it its body."""
        self.parts = []
        self.request = Request(self.request.head, body)


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # supervision point: every callback gets its turn
        logger.exception("a callback for a vanished client failed")
