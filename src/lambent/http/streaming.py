"""Sending a body that comes piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Protocol

from lambent.http.rendering import LAST_CHUNK, Framing, chunk

# Pieces above this are sent as they are, their frame around them, instead of being copied into it.
_COPY_MAX_BYTES = 64 * 1024


class BodyLengthError(Exception):
    """A handler promised another `Content-Length` than it delivered."""


class Sink(Protocol):
    """Where the pieces go."""

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written."""
        ...


async def send_body(body: AsyncIterable[bytes], framing: Framing, length: int, sink: Sink) -> None:
    """Send `body` as its head promised. Raises BodyLengthError, and whatever `body` raises; closes `body` always."""
    try:
        if framing is not Framing.NONE:
            await _send_pieces(body, framing, length, sink)
    finally:
        close = getattr(body, "aclose", None)  # generators have it; an iterable need not
        if close is not None:
            await close()


async def _send_pieces(body: AsyncIterable[bytes], framing: Framing, length: int, sink: Sink) -> None:
    sent = 0
    async for piece in body:
        if not piece:
            continue
        sent += len(piece)
        if framing is Framing.LENGTH and sent > length:
            raise BodyLengthError(f"more than the promised {length} bytes")
        if framing is not Framing.CHUNKED:
            sink.write(piece)
        elif len(piece) <= _COPY_MAX_BYTES:
            sink.write(chunk(piece))
        else:
            sink.write(b"%x\r\n" % len(piece))
            sink.write(piece)
            sink.write(b"\r\n")
        await sink.drained()
    if framing is Framing.CHUNKED:
        sink.write(LAST_CHUNK)
    elif framing is Framing.LENGTH and sent != length:
        raise BodyLengthError(f"{sent} of the promised {length} bytes")
