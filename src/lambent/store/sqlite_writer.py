"""Commits of documents into the SQLite file. Knows SQLite and plans, nothing of documents.

Each commit of a group (`group_writer`) is checked for itself against the state its predecessors leave; one that does
not hold is left out and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lambent.store.api import ConflictError
from lambent.store.group_writer import GroupWriter
from lambent.store.plan import Plan, conflict_text
from lambent.store.sqlite_file import open_writer

Changed = list[tuple[str, str]]

_REVISION = "SELECT revision FROM documents WHERE tbl = ? AND key = ?"
_PUT = (
    "INSERT INTO documents (tbl, key, revision, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (tbl, key) DO UPDATE SET revision = excluded.revision, value = excluded.value"
)
_DELETE = "DELETE FROM documents WHERE tbl = ? AND key = ?"


class SqliteWriter(GroupWriter[Plan, Changed]):
    """The document store's writer."""

    def __init__(self, path: Path, on_changed: Callable[[Changed], None]) -> None:
        """`on_changed` is called on the loop with what a commit changed, before it returns."""
        super().__init__(path, lambda: open_writer(path), "lambent-store-writer")
        self._on_changed = on_changed

    def _transaction(self, requests: Sequence[Plan]) -> list[Changed | Exception]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            (revision,) = connection.execute("SELECT revision FROM sequence").fetchone()
            outcomes = [self._apply(planned, revision + place) for place, planned in enumerate(requests, start=1)]
            if any(not isinstance(outcome, Exception) and outcome for outcome in outcomes):
                connection.execute("UPDATE sequence SET revision = ?", (revision + len(requests),))
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:  # an error, or nothing to write
                connection.execute("ROLLBACK")
        return outcomes

    def _apply(self, planned: Plan, revision: int) -> Changed | Exception:
        execute = self._connection.execute
        for condition in planned.preconditions:
            row = execute(_REVISION, (condition.table, condition.key)).fetchone()
            actual = 0 if row is None else row[0]
            if actual != condition.revision:
                return ConflictError(conflict_text(condition.table, condition.key, actual, condition.revision))
        changed: Changed = []
        for write in planned.writes:
            if write.text is not None:
                execute(_PUT, (write.table, write.key, revision, write.text))
            elif execute(_DELETE, (write.table, write.key)).rowcount == 0:
                continue
            changed.append((write.table, write.key))
        return changed

    def _committed(self, request: Plan, outcome: Changed, abandoned: bool) -> None:
        self._on_changed(outcome)
