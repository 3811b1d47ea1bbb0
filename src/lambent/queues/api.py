"""The queue port: messages sent durably, leased to receivers, acknowledged or handed back.

The contract (one test suite runs it over every implementation):

- A *queue* is a name, chosen by its user; it begins with its first message and ends when it is dropped. Queues do not
  delay each other; the names of queues that hold messages are known, also after a restart.
- `send` returns when the messages survive a crash of the host; all of one call or none. Sequence numbers grow with
  every message and are never used twice.
- A message is *due* once its delay has passed. `receive` leases due messages: until the lease ends nobody else gets
  them, then they are due again. Receive counts, leases and delays survive a crash.
- A *receipt* names a message and its latest lease: it is the fencing token. What a receiver does with a receipt after
  another has received the message finds nothing (`Settled.STALE`), and changes nothing.
- At least once: a message is given out until it is acknowledged, purged, dropped, expired or moved away.
- Messages come in the order in which they became due, roughly; strictly only within a group (see below).
- A receiver that is cancelled takes nothing: what had been leased to it is due again and counts no receive.
- A waiting receiver is woken by a send, by the end of a delay or lease, and by a group that becomes free.
- Times are those of the clock the implementation was given, whole milliseconds; `wait_s` is real time.

Ordered queues: a message sent with a `group` makes its queue ordered, and all of its messages must have one, or
ValueError is raised. Within a group messages come in the order they were sent, and while any of them is leased none of
that group is given out. A message with a `deduplication` key is dropped, and the first one's id and sequence answered,
when another of the same key was sent within the window before.

Costs: a call costs the same with ten messages waiting as with a million.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

DEDUPLICATION_WINDOW_MS: Final = 5 * 60 * 1000


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to send. `id` is the sender's, unique in practice.

    `body` never changes and may be large; `attributes` are a few bytes the sender understands that `reschedule` may
    replace. `delay_s`: not due before that. `deduplication` is a key within the queue (put the group into it for a key
    within the group).
    """

    queue: str
    id: str
    body: bytes
    attributes: bytes = b""
    delay_s: float = 0.0
    group: str | None = None
    deduplication: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as accepted; for a duplicate the id and sequence of the first."""

    id: str
    sequence: int
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message and a lease of it."""

    queue: str
    sequence: int
    lease: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message as received. `receives` counts this receive too; it goes on counting in a dead-letter queue.

    `moved_from` is the queue it was moved from as a dead letter.
    """

    receipt: Receipt
    id: str
    body: bytes
    attributes: bytes
    sent_ms: int
    first_received_ms: int
    receives: int
    group: str | None
    moved_from: str | None

    @property
    def sequence(self) -> int:
        return self.receipt.sequence


@dataclass(frozen=True, slots=True)
class Redrive:
    """A message received `max_receives` times from a queue is moved to `queue` instead of being given out again."""

    queue: str
    max_receives: int


@dataclass(frozen=True, slots=True)
class Extension:
    """A lease to end `lease_s` from now; 0 ends it: the message is due, and its receipt good until the next receive."""

    receipt: Receipt
    lease_s: float


@dataclass(frozen=True, slots=True)
class Rescheduling:
    """A leased message to hand back: due again after `delay_s`, its receipt void; with other `attributes` if given."""

    receipt: Receipt
    delay_s: float
    attributes: bytes | None = None


class Settled(enum.Enum):
    """What became of a receipt that was used."""

    DONE = "done"
    EXPIRED = "expired"  # its lease has ended: nothing done
    STALE = "stale"  # the message was received again, or handed back, since: nothing done
    GONE = "gone"  # there is no such message (any more): nothing done


@dataclass(frozen=True, slots=True)
class Moved:
    """What `move` did: how many messages; whether it stopped before one that was moved from nowhere."""

    count: int
    has_stopped: bool


@dataclass(frozen=True, slots=True)
class Statistics:
    """Messages that are due, leased, and delayed; when the oldest of all was sent (None: there is none)."""

    visible: int
    in_flight: int
    delayed: int
    oldest_sent_ms: int | None


class InFlightLimitError(Exception):
    """As many messages are leased as may be."""


class Queues(Protocol):
    """See the module's docstring for the contract. All methods are called on the event loop's thread.

    Those that change something raise StoreFullError (the disk is full) and StoreError.
    """

    async def send(self, messages: Sequence[NewMessage]) -> list[Sent]:
        """Accept messages (for one queue or several) in their order, atomically."""
        ...

    async def receive(
        self,
        queue: str,
        *,
        lease_s: float,
        limit: int = 1,
        wait_s: float | None = 0.0,
        redrive: Redrive | None = None,
        retention_s: float | None = None,
        in_flight_max: int | None = None,
        attempt: str | None = None,
    ) -> list[Message]:
        """Lease up to `limit` due messages; with none, wait for one up to `wait_s` seconds (None: for ever).

        `redrive`: where what was received too often goes. Messages sent `retention_s` ago are deleted, not given out.
        Raises InFlightLimitError if `in_flight_max` are leased. `attempt` (ordered queues): a repeated call with the
        same one within five minutes gets the same messages under the same receipts, its lease begun anew, as long as
        all of them are as they were left.
        """
        ...

    async def acknowledge(self, receipts: Sequence[Receipt], *, leased_only: bool = False) -> list[Settled]:
        """Delete messages; with `leased_only` not those whose lease has ended (EXPIRED)."""
        ...

    async def extend(self, extensions: Sequence[Extension]) -> list[Settled]:
        """Change when leases end; of one that has ended (EXPIRED) nothing is changed."""
        ...

    async def reschedule(self, reschedulings: Sequence[Rescheduling]) -> list[Settled]:
        """Hand leased messages back for later, those whose lease has ended as well."""
        ...

    async def release(self, queue: str) -> int:
        """End every lease: who had them is gone. How many there were; their messages are due."""
        ...

    async def purge(self, queue: str) -> None:
        """Delete every message; what is leased as well. Deduplication keys are kept."""
        ...

    async def drop(self, queue: str) -> None:
        """Forget the queue with its messages and deduplication keys; its waiting receivers go on waiting."""
        ...

    async def expire(self, queue: str, older_than_s: float, limit: int = 1000) -> int:
        """Delete up to `limit` messages, leased or not, sent longer ago than that. How many there were."""
        ...

    async def move(self, queue: str, ids: Sequence[str], target: str | None) -> Moved:
        """Send up to as many due messages as there are `ids` anew, in order, under these ids: as if they were sent now,
        to `target` or (None) to the queue each was `moved_from`. Stops before one that was moved from nowhere."""
        ...

    async def statistics(self, queue: str) -> Statistics:
        """Counts as of now."""
        ...

    def is_resting(self, queue: str, receivers: int = 1) -> bool:
        """Do so many receivers wait, and is nothing on its way to them? From memory."""
        ...

    def next_due(self, queue: str) -> float | None:
        """When a waiting receiver will be woken by a delay or lease that ends, at the latest; in seconds since the
        epoch. None: by none. From memory."""
        ...

    def depth(self, queue: str) -> int:
        """How many messages the queue holds in all, from memory."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """The queues that hold messages, in order, from memory."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and let go of everything. Idempotent. Waiting receivers get StoreClosedError."""
        ...
