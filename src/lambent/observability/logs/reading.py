"""Pages of events ordered by time, merged from the blocks that concern a query.

Blocks are taken in the order of their earliest event (backwards: of their latest). Whatever comes before everything in
the blocks not yet read can be given out, so in the usual case, time going on, one block is in memory at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lambent.observability.logs import segment
from lambent.observability.logs.blocks import EVENT_COST_BYTES, NEVER_MS, Block
from lambent.observability.logs.events import AFTER_ALL, BEFORE_ALL, EventKey, StoredEvent
from lambent.observability.logs.group import LogGroup, LogStream
from lambent.observability.logs.segment import Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What to read. `streams`: names, or None for all. `after` and `before` are exclusive, as is `end_ms`.

    `descending`: from the latest on. `matches` decides on the UTF-8 text of a message; every text in `required` must
    be in it for it to have a chance (what lets whole blocks be left out without looking at each event).
    """

    limit: int
    max_bytes: int
    streams: Collection[str] | None = None
    start_ms: int = 0
    end_ms: int = NEVER_MS
    after: EventKey = BEFORE_ALL
    before: EventKey = AFTER_ALL
    descending: bool = False
    matches: Callable[[bytes], bool] | None = None
    required: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the query's order. `resume`: where to go on (as `after`, descending as `before`), None at the end."""

    events: list[StoredEvent]
    resume: EventKey | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    block: Block
    start: int
    end: int
    bound: EventKey  # no event of it comes before (descending: after) this


Shown = TypeVar("Shown")

Show = Callable[[Mapping[int, LogStream], Sequence[Row]], list[Shown]]
"""Makes what the reader wants of rows of a group, whose streams are given by ordinal; rows of streams that are gone are
to be left out."""


async def read_page(group: LogGroup, query: EventQuery, scan_bytes: int) -> EventPage:
    """Read one page. Stops early, with `resume`, after `scan_bytes` of blocks."""
    return EventPage(*await read(group, query, scan_bytes, _stored))


async def read(
    group: LogGroup, query: EventQuery, scan_bytes: int, show: Show[Shown]
) -> tuple[list[Shown], EventKey | None]:
    """As `read_page`, for events as `show` makes them: the page's events, and where to go on."""
    wanted = _wanted(group, query)
    low = max(query.after, EventKey(query.start_ms, -1))
    high = min(query.before, EventKey(query.end_ms, -1))
    candidates = _candidates(group, query, wanted, low, high)
    decode = _Decoder(query, wanted, low, high)
    loop = asyncio.get_running_loop()
    pending: list[Row] = []
    taken: list[Shown] = []
    room = _Room(query.limit, query.max_bytes)
    last: EventKey | None = None
    scanned = 0
    for index, candidate in enumerate(candidates):
        path = group.segment_path(candidate.block.segment)
        data = await loop.run_in_executor(None, _read, path, candidate.start, candidate.end)
        scanned += len(data)
        pending += decode(data, candidate)
        pending.sort(reverse=query.descending)
        frontier = candidates[index + 1].bound if index + 1 < len(candidates) else None
        ready = _ready(pending, frontier, descending=query.descending)
        fits = room.take(pending, ready)
        taken += show(group.by_ordinal, pending[:fits])  # block by block: no long step keeps the loop from others
        last = EventKey(*pending[fits - 1][:2]) if fits else last
        del pending[:fits]
        if fits < ready or (room.full and (pending or frontier)):
            return taken, last
        if frontier and scanned >= scan_bytes:
            resume = _beside(frontier, descending=query.descending)
            if query.after < resume < query.before:  # otherwise the next page would be this one again
                return taken, resume
    return taken, None


