"""The queues of the file as the writer's thread knows them: their boxes, how much is in them, the next numbers.

What is remembered here is right only as long as every transaction commits: `forget` it when one did not, and `keep` the
new depths when it did.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

_RESERVED: Final = 100_000  # sequence numbers taken at a time; those left over when the server ends are never used


@dataclass(slots=True)
class Box:
    """A queue's row, and the number of its messages."""

    queue: str
    queue_id: int
    number: int
    is_ordered: bool
    depth: int


class Boxes:
    """Of one connection; used on its thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._by_queue: dict[str, Box] = {}
        self._sequence = self._reserved = 0
        self._depths: dict[int, int] = {}  # as committed, by box

    def load(self) -> dict[str, int]:
        """Read all queues (their names and counts: one pass over an index). The depths of those that hold messages."""
        self._depths = dict(self._execute("SELECT box, count(*) FROM messages GROUP BY box"))
        self.forget()
        return {queue: box.depth for queue, box in self._by_queue.items() if box.depth}

    def forget(self) -> None:
        """A transaction was rolled back."""
        self._by_queue = {
            queue: Box(queue, queue_id, number, bool(is_ordered), self._depths.get(number, 0))
            for queue_id, queue, number, is_ordered in self._execute("SELECT id, name, box, is_ordered FROM queues")
        }
        self._reserved = 0

    def keep(self, queue: str) -> int:
        """A transaction that changed this queue's depth was committed. How many messages it holds."""
        box = self._by_queue.get(queue)
        if box is None:
            return 0
        self._depths[box.number] = box.depth
        return box.depth

    def get(self, queue: str) -> Box | None:
        return self._by_queue.get(queue)

    def make(self, queue: str, is_ordered: bool) -> Box:
        """The queue's box, made if need be. Raises ValueError for an ordered message in a queue that is not, and the
        other way about."""
        box = self._by_queue.get(queue)
        if box is None:
            row = (queue, self._new_number(), is_ordered)
            cursor = self._execute("INSERT INTO queues (name, box, is_ordered) VALUES (?, ?, ?)", row)
            box = self._by_queue[queue] = Box(queue, cursor.lastrowid or 0, row[1], is_ordered, 0)
        elif box.is_ordered != is_ordered:
            if box.depth:
                raise ValueError(f"The queue {queue} holds messages {'with' if box.is_ordered else 'without'} groups")
            self._execute("UPDATE queues SET is_ordered = ? WHERE id = ?", (is_ordered, box.queue_id))
            box.is_ordered = is_ordered
        return box

    def empty(self, box: Box) -> None:
        """Give the queue an empty box; the old one is to be swept."""
        self._execute("INSERT INTO emptied VALUES (?)", (box.number,))
        box.number = self._new_number()
        box.depth = 0
        self._execute("UPDATE queues SET box = ? WHERE id = ?", (box.number, box.queue_id))

    def remove(self, box: Box) -> None:
        """Forget the queue; its box is to be swept."""
        self._execute("INSERT INTO emptied VALUES (?)", (box.number,))
        self._execute("DELETE FROM queues WHERE id = ?", (box.queue_id,))
        self._execute("DELETE FROM deduplications WHERE queue = ?", (box.queue_id,))
        del self._by_queue[box.queue]

    def sequences(self, count: int) -> int:
        """The first of `count` sequence numbers that nobody had before."""
        if self._sequence + count > self._reserved:
            (at,) = self._execute("SELECT sequence FROM numbers").fetchone()
            self._sequence = max(at, self._sequence)
            self._reserved = self._sequence + count + _RESERVED
            self._execute("UPDATE numbers SET sequence = ?", (self._reserved,))
        first = self._sequence
        self._sequence += count
        return first

    def _new_number(self) -> int:
        (number,) = self._execute("SELECT box FROM numbers").fetchone()
        self._execute("UPDATE numbers SET box = ?", (number + 1,))
        return int(number)
