"""The framing of segment files. Pure: bytes in, bytes out.

A segment is `MAGIC` followed by frames. A frame is, little-endian, u32 body length, u32 CRC-32 of the body, body. The
body's first byte is its kind:

    DECLARE  u32 ordinal, u64 creation time (ms), stream name: this number stands for that stream (again in every
             segment that has events of it, so that each can be read alone)
    FORGET   u32 ordinal: the stream was deleted
    EVENTS   u32 ordinal, u64 ingestion time (ms), then events: u64 timestamp (ms), u32 length, UTF-8 text

Lengths are checked everywhere, the CRC when a tail is recovered: only there can bytes be half written.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from lambent.observability.logs.events import LogEvent, split_message

MAGIC: Final = b"LMBLOG1\n"

DECLARE: Final = 1
FORGET: Final = 2
EVENTS: Final = 3

_HEAD = struct.Struct("<II")
_DECLARE = struct.Struct("<BIQ")
_FORGET = struct.Struct("<BI")
_EVENTS = struct.Struct("<BIQ")
_EVENT = struct.Struct("<QI")

HEAD_BYTES: Final = _HEAD.size
EVENTS_HEAD_BYTES: Final = _EVENTS.size
EVENT_OVERHEAD_BYTES: Final = _EVENT.size
BODY_MAX_BYTES: Final = 1 << 30
"""Longer bodies are not written, so a length beyond it is damage."""


class Declaration(NamedTuple):
    """A stream and the number that stands for it in its group's segments."""

    ordinal: int
    name: str
    created_ms: int


class Frame(NamedTuple):
    """A frame as found: where it begins and ends in the buffer, and its kind and stream."""

    start: int
    end: int
    kind: int
    ordinal: int


class DamagedSegmentError(Exception):
    """Bytes that are not a frame."""


def _frame(body: bytes) -> bytes:
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def declare(declaration: Declaration) -> bytes:
    """A DECLARE frame."""
    return _frame(_DECLARE.pack(DECLARE, declaration.ordinal, declaration.created_ms) + declaration.name.encode())


def forget(ordinal: int) -> bytes:
    """A FORGET frame."""
    return _frame(_FORGET.pack(FORGET, ordinal))


def events(ordinal: int, ingestion_ms: int, batch: Sequence[LogEvent], message_limit: int) -> tuple[bytes, int]:
    """An EVENTS frame, and how many events are in it: texts of more than `message_limit` bytes are split.

    Raises ValueError when the frame would be longer than BODY_MAX_BYTES.
    """
    parts = [_EVENTS.pack(EVENTS, ordinal, ingestion_ms)]
    count = 0
    for event in batch:
        text = event.message.encode("utf-8", "replace")
        if len(text) <= message_limit:
            parts.append(_EVENT.pack(event.timestamp_ms, len(text)))
            parts.append(text)
            count += 1
            continue
        for piece in split_message(text, message_limit):
            parts.append(_EVENT.pack(event.timestamp_ms, len(piece)))
            parts.append(piece)
            count += 1
    body = b"".join(parts)
    if len(body) > BODY_MAX_BYTES:
        raise ValueError(f"{len(body)} bytes of log events at once")
    return _frame(body), count


def frames(buffer: bytes, start: int, *, verify: bool) -> Iterator[Frame]:
    """The whole frames of `buffer` from `start` on. Ends silently at a frame the buffer does not hold completely.

    Raises DamagedSegmentError at what cannot be a frame, and, with `verify`, at a wrong CRC.
    """
    size = len(buffer)
    while start + HEAD_BYTES <= size:
        length, crc = _HEAD.unpack_from(buffer, start)
        body = start + HEAD_BYTES
        end = body + length
        if not _FORGET.size <= length <= BODY_MAX_BYTES:
            raise DamagedSegmentError(f"a frame of {length} bytes at {start}")
        if end > size:
            return
        if verify and zlib.crc32(memoryview(buffer)[body:end]) != crc:
            raise DamagedSegmentError(f"a wrong checksum at {start}")
        kind, ordinal = _FORGET.unpack_from(buffer, body)
        yield Frame(start, end, kind, ordinal)
        start = end


def parse_declaration(buffer: bytes, frame: Frame) -> Declaration:
    """What a DECLARE frame says."""
    _, ordinal, created_ms = _DECLARE.unpack_from(buffer, frame.start + HEAD_BYTES)
    return Declaration(ordinal, buffer[frame.start + HEAD_BYTES + _DECLARE.size : frame.end].decode(), created_ms)


def ingestion_ms(buffer: bytes, frame: Frame) -> int:
    """When the events of an EVENTS frame were written."""
    return int(_EVENTS.unpack_from(buffer, frame.start + HEAD_BYTES)[2])


def parse_events(buffer: bytes, frame: Frame, base: int) -> list[tuple[int, int, bytes]]:
    """The events of an EVENTS frame as (timestamp, sequence, text), the first two being its `EventKey`.

    `base` is the sequence of the buffer's first byte. Raises DamagedSegmentError.
    """
    found: list[tuple[int, int, bytes]] = []
    unpack = _EVENT.unpack_from
    at = frame.start + HEAD_BYTES + _EVENTS.size
    end = frame.end
    while at + EVENT_OVERHEAD_BYTES <= end:
        timestamp_ms, length = unpack(buffer, at)
        text = at + EVENT_OVERHEAD_BYTES
        found.append((timestamp_ms, base + at, buffer[text : text + length]))
        at = text + length
    if at != end:
        raise DamagedSegmentError(f"events that do not fill their frame at {frame.start}")
    return found
