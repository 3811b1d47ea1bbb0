"""What goes on behind: deleting what nobody can see any more, giving room back to the file system. Knows SQLite.

A sweep takes little at a time, so that whoever sends meanwhile waits for little.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from lambent.queues.statements import delete_messages

_ROWS_MAX: Final = 1000
_GIVEN_BACK_MAX: Final = 256  # pages of 4 KiB
_KEPT_FREE: Final = 4096  # pages that are not given back: they will be wanted again


@dataclass(frozen=True, slots=True)
class Swept:
    """Whether to go on at once; if not, when something more can be swept that is there now (None: nothing can)."""

    has_more: bool
    next_ms: int | None = None


def sweep(connection: sqlite3.Connection, now_ms: int) -> Swept:
    """A part of a transaction."""
    has_more = _sweep_outdated(connection, now_ms) or _sweep_emptied(connection)
    if has_more or _give_back(connection):
        return Swept(True)
    (next_ms,) = connection.execute(
        "SELECT min(until_ms) FROM"
        " (SELECT min(until_ms) AS until_ms FROM deduplications UNION ALL SELECT min(until_ms) FROM attempts)"
    ).fetchone()
    return Swept(False, next_ms)


def _sweep_outdated(connection: sqlite3.Connection, now_ms: int) -> bool:
    swept = 0
    for table, key in (("deduplications", "queue, key"), ("attempts", "box, attempt")):
        swept += connection.execute(
            f"DELETE FROM {table} WHERE ({key}) IN"  # noqa: S608
            f" (SELECT {key} FROM {table} WHERE until_ms <= ? LIMIT ?)",
            (now_ms, _ROWS_MAX),
        ).rowcount
    return swept >= _ROWS_MAX


def _sweep_emptied(connection: sqlite3.Connection) -> bool:
    """A box that was emptied."""
    execute = connection.execute
    row = execute("SELECT box FROM emptied LIMIT 1").fetchone()
    if row is None:
        return False
    messages = execute("SELECT sequence FROM messages WHERE box = ? LIMIT ?", (row[0], _ROWS_MAX)).fetchall()
    delete_messages(connection, [sequence for (sequence,) in messages])
    groups = execute(
        "DELETE FROM groups WHERE box = ? AND grp IN (SELECT grp FROM groups WHERE box = ? LIMIT ?)",
        (row[0], row[0], _ROWS_MAX),
    ).rowcount
    if len(messages) < _ROWS_MAX and groups < _ROWS_MAX:
        execute("DELETE FROM emptied WHERE box = ?", row)
    return True


def _give_back(connection: sqlite3.Connection) -> bool:
    """Shorten the file by some of what is free in it."""
    spare = _free(connection) - _KEPT_FREE
    if spare <= 0:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({min(spare, _GIVEN_BACK_MAX)})").fetchall()
    return _free(connection) - _KEPT_FREE < spare  # no page less: a file made before files could be shortened


def _free(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages)
