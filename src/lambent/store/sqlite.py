"""`SqliteStore`: the store port in one SQLite file (WAL, `synchronous=FULL`). Imports only `model` and this folder.

Theory of operation. Commits go to one writer thread, which groups them (`sqlite_writer`). Reads are done at once on
the event loop's thread through a connection of its own: a point read costs some ten microseconds, less than handing it
to a thread, and WAL readers neither wait for the writer nor make it wait. SQLite shows a commit to readers only after
its `fsync`, and every read is one statement outside any transaction, so it sees all that returned before, and whole.
The price: a `scan` blocks the loop while it decodes, so ask for pages (`limit`) where there may be thousands.
See https://www.sqlite.org/wal.html.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from lambent.store.api import Change, Record
from lambent.store.errors import StoreClosedError, StoreCorruptError
from lambent.store.plan import check_address, check_limit, decode, plan, prefix_end
from lambent.store.sqlite_file import open_reader, translate
from lambent.store.sqlite_writer import SqliteWriter
from lambent.store.watchers import Watchers

_GET = "SELECT key, revision, value FROM documents WHERE tbl = ? AND key = ?"
_SCAN = "SELECT key, revision, value FROM documents WHERE tbl = ? AND key >= ?"


class SqliteStore:
    """Implements `lambent.store.api.Store` durably. Made by `open`.

    One process at a time may use a file (the data directory's lock sees to it): watches hear only of commits made
    through this object. A caller cancelled while it awaits `commit` does not know whether the commit was done.
    """

    def __init__(self, path: Path) -> None:
        """Not for callers: use `open`."""
        self._path = path
        self._watchers = Watchers()
        self._writer = SqliteWriter(path, self._watchers.notify)
        self._reader: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file, making it (mode 0600, and its directories) or migrating it as needed.

        Raises StoreTooNewError, StoreCorruptError (damaged, or not ours), StoreFullError, StoreError.
        """
        store = cls(path)
        await store._writer.start()
        try:
            store._reader = open_reader(path)
        except BaseException:
            await store.close()
            raise
        return store

    async def get(self, table: str, key: str) -> Record | None:
        check_address(table, key)
        records = self._read(_GET, (table, key))
        return records[0] if records else None

    async def scan(
        self, table: str, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[Record]:
        check_address(table, prefix)
        check_address(table, after or "")
        check_limit(limit)
        # One lower bound only: with two, SQLite may start reading at the lesser one on every page.
        if after is not None and after >= prefix:
            query, parameters = _SCAN.replace(">=", ">"), [table, after]
        else:
            query, parameters = _SCAN, [table, prefix]
        end = prefix_end(prefix)
        if end is not None:
            query += " AND key < ?"
            parameters.append(end)
        return self._read(f"{query} ORDER BY key LIMIT {-1 if limit is None else limit}", parameters)

    async def commit(self, changes: Sequence[Change]) -> None:
        await self._writer.submit(plan(changes))

    def watch(self, table: str, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._watchers.add(table, callback)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        await self._writer.stop()  # the last connection to close folds the log into the file and removes it

    def _read(self, query: str, parameters: Sequence[str]) -> list[Record]:
        if self._reader is None:
            raise StoreClosedError("The store is closed")
        try:
            rows = self._reader.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        try:
            return [Record(key, revision, decode(text)) for key, revision, text in rows]
        except ValueError as error:
            raise StoreCorruptError(f"{self._path} is damaged: a document is not JSON. Restore a backup") from error
