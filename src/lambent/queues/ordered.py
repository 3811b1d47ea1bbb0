"""Ordered queues: message groups, deduplication, repeated receives. On the writer's thread.

Of each group that has messages a row says from when the next may be given out: when the first is due, or when the
last lease of any of them ends. Leased messages are always among the first few of their group, since none is given out
while another is leased; so keeping that row costs the same however long the group is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson

from lambent.queues.api import DEDUPLICATION_WINDOW_MS, NewMessage
from lambent.queues.boxes import Box

RUN_MAX: Final = 10  # messages of one group leased at a time

_FIRST: Final = "SELECT sequence, due_ms, is_leased FROM messages WHERE box = ? AND grp = ? ORDER BY sequence LIMIT ?"
_PUT: Final = (
    "INSERT INTO groups (box, grp, free_ms, head) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (box, grp) DO UPDATE SET free_ms = excluded.free_ms, head = excluded.head"
)


class Groups:
    """The rows of groups."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def begin(self, box: Box, group: str, free_ms: int, head: int) -> None:
        """A message was added at the end of a group, the first one if there is no such group yet."""
        self._execute(
            "INSERT INTO groups (box, grp, free_ms, head) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (box.number, group, free_ms, head),
        )

    def update(self, box: Box, group: str) -> int | None:
        """Something happened to a group's first messages. From when the next may be given out; None: it is no more."""
        rows = self._execute(_FIRST, (box.number, group, RUN_MAX)).fetchall()
        if not rows:
            self._execute("DELETE FROM groups WHERE box = ? AND grp = ?", (box.number, group))
            return None
        free_ms = max([rows[0][1], *(due_ms for _, due_ms, is_leased in rows if is_leased)])
        self._execute(_PUT, (box.number, group, free_ms, rows[0][0]))
        return int(free_ms)

    def free(self, box: Box, now_ms: int, limit: int) -> list[str]:
        """Groups of which a message may be given out, the one that has waited longest first."""
        rows = self._execute(
            "SELECT grp FROM groups WHERE box = ? AND free_ms <= ? ORDER BY free_ms, head LIMIT ?",
            (box.number, now_ms, limit),
        )
        return [group for (group,) in rows.fetchall()]

    def next_free_ms(self, box: Box) -> int | None:
        row = self._execute(
            "SELECT free_ms FROM groups WHERE box = ? ORDER BY free_ms LIMIT 1", (box.number,)
        ).fetchone()
        return row[0] if row is not None else None


class Deduplications:
    """Which keys were used of late."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def find(self, box: Box, key: str, now_ms: int) -> tuple[int, str] | None:
        """Sequence and id of the message that had the key first, if that is within the window."""
        found: tuple[int, str] | None = self._execute(
            "SELECT sequence, id FROM deduplications WHERE queue = ? AND key = ? AND until_ms > ?",
            (box.queue_id, key, now_ms),
        ).fetchone()
        return found

    def note(self, box: Box, message: NewMessage, sequence: int, now_ms: int) -> None:
        self._execute(
            "INSERT OR REPLACE INTO deduplications (queue, key, until_ms, sequence, id) VALUES (?, ?, ?, ?, ?)",
            (box.queue_id, message.deduplication, now_ms + DEDUPLICATION_WINDOW_MS, sequence, message.id),
        )


class Attempts:
    """What receivers that may ask again were given."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def repeat(self, box: Box, attempt: str, now_ms: int) -> list[int] | None:
        """The messages it was given, if all are still as they were left and leased."""
        row = self._execute(
            "SELECT receipts FROM attempts WHERE box = ? AND attempt = ? AND until_ms > ?",
            (box.number, attempt, now_ms),
        ).fetchone()
        if row is None:
            return None
        receipts: list[list[int]] = orjson.loads(row[0])
        for sequence, lease, due_ms in receipts:
            found = self._execute(
                "SELECT 1 FROM messages WHERE sequence = ? AND box = ? AND lease = ? AND due_ms = ? AND is_leased",
                (sequence, box.number, lease, due_ms),
            ).fetchone()
            if found is None or due_ms <= now_ms:
                return None
        return [sequence for sequence, _, _ in receipts]

    def note(self, box: Box, attempt: str, receipts: Sequence[Any], now_ms: int) -> None:
        """`receipts`: sequence, lease, end of the lease of each."""
        self._execute(
            "INSERT OR REPLACE INTO attempts (box, attempt, until_ms, receipts) VALUES (?, ?, ?, ?)",
            (box.number, attempt, now_ms + DEDUPLICATION_WINDOW_MS, orjson.dumps(receipts).decode()),
        )
