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
from collections.abc import Container, Iterator, Sequence
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
_FRAME = struct.Struct("<IIBI")  # the head of a frame, and of every body
_INGESTION = struct.Struct("<Q")  # what follows it in EVENTS

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


Row = tuple[int, int, int, bytes, int]
"""An event: timestamp, sequence (the two are its `EventKey`, so rows sort as events do), stream ordinal, text,
ingestion time."""


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


def collect(found: list[Row], buffer: bytes, base: int, wanted: Container[int], literal: bytes = b"") -> None:
    """Add to `found` every event of the streams `wanted` in a buffer of whole frames, in order of arrival.

    `base` is the sequence of the buffer's first byte. With `literal`, frames that do not contain it may be left out
    (those with it come whole). Written for speed: a block of 128 KiB takes about a millisecond. Raises
    DamagedSegmentError; what was found before the damage is in `found`.
    """
    head, event, ingestion = _FRAME.unpack_from, _EVENT.unpack_from, _INGESTION.unpack_from
    at, size, hit = 0, len(buffer), -1
    try:
        while at < size:
            length, _, kind, ordinal = head(buffer, at)
            end = at + HEAD_BYTES + length
            if end > size or length < _FORGET.size:
                raise DamagedSegmentError(f"a frame of {length} bytes at {at}")
            if kind == EVENTS and ordinal in wanted:
                if literal and hit < at and (hit := buffer.find(literal, at)) < 0:
                    break
                if hit < end:
                    (arrived_ms,) = ingestion(buffer, at + _FRAME.size)
                    at += _FRAME.size + _INGESTION.size
                    while at < end:
                        timestamp_ms, length = event(buffer, at)
                        text = at + EVENT_OVERHEAD_BYTES
                        found.append((timestamp_ms, base + at, ordinal, buffer[text : text + length], arrived_ms))
                        at = text + length
                    if at != end:
                        raise DamagedSegmentError(f"events that do not fill their frame, which ends at {end}")
            at = end
    except struct.error as error:
        raise DamagedSegmentError(f"half a frame at {at}") from error
