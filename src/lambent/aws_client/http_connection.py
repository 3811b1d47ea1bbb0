"""One connection of the HTTP/1.1 client: a request out, its answer in, and again. httptools reads the answers.

No pool, no policy: `http_transport` has those.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools

from lambent.aws_client.errors import AwsUnreachableError
from lambent.aws_client.transport import Answer
from lambent.http.messages import Headers, Request

ANSWER_MAX_BYTES: Final = 256 * 1024 * 1024

_BODILESS = frozenset({204, 304})


class ConnectionLostError(AwsUnreachableError):
    """The server closed the connection. `unanswered`: before a byte of an answer came."""

    def __init__(self, unanswered: bool) -> None:
        super().__init__("the connection was closed" + ("" if unanswered else " in the middle of the answer"))
        self.unanswered = unanswered


class HttpClientConnection(asyncio.Protocol):
    """asyncio's protocol. `usable`: open, and with no request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._timeout_s = 0.0
        self._to_head = False
        self._exchanges = 0
        self._begin()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._waiting is None

    @property
    def was_used(self) -> bool:
        """Whether an answer came over it before."""
        return self._exchanges > 0

    async def exchange(self, request: Request, timeout_s: float) -> Answer:
        """Send a request and read its answer. Raises AwsUnreachableError. Cancelled: the connection is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionLostError(unanswered=True)
        loop = asyncio.get_running_loop()
        self._begin()
        self._waiting = loop.create_future()
        self._to_head = request.method == "HEAD"
        self._timeout_s, self._heard = timeout_s, loop.time()
        self._timer = loop.call_later(timeout_s, self._check_time)
        try:
            transport.write(_rendered(request))
            return await self._waiting
        finally:
            self._timer.cancel()
            if not self._waiting.done() or self._waiting.cancelled():
                transport.abort()
            self._waiting = None

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._until_close and self._headers_done:
            self._finish()
        else:
            self._fail(ConnectionLostError(unanswered=not self._status_seen))

    def eof_received(self) -> bool:
        return False

    def resume_writing(self) -> None:
        self._heard = asyncio.get_running_loop().time()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # an answer to nothing
            self.close()
            return
        self._heard = asyncio.get_running_loop().time()
        self._status_seen = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(AwsUnreachableError(f"the answer is not HTTP: {error}"))
            self.close()

    # What httptools calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._headers_done = True
        names = {name for name, _ in self._fields}
        self._until_close = not names & {"content-length", "transfer-encoding"} and status not in _BODILESS
        if self._to_head:
            self._keep = False
            self._finish()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > ANSWER_MAX_BYTES:
            self._fail(AwsUnreachableError(f"the answer has more than {ANSWER_MAX_BYTES} bytes"))
            self.close()
            return
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim answer; the real one follows
            self._fields.clear()
            return
        self._keep = self._parser.should_keep_alive() and not self._until_close
        self._finish()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._keep = False
        self._until_close = False
        self._headers_done = False
        self._status_seen = False

    def _finish(self) -> None:
        if self._waiting is None or self._waiting.done():
            return
        self._exchanges += 1
        status = self._parser.get_status_code()
        self._waiting.set_result(Answer(status, Headers(tuple(self._fields)), b"".join(self._body)))
        if not self._keep:
            self.close()

    def _fail(self, error: AwsUnreachableError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    def _check_time(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._heard + self._timeout_s - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._check_time)
            return
        self._fail(AwsUnreachableError(f"nothing came for {self._timeout_s:g} seconds"))
        self.close()


def _rendered(request: Request) -> bytes:
    lines = [f"{request.method} {request.head.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(request.body)}")
    text = "\r\n".join(lines) + "\r\n\r\n"
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1 or "\0" in text:
        raise ValueError("CR, LF or NUL in a request's head")
    return text.encode("latin-1") + request.body
