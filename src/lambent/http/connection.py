"""One client's connection: requests in, answers out, in order, and what to do with those who break off or dawdle.

Requests of one connection are handed over one at a time: the next (pipelined) one when the one before is answered and
the client has taken enough of the answer. Meanwhile nothing more than the one read at hand is kept: reading pauses.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import struct
from collections.abc import AsyncIterable, Callable
from typing import Any, cast

from lambent.http.exchange import HttpExchange, LargeExchange
from lambent.http.messages import Response
from lambent.http.parsing import READ_MAX_BYTES, Phase, RequestParser
from lambent.http.rendering import CONTINUE, Framing, PreparedResponse, date_line, render
from lambent.http.roster import Roster
from lambent.http.streaming import send_body

logger = logging.getLogger(__name__)

# Up to here head and body are joined into one write; above, copying costs more than a second write.
_JOIN_MAX_BYTES = 64 * 1024

_RESET = struct.pack("ii", 1, 0)  # struct linger: on, for no time

_IDLE, _OVER = Phase.IDLE, Phase.OVER


class HttpConnection(asyncio.Protocol):
    """asyncio's protocol, one per connection."""

    __slots__ = (
        "_advancing",
        "_backlog",
        "_closing",
        "_current",
        "_drained",
        "_eof",
        "_held",
        "_held_bytes",
        "_held_timer",
        "_lingered",
        "_lingering",
        "_lost",
        "_parser",
        "_reading_paused",
        "_roster",
        "_stream",
        "_tick",
        "_transport",
        "_unsent",
        "_write",
        "_write_paused",
    )

    _transport: asyncio.Transport
    _write: Callable[[bytes], None]

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._parser = RequestParser(self, roster.policy, roster.limits)
        self._current: HttpExchange | None = None
        self._stream: asyncio.Task[Any] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._tick = roster.tick
        self._advancing = False  # inside `_advance`, which a handler that answers at once would enter again
        self._closing = False  # an answer has told the client that it is the last
        self._eof = False  # the client has closed its sending half, or altogether
        self._lost = False
        self._lingering = False
        self._lingered = 0
        self._reading_paused = False
        self._backlog: memoryview | None = None  # of a read, what has not been looked at
        self._write_paused = False
        self._unsent = 0
        self._held = b""  # an answer that waits for the next one (see `HttpLimits.hold_pipelined_s`)
        self._held_timer: asyncio.TimerHandle | None = None
        self._held_bytes = 0  # of bodies, in the roster's account

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        roster = self._roster
        roster.members.add(self)
        self._wait()
        limit = roster.limits.max_connections
        if roster.stopping or (limit is not None and len(roster.members) > 2 * limit):
            self.abort()
        elif limit is not None and len(roster.members) > limit:
            logger.warning("connection refused: too many", extra={"server": roster.name, "limit": limit})
            self._parser.refuse(503, "too many connections")
            self._advance()

    def data_received(self, data: bytes) -> None:
        if len(data) <= READ_MAX_BYTES or len(data) <= self._parser.body_due:
            self._read(data)
        else:
            self._backlog = memoryview(data)
            self._read_backlog()

    def eof_received(self) -> bool:
        self._eof = True
        current = self._current
        if current is None and not self._parser.ready and not self._write_paused:
            self._wait()
            return False
        if current is not None:
            current.client_left()
        # TLS knows no half-closed connection: there the answer cannot be sent any more.
        return not self._lost and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._unsent = -1
        self._wait()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
        elif self._current is None:
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._stream is not None:
            self._stream.cancel()
        current, self._current = self._current, None
        if current is not None:
            current.connection_lost()
        self._backlog = None
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        self._parser.release()
        self._release_bytes()
        self._roster.leave(self)

    # What the exchange in hand calls

    def answer(self, exchange: HttpExchange, response: Response) -> None:
        """Send `response`. Raises ValueError for one that cannot be sent."""
        if isinstance(response, PreparedResponse):
            prepared = response.prepared(date_line()) if self._is_usual(exchange) else None
            if prepared is None:
                response = response.general()
            else:
                exchange.answered = True
                if self._parser.ready and self._roster.limits.hold_pipelined_s:
                    self._hold(b"".join(prepared))
                else:
                    self._send(*prepared)
                self._answered(True)
                return
        head, keep_alive, framing, length = render(
            response,
            exchange.keep_alive and not self._roster.stopping,
            exchange.http10,
            exchange.request.head.method == "HEAD",
        )
        exchange.answered = True
        body = response.body
        if isinstance(body, bytes):
            if framing is Framing.NONE:
                body = b""
            if keep_alive and self._parser.ready and self._roster.limits.hold_pipelined_s:
                self._hold(head + body)
            else:
                self._send(head, body)
            self._answered(keep_alive)
        else:
            self._release_held()
            self._write(head)
            task = self._roster.loop.create_task(self._send_stream(body, keep_alive, framing, length))
            self._roster.streams.add(task)
            task.add_done_callback(self._roster.streams.discard)

    def _is_usual(self, exchange: HttpExchange) -> bool:
        return exchange.keep_alive and not (
            self._roster.stopping or exchange.http10 or exchange.request.head.method == "HEAD"
        )

    @property
    def client_address(self) -> str | None:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) and peer else None

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._roster.loop.call_soon(callback)

    # What the sender of a stream calls

    def write(self, data: bytes) -> None:
        """Send a piece of a body."""
        if not self._transport.is_closing():
            self._write(data)

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written."""
        if self._write_paused:
            self._drained = self._roster.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    # What the roster calls

    def sweep(self) -> bool:
        """See `roster.Member`."""
        roster = self._roster
        limits = roster.limits
        unsent = self._transport.get_write_buffer_size()
        if self._write_paused or self._transport.is_closing() or (self._lingering and unsent):
            self._check_taking(unsent)
            return True
        if self._lingering:
            if roster.expired(self._tick, limits.linger_timeout_s):
                self.abort()
            return True
        phase = self._parser.phase
        if self._current is not None or phase is _OVER:
            return False
        if phase is _IDLE:
            timeout_s = limits.keep_alive_timeout_s
        else:
            timeout_s = limits.header_timeout_s if phase is Phase.HEAD else limits.body_timeout_s
        if roster.expired(self._tick, timeout_s):
            if phase is _IDLE:
                self._transport.close()
            else:
                self._parser.refuse(408, "request not received in time")
                self._advance()
            return True
        return timeout_s != math.inf

    def drain(self) -> None:
        """See `roster.Member`."""
        if self._current is None and not self._parser.ready and not self._lingering:
            self._shut()

    def abort(self) -> None:
        """See `roster.Member`. By a reset: half an answer must not look like a whole one that ends with the close."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    # Reading

    def _read(self, data: bytes | memoryview) -> None:
        parser = self._parser
        if parser.phase is _OVER:
            self._discard(len(data))
            return
        try:
            parser.feed(data)
        except Exception:  # supervision point: a policy failed; its client cannot be answered
            logger.exception("reading a request failed", extra={"server": self._roster.name})
            self.abort()
            return
        if parser.ready:
            self._advance()
        if parser.phase is not _IDLE:
            self._read_part(len(data))

    def _read_part(self, received: int) -> None:
        """A read has ended inside a request, or the input is over."""
        parser = self._parser
        if parser.phase is not _OVER and parser.account(received):
            self._wait()
        if parser.body_size > self._held_bytes:
            self._hold_bytes(parser.body_size)
        if self._current is None and (parser.refusal is not None or parser.continue_due):
            self._advance()

    def _hold_bytes(self, size: int) -> None:
        """A body has grown. One that comes in a single read is not counted: it is small."""
        roster = self._roster
        roster.held_bytes += size - self._held_bytes
        self._held_bytes = size
        limit = roster.limits.max_held_bytes
        if limit is not None and roster.held_bytes > limit and self._parser.phase is not _OVER:
            logger.warning("request refused: too much at once", extra={"server": roster.name, "limit": limit})
            self._parser.refuse(503, "too many large requests at once")

    def _release_bytes(self) -> None:
        self._roster.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _read_backlog(self) -> None:
        """Read on in small pieces, as far as what they bring can be handed over: a read full of tiny requests would
        take many times its size as exchanges."""
        while self._backlog and not (self._reading_paused or self._transport.is_closing()):
            size = max(READ_MAX_BYTES, self._parser.body_due)
            piece, self._backlog = self._backlog[:size], self._backlog[size:]
            self._read(piece)

    def _resume_reading(self) -> None:
        self._reading_paused = False
        self._read_backlog()
        if not (self._reading_paused or self._transport.is_closing()):
            self._transport.resume_reading()

    # In order: hand over, answer, go on

    def _advance(self) -> None:
        """Hand over what is ready, as long as it is answered at once; then settle what comes after."""
        if self._advancing or self._lost:
            return
        ready = self._parser.ready
        self._advancing = True
        while ready and self._current is None and not (self._write_paused or self._closing):
            self._hand_over(ready.popleft())
        self._advancing = False
        if self._current is None and not self._write_paused:
            self._settle()
        elif ready and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _hand_over(self, exchange: HttpExchange) -> None:
        self._current = exchange
        if isinstance(exchange, LargeExchange):
            joining = self._roster.loop.run_in_executor(None, b"".join, exchange.parts)
            joining.add_done_callback(lambda joined: self._hand_over_large(exchange, joined))
        else:
            self._handle(exchange)

    def _hand_over_large(self, exchange: LargeExchange, joined: asyncio.Future[bytes]) -> None:
        """Whether the client is still there or not: what it asked for is done."""
        if joined.cancelled():
            return  # the event loop ends
        if (error := joined.exception()) is not None:
            logger.error("a large body could not be put together", exc_info=error, extra={"server": self._roster.name})
            self.abort()
            return
        exchange.complete(joined.result())
        self._handle(exchange)

    def _handle(self, exchange: HttpExchange) -> None:
        try:
            self._roster.handler(exchange)
        except Exception:  # supervision point: a handler must not raise; its client still gets an answer
            logger.exception("a handler failed", extra={"server": self._roster.name})
            if not exchange.answered:
                exchange.keep_alive = False
                exchange.respond(self._roster.policy.malformed(500, "internal error"))

    def _answered(self, keep_alive: bool) -> None:
        self._current = None
        if self._held_bytes:
            self._release_bytes()
        if not keep_alive:
            self._closing = True
        if not self._advancing:
            self._advance()

    def _settle(self) -> None:
        """Nothing is in hand, and everything answered is on its way: what next?"""
        parser = self._parser
        if parser.refusal is not None and not self._closing:
            self._closing = True
            self._send_refusal(parser.refusal)
        elif self._closing or self._eof or parser.phase is _OVER or self._roster.stopping:
            self._shut()
        else:
            if parser.continue_due:
                parser.continue_due = False
                self._write(CONTINUE)
            self._wait()
            if self._reading_paused:
                self._resume_reading()

    def _wait(self) -> None:
        """The client's time starts now."""
        roster = self._roster
        self._tick = roster.tick
        if roster.sweeping is None:
            roster.arm()

    # Sending

    def _hold(self, answer: bytes) -> None:
        """Send `answer` with the next one, or in a while if there is none (see `HttpLimits.hold_pipelined_s`). One
        timer serves many answers; some it sends a little early."""
        self._held += answer
        if self._held_timer is None:
            delay_s = self._roster.limits.hold_pipelined_s
            self._held_timer = self._roster.loop.call_later(delay_s, self._held_long)

    def _held_long(self) -> None:
        self._held_timer = None
        self._release_held()

    def _release_held(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._write(held)

    def _send(self, head: bytes, body: bytes) -> None:
        if self._held:
            head, self._held = self._held + head, b""
        if len(body) <= _JOIN_MAX_BYTES:
            self._write(head + body)
        else:
            self._write(head)
            self._write(body)

    async def _send_stream(self, body: AsyncIterable[bytes], keep_alive: bool, framing: Framing, length: int) -> None:
        # Cancelled before its first step a task would never close `body`; so `connection_lost` does not know it before.
        self._stream = asyncio.current_task()
        try:
            await send_body(body, Framing.NONE if self._lost else framing, length, self)
        except Exception:  # supervision point: half an answer is out; only breaking off tells the client
            logger.exception("a streamed response failed", extra={"server": self._roster.name})
            self.abort()
        else:
            self._stream = None
            if not self._lost:
                self._answered(keep_alive)

    def _send_refusal(self, response: Response) -> None:
        body = response.body
        if not isinstance(body, bytes):
            raise TypeError("a policy answers with bytes")
        self._release_bytes()
        head, _, framing, _ = render(response, keep_alive=False, http10=False, head_only=self._parser.refusal_to_head)
        self._send(head, body if framing is not Framing.NONE else b"")
        self._linger()

    # Closing

    def _shut(self) -> None:
        """Close after what is written. A client that may still be sending is listened to until it has read that."""
        if self._lingering:
            return
        self._release_held()
        if self._parser.ready or self._reading_paused:
            self._linger()
            return
        self._parser.phase = _OVER
        self._transport.close()
        self._unsent = -1
        if not self._lost:
            self._wait()

    def _linger(self) -> None:
        """Closing at once would reset the connection under a client that still sends, and lose it the answer."""
        parser = self._parser
        parser.phase = _OVER
        parser.ready.clear()
        if self._eof or self._transport.is_closing():
            self._transport.close()
            return
        self._lingering = True
        self._wait()
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
        except OSError:  # the client has reset the connection; asyncio lets that out
            self._transport.abort()
            return
        if self._reading_paused:
            self._resume_reading()

    def _discard(self, received: int) -> None:
        self._lingered += received
        if self._lingered > self._roster.limits.max_linger_bytes:
            self.abort()

    def _check_taking(self, unsent: int) -> None:
        """Give up on a client that takes nothing of its answer."""
        if unsent != self._unsent:
            self._unsent = unsent
            self._tick = self._roster.tick
        elif self._roster.expired(self._tick, self._roster.limits.write_timeout_s):
            self.abort()
