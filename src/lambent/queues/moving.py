"""Putting a message of one queue into another: as a dead letter, or (redriven) as if it were sent now."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from lambent.queues.boxes import Box, Boxes
from lambent.queues.ordered import Groups
from lambent.queues.requests import Outcome

# A dead letter keeps when it was sent and how often it was received; an ordered queue counts its age from now on.
_DEAD: Final = (
    "UPDATE messages SET sequence = ?, box = ?, due_ms = ?, is_leased = 0, spared = receives, moved_from = ?,"
    " sent_ms = CASE WHEN grp IS NULL THEN sent_ms ELSE ? END WHERE sequence = ?"
)
_ANEW: Final = (
    "UPDATE messages SET sequence = ?, box = ?, due_ms = ?, is_leased = 0, receives = 0, spared = 0, moved_from = NULL,"
    " sent_ms = ?, first_received_ms = NULL, id = ? WHERE sequence = ?"
)
_BODY: Final = "UPDATE bodies SET sequence = ? WHERE sequence = ?"


class Mover:
    """On the writer's thread."""

    def __init__(self, connection: sqlite3.Connection, boxes: Boxes, groups: Groups) -> None:
        self._execute = connection.execute
        self._boxes = boxes
        self._groups = groups

    def to_dead_letters(
        self, box: Box, letters: Sequence[tuple[int, str | None]], target: str, now_ms: int, outcome: Outcome
    ) -> None:
        """`letters`: sequence and group of each."""
        for sequence, group in letters:
            into = self._boxes.make(target, group is not None)
            new = self._boxes.sequences(1)
            self._execute(_DEAD, (new, into.number, now_ms, box.queue, now_ms, sequence))
            self._moved(box, into, (sequence, new, group), now_ms, outcome)

    def anew(
        self, box: Box, message: tuple[int, str | None], new_id: str, target: str, now_ms: int, outcome: Outcome
    ) -> None:
        """Send one message again, to `target`, under a new id."""
        sequence, group = message
        into = self._boxes.make(target, group is not None)
        new = self._boxes.sequences(1)
        self._execute(_ANEW, (new, into.number, now_ms, now_ms, new_id, sequence))
        self._moved(box, into, (sequence, new, group), now_ms, outcome)

    def _moved(self, box: Box, into: Box, message: tuple[int, int, str | None], now_ms: int, outcome: Outcome) -> None:
        sequence, new, group = message
        self._execute(_BODY, (new, sequence))
        if group is not None:
            self._groups.update(box, group)
            self._groups.update(into, group)
        box.depth -= 1
        into.depth += 1
        outcome.touches(box.queue)
        outcome.touches(into.queue)
        outcome.becomes_due(into.queue, now_ms)
