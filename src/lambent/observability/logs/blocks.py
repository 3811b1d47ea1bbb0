"""The index: which streams and times each block of a segment holds, and how it is noted on disk. Pure.

A note is one line of a segment's `.idx` file: CRC-32 of the rest in hex, a space, JSON. Each carries where its block
begins, so a missing or damaged line shows as a gap, behind which the segment itself is read again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson

from lambent.observability.logs import segment
from lambent.observability.logs.segment import Declaration

EVENT_COST_BYTES: Final = 26
"""What AWS adds to the UTF-8 length of a message when it counts bytes."""

NEVER_MS: Final = 1 << 62


@dataclass(slots=True)
class Span:
    """What one block holds of one stream. `size` counts bytes as AWS does (`EVENT_COST_BYTES`)."""

    events: int
    size: int
    first_ms: int
    last_ms: int
    ingestion_ms: int

    def add(self, other: Span) -> None:
        """Take in what came later."""
        self.events += other.events
        self.size += other.size
        if other.first_ms < self.first_ms:
            self.first_ms = other.first_ms
        if other.last_ms > self.last_ms:
            self.last_ms = other.last_ms
        if other.ingestion_ms > self.ingestion_ms:
            self.ingestion_ms = other.ingestion_ms


@dataclass(slots=True)
class Block:
    """Bytes `start` to `end` of segment number `segment`: whole frames, by stream ordinal.

    `first_ms` and `last_ms` bound the times of its events (first > last: none).
    """

    segment: int
    start: int
    end: int
    spans: dict[int, Span] = field(default_factory=dict)
    declared: list[Declaration] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    first_ms: int = NEVER_MS
    last_ms: int = -1

    @property
    def sequence(self) -> int:
        """The sequence of its first byte: no event in it comes before."""
        return self.segment << 32 | self.start

    @property
    def end_sequence(self) -> int:
        """The sequence behind its last byte."""
        return self.segment << 32 | self.end

    def add(self, ordinal: int, span: Span) -> None:
        """Note that events were appended to it. The span is the block's from then on."""
        if span.first_ms < self.first_ms:
            self.first_ms = span.first_ms
        if span.last_ms > self.last_ms:
            self.last_ms = span.last_ms
        known = self.spans.get(ordinal)
        if known is None:
            self.spans[ordinal] = span
        else:
            known.add(span)


def note(block: Block) -> bytes:
    """The line that keeps a finished block."""
    spans = [[k, s.events, s.size, s.first_ms, s.last_ms, s.ingestion_ms] for k, s in block.spans.items()]
    text = orjson.dumps([block.start, block.end, spans, [list(d) for d in block.declared], block.forgotten])
    return b"%08x %b\n" % (zlib.crc32(text), text)


def parse_notes(data: bytes, segment_number: int, size: int) -> Iterator[Block]:
    """The blocks noted without a gap from the segment's beginning; `size` is the segment's length in bytes."""
    expected = len(segment.MAGIC)
    for line in data.splitlines():
        crc, _, text = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            return
        start, end, spans, declared, forgotten = orjson.loads(text)
        if start != expected or end > size:
            return
        expected = end
        block = Block(segment_number, start, end, {}, [Declaration(*values) for values in declared], forgotten)
        for ordinal, *values in spans:
            block.add(ordinal, Span(*values))
        yield block


def scan(
    buffer: bytes, segment_number: int, start: int, block_bytes: int
) -> tuple[list[Block], segment.DamagedSegmentError | None]:
    """Index a segment from `start` on, verifying every frame. Stops at a torn or damaged one.

    The second value says what stopped it, if it was neither the end nor a frame that is merely incomplete.
    """
    blocks: list[Block] = []
    block = Block(segment_number, start, start)
    stopped: segment.DamagedSegmentError | None = None
    try:
        for frame in segment.frames(buffer, start, verify=True):
            _take(block, buffer, frame)
            block.end = frame.end
            if block.end - block.start >= block_bytes:
                blocks.append(block)
                block = Block(segment_number, frame.end, frame.end)
    except segment.DamagedSegmentError as error:
        stopped = error
    if block.end > block.start:
        blocks.append(block)
    return blocks, stopped


def _take(block: Block, buffer: bytes, frame: segment.Frame) -> None:
    if frame.kind == segment.DECLARE:
        block.declared.append(segment.parse_declaration(buffer, frame))
    elif frame.kind == segment.FORGET:
        block.forgotten.append(frame.ordinal)
    elif frame.kind == segment.EVENTS:
        found: list[segment.Row] = []
        segment.collect(found, buffer[frame.start : frame.end], 0, (frame.ordinal,))
        if found:
            times = [row[0] for row in found]
            size = sum(len(row[3]) for row in found) + EVENT_COST_BYTES * len(found)
            block.add(frame.ordinal, Span(len(found), size, min(times), max(times), found[0][4]))
    else:
        raise segment.DamagedSegmentError(f"a frame of unknown kind {frame.kind} at {frame.start}")
