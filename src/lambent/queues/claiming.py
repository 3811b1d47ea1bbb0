"""Leasing due messages to receivers. On the writer's thread.

What is met on the way and is not to be given out is removed: expired messages, and those received too often, which
become dead letters. Only so many of them in one transaction; a receiver that got nothing for this reason asks again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from lambent.queues.api import Message, Receipt
from lambent.queues.boxes import Box, Boxes
from lambent.queues.moving import Mover
from lambent.queues.ordered import RUN_MAX, Attempts, Groups
from lambent.queues.requests import Claim, Claimed, Outcome
from lambent.queues.statements import delete_messages, numbers

_REMOVED_MAX: Final = 200  # messages removed on the way in one transaction

_COLUMNS: Final = (
    "sequence, lease, receives, spared, sent_ms, first_received_ms, grp, moved_from, id, attributes, body, due_ms"
)
_DUE: Final = (
    f"SELECT {_COLUMNS} FROM messages JOIN bodies USING (sequence) WHERE box = ? AND due_ms <= ?"  # noqa: S608
    " ORDER BY due_ms, is_leased, sequence LIMIT ?"
)
_OF_GROUP: Final = (
    f"SELECT {_COLUMNS} FROM messages JOIN bodies USING (sequence) WHERE box = ? AND grp = ?"  # noqa: S608
    " ORDER BY sequence LIMIT ?"
)
_THESE: Final = (
    f"SELECT {_COLUMNS} FROM messages JOIN bodies USING (sequence)"  # noqa: S608
    " WHERE sequence IN (SELECT value FROM json_each(?))"
)
_LEASE: Final = (
    "UPDATE messages SET is_leased = 1, lease = lease + 1, receives = receives + 1, due_ms = ?,"
    " first_received_ms = ifnull(first_received_ms, ?) WHERE sequence IN (SELECT value FROM json_each(?))"
)
_RENEW: Final = "UPDATE messages SET due_ms = ? WHERE sequence IN (SELECT value FROM json_each(?))"
_NEXT: Final = "SELECT due_ms FROM messages WHERE box = ? ORDER BY due_ms LIMIT 1"

_SEQUENCE, _LEASE_NUMBER, _RECEIVES, _SPARED, _SENT, _FIRST, _GROUP, _FROM, _ID, _ATTRIBUTES, _BODY, _DUE_MS = range(12)

Row = Sequence[Any]


class Claimer:
    """Carries out `Claim`s."""

    def __init__(self, connection: sqlite3.Connection, boxes: Boxes, groups: Groups, mover: Mover) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._boxes = boxes
        self._groups = groups
        self._mover = mover
        self._attempts = Attempts(connection)

    def claim(self, claims: Sequence[Claim]) -> list[Outcome]:
        """For claims alike but for their limits (`sort_of`): in turns what each gets. They share statements."""
        box = self._boxes.get(claims[0].queue)
        if box is None or not box.depth:
            return [Outcome(Claimed([])) for _ in claims]
        if box.is_ordered:
            return [self._claim_ordered(box, claim) for claim in claims]
        return self._claim_unordered(box, claims)

    def _claim_unordered(self, box: Box, claims: Sequence[Claim]) -> list[Outcome]:
        claim, outcomes = claims[0], [Outcome() for _ in claims]
        wanted = sum(one.limit for one in claims)
        given: list[Row] = []
        removed = 0
        while len(given) < wanted and removed < _REMOVED_MAX:
            leased = {row[_SEQUENCE] for row in given}  # due again already, if for no time at all
            found = self._execute(_DUE, (box.number, claim.now_ms, wanted)).fetchall()
            rows = [row for row in found if row[_SEQUENCE] not in leased][: wanted - len(given)]
            good = self._sift(box, claim, rows, outcomes[0])
            self._lease(good, claim)
            given += good
            removed += len(rows) - len(good)
            if len(good) == len(rows):  # nothing had to go: there is no more, or it is enough
                break
        messages = iter([_message(box.queue, row, claim.now_ms) for row in given])
        for one, outcome in zip(claims, outcomes, strict=True):
            outcome.result = self._claimed(box, list(islice(messages, one.limit)), removed >= _REMOVED_MAX)
            if outcome.result.messages:
                outcome.becomes_due(box.queue, claim.now_ms + claim.lease_ms)
        return outcomes

    def _claim_ordered(self, box: Box, claim: Claim) -> Outcome:
        outcome = Outcome()
        if claim.attempt is not None:
            repeated = self._repeat(box, claim, claim.attempt)
            if repeated is not None:
                return repeated
        given: list[Row] = []
        removed = 0
        for group in self._groups.free(box, claim.now_ms, claim.limit):
            removed += self._claim_group(box, group, claim, given, outcome)
            if len(given) >= claim.limit or removed >= _REMOVED_MAX:
                break
        has_more = removed > 0 and len(given) < claim.limit
        outcome.result = self._claimed(box, [_message(box.queue, row, claim.now_ms) for row in given], has_more)
        if given:
            due_ms = claim.now_ms + claim.lease_ms
            outcome.becomes_due(box.queue, due_ms)
            if claim.attempt is not None:
                receipts = [(row[_SEQUENCE], row[_LEASE_NUMBER] + 1, due_ms) for row in given]
                self._attempts.note(box, claim.attempt, receipts, claim.now_ms)
        return outcome

    def _claim_group(self, box: Box, group: str, claim: Claim, given: list[Row], outcome: Outcome) -> int:
        """Lease the first due messages of a free group, adding to `given`. How many had to be removed."""
        limit = min(claim.limit - len(given), RUN_MAX)
        rows = self._execute(_OF_GROUP, (box.number, group, limit)).fetchall()
        due = next((place for place, row in enumerate(rows) if row[_DUE_MS] > claim.now_ms), len(rows))
        good = self._sift(box, claim, rows[:due], outcome)
        self._lease(good, claim)
        given += good
        self._groups.update(box, group)
        return due - len(good)

    def _repeat(self, box: Box, claim: Claim, attempt: str) -> Outcome | None:
        sequences = self._attempts.repeat(box, attempt, claim.now_ms)
        if sequences is None:
            return None
        due_ms = claim.now_ms + claim.lease_ms
        self._execute(_RENEW, (due_ms, numbers(sequences)))
        found = {row[_SEQUENCE]: row for row in self._execute(_THESE, (numbers(sequences),))}
        rows = [found[sequence] for sequence in sequences]
        for group in dict.fromkeys(row[_GROUP] for row in rows):
            self._groups.update(box, group)
        self._attempts.note(box, attempt, [(row[_SEQUENCE], row[_LEASE_NUMBER], due_ms) for row in rows], claim.now_ms)
        again = [_message(box.queue, row, claim.now_ms, received=0) for row in rows]
        outcome = Outcome(Claimed(again))
        outcome.becomes_due(box.queue, due_ms)
        return outcome

    def _sift(self, box: Box, claim: Claim, rows: Sequence[Row], outcome: Outcome) -> list[Row]:
        """Those to be given out; the others are removed."""
        redrive, expired_ms = claim.redrive, claim.expired_ms
        if redrive is None and (expired_ms is None or all(row[_SENT] > expired_ms for row in rows)):
            return list(rows)
        good: list[Row] = []
        expired: list[int] = []
        dead: list[tuple[int, str | None]] = []
        for row in rows:
            if expired_ms is not None and row[_SENT] <= expired_ms:
                expired.append(row[_SEQUENCE])
            elif redrive is not None and row[_RECEIVES] - row[_SPARED] >= redrive.max_receives:
                dead.append((row[_SEQUENCE], row[_GROUP]))
            else:
                good.append(row)
        if expired:
            delete_messages(self._connection, expired)
            box.depth -= len(expired)
            outcome.touches(box.queue)
        if dead and redrive is not None:
            self._mover.to_dead_letters(box, dead, redrive.queue, claim.now_ms, outcome)
        return good

    def _lease(self, rows: Sequence[Row], claim: Claim) -> None:
        if rows:
            listed = numbers(row[_SEQUENCE] for row in rows)
            self._execute(_LEASE, (claim.now_ms + claim.lease_ms, claim.now_ms, listed))

    def _claimed(self, box: Box, messages: list[Message], has_more: bool) -> Claimed:
        if messages or has_more or not box.depth:
            return Claimed(messages, None, has_more)
        if box.is_ordered:
            return Claimed(messages, self._groups.next_free_ms(box))
        row = self._execute(_NEXT, (box.number,)).fetchone()
        return Claimed(messages, row[0] if row is not None else None)


def sort_of(claim: Claim) -> object:
    """Claims for which this is equal share statements."""
    return (claim.queue, claim.lease_ms, claim.now_ms, claim.redrive, claim.expired_ms)


def _message(queue: str, row: Row, now_ms: int, received: int = 1) -> Message:
    """A message as given out, from its row before (`received` is 1) or after it was leased (0)."""
    return Message(
        Receipt(queue, row[_SEQUENCE], row[_LEASE_NUMBER] + received),
        row[_ID],
        row[_BODY],
        row[_ATTRIBUTES],
        row[_SENT],
        now_ms if row[_FIRST] is None else row[_FIRST],
        row[_RECEIVES] + received,
        row[_GROUP],
        row[_FROM],
    )
