"""The Runtime API on a socket that one of our own bootstraps was born with: `frames` instead of HTTP.

The same rules hold as over HTTP (`machine` keeps them), and the socket says as much about who speaks: each sandbox has
its own. A runtime that breaks the framing, or speaks out of turn, loses its channel.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final, cast

from lambent.model import limits
from lambent.model.execution import Invocation
from lambent.worker.runtime_api import frames
from lambent.worker.runtime_api.calls import RuntimeCalls
from lambent.worker.runtime_api.machine import RefusedError

logger = logging.getLogger(__name__)

_ACCEPTED: Final = 202
_TOO_LARGE: Final = 413
_BODY_MAX_BYTES: Final = limits.SYNC_RESPONSE_MAX_BYTES
_HEAD_BYTES: Final = frames.HEAD.size
_POSTS: Final = frames.AND_NEXT - 1
_read_head: Final = frames.HEAD.unpack_from


class RuntimeChannel(asyncio.Protocol):
    """The server's end of a channel: a `Poll` whenever its runtime waits for an event."""

    __slots__ = (
        "_buffer",
        "_calls",
        "_gone",
        "_kind",
        "_lost",
        "_needed",
        "_skip",
        "_socket",
        "_status",
        "_transport",
        "_waits",
    )

    _transport: asyncio.Transport

    def __init__(self, calls: RuntimeCalls, sock: socket.socket) -> None:
        """`sock` belongs to the channel from here on."""
        self._calls = calls
        self._socket = sock
        self._buffer = bytearray()  # of a frame that has not come whole
        self._needed = 0  # how long it must be before there is anything to do; 0: there is no such frame
        self._skip = 0  # bytes to come of a body that is too large
        self._kind = frames.NOTHING  # of its frame
        self._status = _ACCEPTED  # of what was posted last, until the runtime is told
        self._waits = False
        self._lost = False
        self._gone: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=self._socket)

    async def close(self) -> None:
        """Let go of the socket."""
        if self._gone is None:
            self._socket.close()
        else:
            self._transport.abort()
            await self._gone

    @property
    def closed(self) -> bool:
        """Whether the runtime cannot be told anything any more."""
        return self._lost or self._transport.is_closing()

    def hand_out(self, invocation: Invocation, deadline_ms: int) -> None:
        """Give the waiting runtime an event."""
        self._waits = False
        status, self._status = self._status, _ACCEPTED
        self._transport.write(frames.event(status, invocation, deadline_ms))

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._gone = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._lost = True
        self._buffer.clear()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        if self._waits:
            self._waits = False
            self._calls.poll_lost(self)

    def pause_writing(self) -> None:
        """The runtime does not read: nor do we, so that answers do not pile up."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """See `pause_writing`."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`. A warm invocation brings one whole frame in one read."""
        if self._needed or self._skip:
            data = self._continued(data)
        while data:
            size = len(data)
            if size < _HEAD_BYTES:
                self._keep(data, _HEAD_BYTES)
                return
            kind, id_bytes, type_bytes, body_bytes = _read_head(data)
            if self._waits or kind not in frames.KINDS:
                logger.debug("a runtime does not keep to the frames of its channel")
                self._transport.abort()
                return
            start = _HEAD_BYTES + id_bytes + type_bytes
            end = start + body_bytes
            large = body_bytes > _BODY_MAX_BYTES
            if size < (start if large else end):
                self._keep(data, start if large else end)
                return
            request_id = str(data[_HEAD_BYTES : _HEAD_BYTES + id_bytes], "utf-8", "replace")
            if large:
                self._status = self._refuse(kind & _POSTS, request_id)
                if size < end:
                    self._skip, self._kind = end - size, kind
                    return
            elif kind & _POSTS:
                error_type = str(data[start - type_bytes : start], "utf-8", "replace") if type_bytes else None
                self._status = self._post(kind & _POSTS, request_id, error_type, data[start:end])
            self._go_on(kind)
            if size == end:
                return
            data = data[end:]

    def _keep(self, data: bytes, needed: int) -> None:
        self._buffer += data
        self._needed = needed

    def _continued(self, data: bytes) -> bytes:
        """What there is to look at, now that `data` has come; nothing if that is not enough."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            if self._skip == 0:
                self._go_on(self._kind)
            return data[skipped:]
        self._buffer += data
        if len(self._buffer) < self._needed:
            return b""
        whole = bytes(self._buffer)
        self._buffer.clear()
        self._needed = 0
        return whole

    def _post(self, kind: int, request_id: str, error_type: str | None, body: bytes) -> int:
        """The status of what was posted."""
        try:
            if kind == frames.RESPONSE:
                self._calls.response(request_id, body)
            elif kind == frames.ERROR:
                self._calls.error(request_id, body, error_type)
            else:
                self._calls.init_error(body, error_type)
        except RefusedError as refused:
            return refused.status
        except Exception:  # supervision point: the runtime must not wait for ever
            logger.exception("taking an answer failed")
            self._transport.abort()
        return _ACCEPTED

    def _refuse(self, kind: int, request_id: str) -> int:
        """The same for a body that is too large."""
        if kind == frames.RESPONSE:
            try:
                self._calls.response_too_large(request_id)
            except RefusedError as refused:
                return refused.status
        return _TOO_LARGE

    def _go_on(self, kind: int) -> None:
        """What was posted is dealt with: wait for an event, or say so."""
        if kind < frames.AND_NEXT:
            self._transport.write(frames.answer(self._status))
            return
        self._waits = True
        try:
            self._calls.wait_for_event(self)
        except RefusedError as refused:
            self._waits = False
            self._transport.write(frames.answer(refused.status, refused.body))
        except Exception:  # supervision point, as above
            logger.exception("a request for an event failed")
            self._transport.abort()
