"""`MemoryQueues`: the queue port in lists, for tests. Nothing survives it, and every call looks at every message.

Written from the port's contract alone, so that the contract's tests, run over both, show what is the engine's own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lambent.model.clock import Clock
from lambent.queues.api import (
    DEDUPLICATION_WINDOW_MS,
    Extension,
    InFlightLimitError,
    Message,
    Moved,
    NewMessage,
    Receipt,
    Redrive,
    Rescheduling,
    Sent,
    Settled,
    Statistics,
)
from lambent.queues.waiting import Ticket, Waiting


@dataclass(slots=True)
class _Stored:
    """A message, and what has happened to it. `spared`: receives in queues before."""

    new: NewMessage
    sequence: int
    sent_ms: int
    due_ms: int
    attributes: bytes
    lease: int = 0
    is_leased: bool = False
    receives: int = 0
    spared: int = 0
    first_received_ms: int | None = None
    moved_from: str | None = None

    def in_flight(self, now_ms: int) -> bool:
        return self.is_leased and self.due_ms > now_ms

    def hand_back(self, due_ms: int) -> None:
        self.due_ms, self.is_leased, self.lease = due_ms, False, self.lease + 1


@dataclass(frozen=True, slots=True)
class _Claim:
    redrive: Redrive | None
    retention_s: float | None
    attempt: str | None


class MemoryQueues:
    """Implements `lambent.queues.api.Queues`, except that messages are not durable."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting = Waiting(clock)
        self._sequences = itertools.count(1)
        self._messages: dict[str, list[_Stored]] = {}
        self._keys: dict[tuple[str, str], tuple[int, Sent]] = {}  # queue, key → end of the window, the first
        self._attempts: dict[tuple[str, str], tuple[int, list[tuple[_Stored, int, int]]]] = {}

    async def send(self, messages: Sequence[NewMessage]) -> list[Sent]:
        self._waiting.check_open()
        for message in messages:
            for other in self._messages.get(message.queue, ()):
                if (other.new.group is None) != (message.group is None):
                    kind = "without" if other.new.group is None else "with"
                    raise ValueError(f"The queue {message.queue} holds messages {kind} groups")
        return [self._accept(message) for message in messages]

    def _accept(self, message: NewMessage) -> Sent:
        now_ms = self._now_ms()
        sent = Sent(message.id, next(self._sequences))
        if message.deduplication is not None:
            until_ms, first = self._keys.get((message.queue, message.deduplication), (0, sent))
            if until_ms > now_ms:
                return Sent(first.id, first.sequence, is_duplicate=True)
            self._keys[message.queue, message.deduplication] = (now_ms + DEDUPLICATION_WINDOW_MS, sent)
        due_ms = now_ms + round(message.delay_s * 1000)
        stored = _Stored(message, sent.sequence, now_ms, due_ms, message.attributes)
        self._messages.setdefault(message.queue, []).append(stored)
        self._waiting.expect(message.queue, due_ms)
        return sent

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
        deadline = None if wait_s is None else asyncio.get_running_loop().time() + wait_s
        lease_ms = round(lease_s * 1000)
        with Ticket(self._waiting, queue) as ticket:
            while True:
                now_ms = self._now_ms()
                in_flight = sum(one.in_flight(now_ms) for one in self._messages.get(queue, ()))
                if in_flight_max is not None and in_flight >= in_flight_max:
                    raise InFlightLimitError(f"{in_flight} messages of {queue} are in flight")
                taken = self._repeat(queue, attempt, lease_ms)
                if taken is None:
                    taken = self._claim(queue, limit, lease_ms, _Claim(redrive, retention_s, attempt))
                if taken:
                    ticket.has_taken = True
                    self._waiting.expect(queue, now_ms + lease_ms)
                    return [_shown(queue, one) for one in taken]
                if wait_s == 0.0:
                    return []
                for one in self._messages.get(queue, ()):
                    if one.due_ms > now_ms:
                        self._waiting.expect(queue, one.due_ms)
                if not await ticket.wait(deadline):
                    return []

    def _claim(self, queue: str, limit: int, lease_ms: int, claim: _Claim) -> list[_Stored]:
        now_ms = self._now_ms()
        taken: list[_Stored] = []
        removed = 0
        runs = self._due(queue)
        for run in runs[:limit] if runs and runs[0][0].new.group is not None else runs:
            for one in run[: limit - len(taken)]:
                if self._must_go(queue, one, claim):
                    removed += 1
                else:
                    taken.append(one)
            if len(taken) == limit:
                break
        if removed and not taken:
            return self._claim(queue, limit, lease_ms, claim)
        for one in taken:
            one.is_leased, one.lease, one.due_ms = True, one.lease + 1, now_ms + lease_ms
            one.receives += 1
            one.first_received_ms = one.first_received_ms or now_ms
        if claim.attempt is not None and taken and taken[0].new.group is not None:
            noted = [(one, one.lease, one.due_ms) for one in taken]
            self._attempts[queue, claim.attempt] = (now_ms + DEDUPLICATION_WINDOW_MS, noted)
        return taken

    def _must_go(self, queue: str, one: _Stored, claim: _Claim) -> bool:
        """Whether a message is too old or was received too often, and so was removed or moved."""
        now_ms = self._now_ms()
        if claim.retention_s is not None and one.sent_ms <= now_ms - round(claim.retention_s * 1000):
            self._remove(queue, one)
            return True
        redrive = claim.redrive
        if redrive is None or one.receives - one.spared < redrive.max_receives:
            return False
        self._remove(queue, one)
        one.sequence, one.due_ms, one.is_leased = next(self._sequences), now_ms, False
        one.spared, one.moved_from = one.receives, queue
        if one.new.group is not None:
            one.sent_ms = now_ms
        self._messages.setdefault(redrive.queue, []).append(one)
        self._waiting.expect(redrive.queue, now_ms)
        return True

    def _due(self, queue: str) -> list[list[_Stored]]:
        """What may be given out now, in order: runs of one message, or of one group's first ones."""
        now_ms = self._now_ms()
        messages = sorted(self._messages.get(queue, ()), key=lambda one: one.sequence)
        if not messages or messages[0].new.group is None:
            due = [one for one in messages if one.due_ms <= now_ms]
            return [[one] for one in sorted(due, key=lambda one: (one.due_ms, one.is_leased))]
        locked = {one.new.group for one in messages if one.in_flight(now_ms)}
        runs: dict[str | None, list[_Stored]] = {}
        firsts: dict[str | None, list[_Stored]] = {}
        for one in messages:
            firsts.setdefault(one.new.group, []).append(one)
            if one.due_ms > now_ms:
                locked.add(one.new.group)
            if one.new.group not in locked:
                runs.setdefault(one.new.group, []).append(one)
        free_since = {
            group: max([run[0].due_ms, *(one.due_ms for one in firsts[group][:10] if one.is_leased)])
            for group, run in runs.items()
        }
        order = sorted(runs, key=lambda group: (free_since[group], runs[group][0].sequence))
        return [runs[group][:10] for group in order]

    def _repeat(self, queue: str, attempt: str | None, lease_ms: int) -> list[_Stored] | None:
        now_ms = self._now_ms()
        until_ms, noted = self._attempts.get((queue, attempt or ""), (0, []))
        unchanged = all(
            one in self._messages.get(queue, ()) and (one.lease, one.due_ms) == (lease, due_ms) and due_ms > now_ms
            for one, lease, due_ms in noted
        )
        if until_ms <= now_ms or not unchanged:
            return None
        for one, _, _ in noted:
            one.due_ms = now_ms + lease_ms
        again = [(one, one.lease, one.due_ms) for one, _, _ in noted]
        self._attempts[queue, attempt or ""] = (now_ms + DEDUPLICATION_WINDOW_MS, again)
        return [one for one, _, _ in noted]

    async def acknowledge(self, receipts: Sequence[Receipt], *, leased_only: bool = False) -> list[Settled]:
        return [self._settle(receipt, leased_only=leased_only) for receipt in receipts]

    async def extend(self, extensions: Sequence[Extension]) -> list[Settled]:
        now_ms = self._now_ms()
        return [self._settle(one.receipt, now_ms + round(one.lease_s * 1000), leased_only=True) for one in extensions]

    async def reschedule(self, reschedulings: Sequence[Rescheduling]) -> list[Settled]:
        now_ms = self._now_ms()
        settled = []
        for one in reschedulings:
            due_ms = now_ms + round(one.delay_s * 1000)
            settled.append(self._settle(one.receipt, due_ms, hands_back=True, attributes=one.attributes))
        return settled

    def _settle(
        self,
        receipt: Receipt,
        due_ms: int | None = None,
        *,
        leased_only: bool = False,
        hands_back: bool = False,
        attributes: bytes | None = None,
    ) -> Settled:
        now_ms = self._now_ms()
        stored = {one.sequence: one for one in self._messages.get(receipt.queue, ())}.get(receipt.sequence)
        if stored is None:
            return Settled.GONE
        if stored.lease != receipt.lease:
            return Settled.STALE
        if leased_only and not stored.in_flight(now_ms):
            return Settled.EXPIRED
        if due_ms is None:
            self._remove(receipt.queue, stored)
        elif hands_back:
            stored.hand_back(due_ms)
            stored.attributes = stored.attributes if attributes is None else attributes
        else:
            stored.due_ms, stored.is_leased = due_ms, due_ms > now_ms
        self._waiting.expect(receipt.queue, now_ms if due_ms is None else due_ms)
        return Settled.DONE

    def _remove(self, queue: str, stored: _Stored) -> None:
        self._messages[queue] = [one for one in self._messages[queue] if one is not stored]

    async def release(self, queue: str) -> int:
        now_ms = self._now_ms()
        held = [one for one in self._messages.get(queue, ()) if one.in_flight(now_ms)]
        for one in held:
            one.hand_back(now_ms)
        self._waiting.expect(queue, now_ms)
        return len(held)

    async def purge(self, queue: str) -> None:
        self._messages.pop(queue, None)

    async def drop(self, queue: str) -> None:
        self._messages.pop(queue, None)
        self._keys = {key: value for key, value in self._keys.items() if key[0] != queue}

    async def expire(self, queue: str, older_than_s: float, limit: int = 1000) -> int:
        before_ms = self._now_ms() - round(older_than_s * 1000)
        old = [one for one in self._messages.get(queue, ()) if one.sent_ms <= before_ms][:limit]
        for one in old:
            self._remove(queue, one)
        self._waiting.expect(queue, self._now_ms())
        return len(old)

    async def move(self, queue: str, ids: Sequence[str], target: str | None) -> Moved:
        now_ms = self._now_ms()
        due = [one for one in self._messages.get(queue, ()) if one.due_ms <= now_ms]
        count = 0
        for new_id, one in zip(ids, sorted(due, key=lambda one: (one.due_ms, one.is_leased)), strict=False):
            to = target if target is not None else one.moved_from
            if to is None:
                return Moved(count, has_stopped=True)
            self._remove(queue, one)
            new = NewMessage(to, new_id, one.new.body, one.attributes, 0.0, one.new.group)
            self._accept(new)
            count += 1
        return Moved(count, has_stopped=False)

    async def statistics(self, queue: str) -> Statistics:
        now_ms, messages = self._now_ms(), self._messages.get(queue, [])
        visible = sum(one.due_ms <= now_ms for one in messages)
        in_flight = sum(one.in_flight(now_ms) for one in messages)
        oldest = min((one.sent_ms for one in messages), default=None)
        return Statistics(visible, in_flight, len(messages) - visible - in_flight, oldest)

    def depth(self, queue: str) -> int:
        return len(self._messages.get(queue, ()))

    def is_resting(self, queue: str, receivers: int = 1) -> bool:
        return self._waiting.is_resting(queue, receivers)

    def next_due(self, queue: str) -> float | None:
        due_ms = self._waiting.next_due_ms(queue)
        return None if due_ms is None else due_ms / 1000

    def names(self, prefix: str = "") -> list[str]:
        return sorted(queue for queue, held in self._messages.items() if held and queue.startswith(prefix))

    async def close(self) -> None:
        await self._waiting.close()

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _shown(queue: str, stored: _Stored) -> Message:
    return Message(
        Receipt(queue, stored.sequence, stored.lease),
        stored.new.id,
        stored.new.body,
        stored.attributes,
        stored.sent_ms,
        stored.first_received_ms or 0,
        stored.receives,
        stored.new.group,
        stored.moved_from,
    )
