"""Names, events and positions of the log store. Pure.

An event's place among the others is its `EventKey`: its timestamp, then the order of arrival. AWS's event ids are 56
decimal digits with the timestamp in the upper bits; ours are made the same way, so they sort as the events do and a
position can be read back from one (pagination tokens are event ids).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lambent.model.ids import AccountId, Region
from lambent.model.values import value

_TIMESTAMP_SHIFT = 144
_SEQUENCE_SHIFT = 80
_SEQUENCE_MASK = (1 << 64) - 1
_EVENT_ID_DIGITS = 56


@dataclass(frozen=True, slots=True)
class LogGroupId:
    """A log group of one account in one region."""

    account: AccountId
    region: Region
    name: str

    @property
    def key(self) -> str:
        """The store key: account/region/name."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def arn(self) -> str:
        """The ARN without the `:*` that `DescribeLogGroups` appends in its member `arn`."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"


@dataclass(frozen=True, slots=True)
class LogStreamId:
    """A log stream. Keep the object for as long as you append to it: it is the key of the hot path."""

    account: AccountId
    region: Region
    group: str
    stream: str

    def __hash__(self) -> int:
        return hash(self.stream)  # almost unique by itself, and the hash of a text is kept by the text

    @property
    def group_id(self) -> LogGroupId:
        """The group it belongs to."""
        return LogGroupId(self.account, self.region, self.group)


@value
class LogEvent:
    """One event to be written: epoch milliseconds and its text."""

    timestamp_ms: int
    message: str


class EventKey(NamedTuple):
    """The place of an event in its group: timestamp, then arrival (segment number << 32 | offset in it)."""

    timestamp_ms: int
    sequence: int


BEFORE_ALL = EventKey(0, -1)
AFTER_ALL = EventKey(1 << 62, 0)


class StoredEvent(NamedTuple):
    """An event as read back. `ingestion_ms`: when it was written, epoch milliseconds."""

    key: EventKey
    stream: str
    message: str
    ingestion_ms: int


def event_id(key: EventKey, salt: int = 0) -> str:
    """The 56-digit id of an event; `salt` (80 bits) keeps the ids of different groups apart."""
    number = key.timestamp_ms << _TIMESTAMP_SHIFT | (key.sequence + 1) << _SEQUENCE_SHIFT | salt
    return str(number).zfill(_EVENT_ID_DIGITS)


def parse_event_id(text: str) -> EventKey:
    """The place an event id names. Raises ValueError."""
    if len(text) != _EVENT_ID_DIGITS or not (text.isascii() and text.isdigit()):
        raise ValueError("not an event id")
    number = int(text)
    return EventKey(number >> _TIMESTAMP_SHIFT, (number >> _SEQUENCE_SHIFT & _SEQUENCE_MASK) - 1)


def split_message(data: bytes, limit: int) -> Iterator[bytes]:
    """Cut UTF-8 text into pieces of at most `limit` bytes, between characters."""
    start = 0
    while len(data) - start > limit:
        end = start + limit
        while end > start + limit - 4 and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end]
        start = end
    yield data[start:]