class _Room:
    """What still fits into a page; the first event always does."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._events = limit
        self._bytes = max_bytes
        self._first = True

    @property
    def full(self) -> bool:
        return self._events == 0

    def take(self, rows: list[Row], ready: int) -> int:
        """How many of the first `ready` rows fit; they are counted."""
        count = 0
        for row in rows[: min(ready, self._events)]:
            size = len(row[3]) + EVENT_COST_BYTES
            if size > self._bytes and not self._first:
                break
            self._first = False
            self._bytes -= size
            count += 1
        self._events -= count
        return count


def _wanted(group: LogGroup, query: EventQuery) -> frozenset[int]:
    """The ordinals to look for."""
    if query.streams is None:
        return frozenset(group.by_ordinal)
    return frozenset(group.streams[name].ordinal for name in query.streams if name in group.streams)


def _candidates(
    group: LogGroup, query: EventQuery, wanted: Collection[int], low: EventKey, high: EventKey
) -> list[_Candidate]:
    found = []
    for block in group.blocks():
        if block.last_ms < low.timestamp_ms or block.first_ms > high.timestamp_ms:
            continue
        first_ms, last_ms = block.first_ms, block.last_ms
        if query.streams is not None:
            spans = [block.spans[ordinal] for ordinal in wanted if ordinal in block.spans]
            first_ms = min((span.first_ms for span in spans), default=NEVER_MS)
            last_ms = max((span.last_ms for span in spans), default=-1)
            if last_ms < low.timestamp_ms or first_ms > high.timestamp_ms:
                continue
        bound = EventKey(last_ms, block.end_sequence) if query.descending else EventKey(first_ms, block.sequence)
        found.append(_Candidate(block, block.start, block.end, bound))
    return sorted(found, key=lambda candidate: candidate.bound, reverse=query.descending)


class _Decoder:
    """Picks the rows of a query out of a block's bytes."""

    def __init__(self, query: EventQuery, wanted: Collection[int], low: EventKey, high: EventKey) -> None:
        self._query = query
        self._wanted = wanted
        self._low = low
        self._high = high

    def __call__(self, data: bytes, candidate: _Candidate) -> list[Row]:
        if not all(text in data for text in self._query.required):
            return []
        literal = max(self._query.required, key=len, default=b"")
        base = candidate.block.segment << 32 | candidate.start
        rows: list[Row] = []
        try:
            segment.collect(rows, data, base, self._wanted, literal)
        except segment.DamagedSegmentError:
            logger.exception("log segment %d is damaged behind byte %d", candidate.block.segment, candidate.start)
        if candidate.block.first_ms <= self._low.timestamp_ms or candidate.block.last_ms >= self._high.timestamp_ms:
            # A row is longer than a key, so it compares as greater than the key that is its own.
            low, high = (self._low.timestamp_ms, self._low.sequence + 1), self._high
            rows = [row for row in rows if low < row < high]
        matches = self._query.matches
        return rows if matches is None else [row for row in rows if matches(row[3])]


def _ready(pending: list[Row], frontier: EventKey | None, *, descending: bool) -> int:
    """How many of the sorted rows come before everything not yet read."""
    if frontier is None:
        return len(pending)
    if descending:
        return bisect_left(pending, (-frontier.timestamp_ms, -frontier.sequence), key=lambda row: (-row[0], -row[1]))
    return bisect_left(pending, frontier)


def _beside(frontier: EventKey, *, descending: bool) -> EventKey:
    """The exclusive bound that still includes what lies at the frontier itself."""
    return EventKey(frontier.timestamp_ms, frontier.sequence + (1 if descending else -1))


def _stored(streams: Mapping[int, LogStream], rows: Sequence[Row]) -> list[StoredEvent]:
    return [
        StoredEvent(
            EventKey(timestamp_ms, sequence), streams[ordinal].name, text.decode("utf-8", "replace"), ingestion_ms
        )
        for timestamp_ms, sequence, ordinal, text, ingestion_ms in rows
        if ordinal in streams
    ]


def _read(path: Path, start: int, end: int) -> bytes:
    """Bytes of a segment; none of one that is gone (deleted, or past its retention)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, end - start, start)
    finally:
        os.close(fd)
