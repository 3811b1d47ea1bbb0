"""What goes into one invocation: records up to a number, and to the bytes that a function may be invoked with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.model import limits

_AROUND: Final = len(b'{"Records":[]}')

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A record, as JSON too. `handle`: what settles it at its source. `group`: records of one stay in order."""

    id: str
    handle: str
    content: bytes
    group: str | None = None
    trace_header: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of an invocation, in their order."""

    items: tuple[Item, ...]

    @property
    def payload(self) -> bytes:
        """The event."""
        return b'{"Records":[' + b",".join([item.content for item in self.items]) + b"]}"

    def without_groups(self, groups: set[str]) -> Batch:
        """The same without the records of some groups."""
        return Batch(tuple(item for item in self.items if item.group not in groups))


class BatchBuilder:
    """Gathers records into batches: full ones, and one still open."""

    def __init__(self, size: int, max_bytes: int = limits.SYNC_REQUEST_MAX_BYTES) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._closed: list[Batch] = []
        self._open: list[Item] = []
        self._bytes = _AROUND

    def add(self, item: Item) -> None:
        """One more. It opens another batch when this one has no room for it."""
        needed = len(item.content) + 1
        if self._open and (len(self._open) == self._size or self._bytes + needed > self._max_bytes):
            self._close()
        self._open.append(item)
        self._bytes += needed

    @property
    def is_full(self) -> bool:
        """Whether a batch is ready to go."""
        return bool(self._closed) or len(self._open) >= self._size

    @property
    def room(self) -> int:
        """How many records the open batch may still get."""
        return self._size - len(self._open)

    @property
    def count(self) -> int:
        """All records gathered."""
        return len(self._open) + sum(len(batch.items) for batch in self._closed)

    def take(self) -> list[Batch]:
        """All batches, the open one too, in their order."""
        if self._open:
            self._close()
        taken, self._closed = self._closed, []
        return taken

    def _close(self) -> None:
        self._closed.append(Batch(tuple(self._open)))
        self._open = []
        self._bytes = _AROUND


def encoded(record: Record) -> bytes:
    """A record's JSON."""
    return orjson.dumps(record)
