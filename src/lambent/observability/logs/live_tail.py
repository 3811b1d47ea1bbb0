"""What a live tail session has not yet shown: a bounded buffer of the events that match, in order of arrival. Pure.

A client that is slower than the functions print loses the oldest events, as on AWS; `sampled` says so. Nothing here
ever slows a function down: taking an event in costs its match, and memory is bounded whoever listens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from lambent.observability.logs.events import LogEvent
from lambent.observability.logs.filter_pattern import FilterPattern

UPDATE_EVENTS: Final = 500
"""Events in one update at most."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event as a live tail shows it; `group` is the ARN of its log group, times are epoch ms."""

    group: str
    stream: str
    timestamp_ms: int
    ingestion_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class LiveTailQuery:
    """Which events: those of some streams (by name or prefix; all if both are empty) that match."""

    pattern: FilterPattern
    streams: Collection[str] = ()
    prefixes: tuple[str, ...] = ()

    def wants_stream(self, stream: str) -> bool:
        """Whether the events of a stream are asked for."""
        if self.streams:
            return stream in self.streams
        return not self.prefixes or stream.startswith(self.prefixes)


class LiveTailBuffer:
    """Events waiting to be shown: at most `events_max`, and `bytes_max` characters of text."""

    def __init__(self, query: LiveTailQuery, *, events_max: int = 5000, bytes_max: int = 16 * 1024 * 1024) -> None:
        self._query = query
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._waiting: deque[LiveEvent] = deque()
        self._bytes = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take_in(self, group: str, stream: str, events: Sequence[LogEvent], ingestion_ms: int) -> bool:
        """Keep what matches of a batch; the oldest go when there is no room. Returns whether anything was kept."""
        if not self._query.wants_stream(stream):
            return False
        pattern, kept = self._query.pattern, False
        for event in events:
            if pattern.matches_all or pattern.matches(event.message.encode("utf-8", "replace")):
                self._waiting.append(LiveEvent(group, stream, event.timestamp_ms, ingestion_ms, event.message))
                self._bytes += len(event.message)
                kept = True
        while len(self._waiting) > self._events_max or self._bytes > self._bytes_max:
            self._bytes -= len(self._waiting.popleft().message)
            self._dropped += 1
        return kept

    def update(self, bytes_max: int = 1024 * 1024) -> tuple[list[LiveEvent], bool]:
        """The next events, and whether older ones were dropped since the last update."""
        shown: list[LiveEvent] = []
        size = 0
        while self._waiting and len(shown) < UPDATE_EVENTS and (not shown or size < bytes_max):
            event = self._waiting.popleft()
            shown.append(event)
            size += len(event.message)
        self._bytes -= size
        dropped, self._dropped = self._dropped, 0
        return shown, dropped > 0
