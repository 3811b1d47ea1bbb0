"""Statements over many rows at once, for the queue file. Knows SQLite, no rules.

Each is one step of SQLite, which runs without the interpreter's lock: a row at a time, the writer's thread and the
event loop's would hand the lock to and fro for every message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

_CHUNKS: Final = (64, 16, 4, 1)  # rows of one INSERT; few sizes, so that their statements stay prepared


class Inserter:
    """`INSERT INTO table (columns)` of many rows."""

    def __init__(self, connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        self._execute = connection.execute
        row = f"({', '.join('?' * len(columns))})"
        self._statements = {
            size: f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * size)}"  # noqa: S608
            for size in _CHUNKS
        }

    def insert(self, rows: Sequence[Sequence[Any]]) -> None:
        start = 0
        for size in _CHUNKS:
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in row]
                self._execute(self._statements[size], values)
                start += size


def numbers(values: Iterable[int]) -> str:
    """A parameter for `IN (SELECT value FROM json_each(?))`."""
    return orjson.dumps(list(values)).decode()


def delete_messages(connection: sqlite3.Connection, sequences: Sequence[int]) -> None:
    """Delete messages with their bodies."""
    if sequences:
        listed = (numbers(sequences),)
        connection.execute("DELETE FROM messages WHERE sequence IN (SELECT value FROM json_each(?))", listed)
        connection.execute("DELETE FROM bodies WHERE sequence IN (SELECT value FROM json_each(?))", listed)
