"""What the engine asks of its writer thread, and what comes back. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lambent.queues.api import NewMessage, Receipt, Redrive


@dataclass(frozen=True, slots=True)
class Send:
    messages: Sequence[NewMessage]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Lease due messages to one receiver."""

    queue: str
    limit: int
    lease_ms: int
    now_ms: int
    redrive: Redrive | None
    expired_ms: int | None  # sent at this moment or before: not given out
    attempt: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """One receipt: with `due_ms` the lease (or delay) is to end then, without it the message is deleted.

    `leased_only`: only while the lease lasts. `keeps_lease`: the receipt stays good. `gives_back`: it was no receive.
    """

    receipt: Receipt
    due_ms: int | None = None
    attributes: bytes | None = None
    leased_only: bool = False
    keeps_lease: bool = False
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    settlements: Sequence[Settlement]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Empty:
    """Purge a queue, or forget it altogether."""

    queue: str
    forget: bool


@dataclass(frozen=True, slots=True)
class Expire:
    queue: str
    expired_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class Release:
    """End every lease of a queue."""

    queue: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Move:
    queue: str
    ids: Sequence[str]
    target: str | None
    now_ms: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Delete some of what nobody can see any more."""

    now_ms: int


Request = Send | Claim | Settle | Empty | Expire | Release | Move | Sweep


@dataclass(slots=True)
class Outcome:
    """`result` is for the caller; the rest is for the engine's memory.

    `depths`: how many messages queues hold after the commit, of those this request changed. `due`: when something in a
    queue becomes due that was not before.
    """

    result: Any = None
    depths: dict[str, int] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)

    def touches(self, queue: str) -> None:
        """Its depth changes."""
        self.depths[queue] = 0

    def becomes_due(self, queue: str, due_ms: int) -> None:
        known = self.due.get(queue)
        if known is None or due_ms < known:
            self.due[queue] = due_ms


@dataclass(frozen=True, slots=True)
class Claimed:
    """`messages`; with none: when the next becomes due (None: nothing is there), and whether to look again at once."""

    messages: list[Any]
    next_due_ms: int | None = None
    has_more: bool = False
