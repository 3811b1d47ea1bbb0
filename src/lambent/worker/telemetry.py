"""Bytes that a function's processes wrote → log events. Pure: no I/O here.

Two sources: the pipe that is stdout and stderr (any process; split at line feeds), and the telemetry pipe on which
our bootstraps (and AWS's, `_LAMBDA_TELEMETRY_LOG_FD`) write framed records, so that a record of several lines stays
one event. A frame: 4 bytes type (0xA55A0001 … 0xA55A00FF, big-endian; the low byte says level and format), 4 bytes
length, 8 bytes time in microseconds since the epoch, then that many bytes of UTF-8. What is not a frame is taken as
plain text, so that nothing a function writes is lost.
"""

from __future__ import annotations

import struct
from typing import Final

from lambent.model import limits
from lambent.observability.logs.events import LogEvent

_HEADER: Final = struct.Struct(">IIQ")
_MAGIC: Final = 0xA55A00
_MAX_PARTIAL_BYTES: Final = limits.LOG_EVENT_MAX_BYTES
_MAX_FRAME_BYTES: Final = 64 * limits.MIB  # what claims to be longer is not a frame
_MAX_PIECE_BYTES: Final = limits.LOG_EVENT_MAX_BYTES  # longer frames come out in pieces: no more than one is kept


class LineSplitter:
    """Splits a byte stream into events at line feeds; what has no line feed yet waits."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes, now_ms: int) -> list[LogEvent]:
        """Events completed by `data`. A line over the size of a log event is cut."""
        data = self._partial + data
        *lines, self._partial = data.split(b"\n")
        events = [LogEvent(now_ms, _text(line) + "\n") for line in lines]
        while len(self._partial) > _MAX_PARTIAL_BYTES:
            events.append(LogEvent(now_ms, _text(self._partial[:_MAX_PARTIAL_BYTES])))
            self._partial = self._partial[_MAX_PARTIAL_BYTES:]
        return events

    @property
    def is_unsettled(self) -> bool:
        """Whether there is anything for `settle`."""
        return bool(self._partial)

    def settle(self, now_ms: int) -> list[LogEvent]:
        """At the end of an invocation: a line without a line feed belongs to it."""
        return self.flush(now_ms)

    def flush(self, now_ms: int) -> list[LogEvent]:
        """What is left without a line feed."""
        partial, self._partial = self._partial, b""
        return [LogEvent(now_ms, _text(partial))] if partial else []


class FrameDecoder:
    """Reads framed records; bytes that are no frame become plain lines."""

    __slots__ = ("_buffer", "_frame_left", "_frame_ms", "_plain")

    def __init__(self) -> None:
        self._buffer = b""
        self._frame_left = 0  # of a frame longer than a log event, what has not come out yet
        self._frame_ms = 0
        self._plain = LineSplitter()

    def feed(self, data: bytes, now_ms: int) -> list[LogEvent]:
        """Events completed by `data`."""
        if self._buffer:
            data = self._buffer + data
        elif not self._frame_left and len(data) > _HEADER.size:
            kind, length, micros = _HEADER.unpack_from(data)
            if kind >> 8 == _MAGIC and length == len(data) - _HEADER.size and length <= _MAX_PIECE_BYTES:
                return [LogEvent(_plausible(micros, now_ms), _text(data[_HEADER.size :]))]  # one line, as most often
        events: list[LogEvent] = []
        position, end = 0, len(data)
        while end - position >= _HEADER.size or self._frame_left:
            if not self._frame_left:
                kind, length, micros = _HEADER.unpack_from(data, position)
                if kind >> 8 != _MAGIC or length > _MAX_FRAME_BYTES:
                    events += self._plain.feed(data[position:], now_ms)
                    position = end
                    break
                if not length:
                    events.append(LogEvent(_plausible(micros, now_ms), ""))
                    position += _HEADER.size
                    continue
                if length <= _MAX_PIECE_BYTES and end - position - _HEADER.size < length:
                    break
                position += _HEADER.size
                self._frame_left, self._frame_ms = length, _plausible(micros, now_ms)
            stop = position + min(self._frame_left, _MAX_PIECE_BYTES)
            if stop > end:
                break
            events.append(LogEvent(self._frame_ms, _text(data[position:stop])))
            self._frame_left -= stop - position
            position = stop
        self._buffer = data[position:]
        return events

    @property
    def is_unsettled(self) -> bool:
        """Whether there is anything for `settle`."""
        return self._plain.is_unsettled

    def settle(self, now_ms: int) -> list[LogEvent]:
        """At the end of an invocation. A frame that a thread is still writing is waited for."""
        return self._plain.flush(now_ms)

    def flush(self, now_ms: int) -> list[LogEvent]:
        """What is left: a frame cut short by the end of its writer."""
        rest, self._buffer = self._buffer, b""
        if not self._frame_left and len(rest) >= _HEADER.size and _HEADER.unpack_from(rest)[0] >> 8 == _MAGIC:
            rest = rest[_HEADER.size :]
        self._frame_left = 0
        events = self._plain.feed(rest, now_ms) if rest else []
        return events + self._plain.flush(now_ms)


def _plausible(micros: int, now_ms: int) -> int:
    """The writer's own time in ms, unless it is not credible (a function can write anything)."""
    milliseconds = micros // 1000
    return milliseconds if abs(milliseconds - now_ms) < 3_600_000 else now_ms


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
