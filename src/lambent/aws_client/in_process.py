"""Requests to an endpoint of this process, without a socket: what it is handed is what the HTTP server would hand it.

So a call of our own is routed, authenticated and authorised as any other, and reaches whatever answers that API here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable

from lambent.aws_client.errors import AwsUnreachableError
from lambent.aws_client.transport import Answer
from lambent.http.messages import Handler, Headers, Request, Response


class InProcessTransport:
    """Implements `transport.Transport`. `host`: what URLs in answers begin with.

    What answers need not exist yet: requests may be sent once `serve_with` was called.
    """

    def __init__(self, host: str) -> None:
        self._handle: Handler | None = None
        self._host = host
        self._waiting: set[_Exchange] = set()
        self._closed = False

    def serve_with(self, handle: Handler) -> None:
        """What answers."""
        self._handle = handle

    @property
    def host(self) -> str:
        return self._host

    async def send(self, request: Request, timeout_s: float) -> Answer:
        """See `transport.Transport`."""
        if self._closed or self._handle is None:
            raise AwsUnreachableError("the server stops" if self._closed else "the server starts")
        exchange = _Exchange(request)
        self._waiting.add(exchange)
        try:
            self._handle(exchange)
            async with asyncio.timeout(timeout_s):
                response = await exchange.answer
                body = await _whole(response.body)
        except TimeoutError as error:
            raise AwsUnreachableError(f"nothing came for {timeout_s:g} seconds") from error
        finally:
            self._waiting.discard(exchange)
            exchange.leave()
        headers = tuple((name.lower(), value) for name, value in response.headers)
        return Answer(response.status, Headers(headers), body)

    async def close(self) -> None:
        """See `transport.Transport`."""
        self._closed = True
        for exchange in list(self._waiting):
            exchange.give_up()


class _Exchange:
    """Implements `http.messages.Exchange`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._left = False
        self._callbacks: list[Callable[[], None]] = []
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    @property
    def request(self) -> Request:
        return self._request

    @property
    def closed(self) -> bool:
        return self._left or self.answer.done()

    @property
    def client_address(self) -> str | None:
        return None

    def respond(self, response: Response) -> None:
        if not self.answer.done():
            self.answer.set_result(response)
        elif not self._left:
            raise RuntimeError("this exchange has been answered before")

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        if self._left:
            callback()
        elif not self.answer.done():
            self._callbacks.append(callback)

    def leave(self) -> None:
        """The caller waits no longer."""
        if self.answer.done() and not self.answer.cancelled():
            self._left = True
            return
        self._left = True
        self.answer.cancel()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def give_up(self) -> None:
        """There will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(AwsUnreachableError("the server stops"))


async def _whole(body: bytes | AsyncIterable[bytes]) -> bytes:
    if isinstance(body, bytes):
        return body
    return b"".join([part async for part in body])
