"""What receivers do with receipts: messages deleted, leases extended, messages handed back. On the writer's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from lambent.queues.api import Settled
from lambent.queues.boxes import Box, Boxes
from lambent.queues.ordered import Groups
from lambent.queues.requests import Outcome, Settle, Settlement
from lambent.queues.statements import delete_messages, numbers

# One row, so one step, however many were asked for.
_FIND: Final = (
    "SELECT json_group_array(json_array(sequence, box, lease, is_leased, due_ms, grp)) FROM messages"
    " WHERE sequence IN (SELECT value FROM json_each(?))"
)
_EXTEND: Final = "UPDATE messages SET due_ms = ?, is_leased = ? WHERE sequence = ?"
_HAND_BACK: Final = (
    "UPDATE messages SET due_ms = ?, is_leased = 0, lease = lease + 1, receives = receives - ?,"
    " first_received_ms = CASE WHEN receives > ? THEN first_received_ms END, attributes = ifnull(?, attributes)"
    " WHERE sequence = ?"
)


class _Found:
    """A message's row as far as settling needs it; kept true while several settlements of it are carried out."""

    __slots__ = ("box", "due_ms", "group", "is_leased", "is_there", "lease")

    def __init__(self, box: int, lease: int, is_leased: int, due_ms: int, group: str | None) -> None:
        self.box, self.lease, self.is_leased, self.due_ms, self.group = box, lease, is_leased, due_ms, group
        self.is_there = True


class Settler:
    """Carries out `Settle`s."""

    def __init__(self, connection: sqlite3.Connection, boxes: Boxes, groups: Groups) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._boxes = boxes
        self._groups = groups

    def settle(self, requests: Sequence[Settle]) -> list[Outcome]:
        """Several callers' at once: they share statements."""
        found = self._find({one.receipt.sequence for request in requests for one in request.settlements})
        deleted: list[int] = []
        freed: dict[tuple[str, str], list[Outcome]] = {}
        outcomes = []
        for request in requests:
            outcome = Outcome()
            outcome.result = [
                self._settle(one, request.now_ms, found, outcome, deleted, freed) for one in request.settlements
            ]
            outcomes.append(outcome)
        delete_messages(self._connection, deleted)
        for (queue, group), affected in freed.items():
            box = self._boxes.get(queue)
            free_ms = self._groups.update(box, group) if box is not None else None
            if free_ms is not None:
                affected[0].becomes_due(queue, free_ms)
        return outcomes

    def _find(self, sequences: set[int]) -> Mapping[int, _Found]:
        (text,) = self._execute(_FIND, (numbers(sequences),)).fetchone()
        return {row[0]: _Found(*row[1:]) for row in orjson.loads(text)}

    def _settle(
        self,
        one: Settlement,
        now_ms: int,
        found: Mapping[int, _Found],
        outcome: Outcome,
        deleted: list[int],
        freed: dict[Any, list[Outcome]],
    ) -> Settled:
        receipt = one.receipt
        box, row = self._boxes.get(receipt.queue), found.get(receipt.sequence)
        if box is None or row is None or not row.is_there or row.box != box.number:
            return Settled.GONE
        if row.lease != receipt.lease:
            return Settled.STALE
        if one.leased_only and not (row.is_leased and row.due_ms > now_ms):
            return Settled.EXPIRED
        if one.due_ms is None:
            self._delete(box, row, receipt.sequence, outcome, deleted)
        else:
            self._change(one, one.due_ms, row, now_ms)
            outcome.becomes_due(box.queue, one.due_ms)
        if row.group is not None:
            freed.setdefault((box.queue, row.group), []).append(outcome)
        return Settled.DONE

    def _delete(self, box: Box, row: _Found, sequence: int, outcome: Outcome, deleted: list[int]) -> None:
        deleted.append(sequence)
        row.is_there = False
        box.depth -= 1
        outcome.touches(box.queue)

    def _change(self, one: Settlement, due_ms: int, row: _Found, now_ms: int) -> None:
        sequence = one.receipt.sequence
        row.due_ms, row.is_leased = due_ms, int(one.keeps_lease and due_ms > now_ms)
        if one.keeps_lease:
            self._execute(_EXTEND, (due_ms, row.is_leased, sequence))
        else:
            row.lease += 1
            back = int(one.gives_back)
            self._execute(_HAND_BACK, (due_ms, back, back, one.attributes, sequence))
