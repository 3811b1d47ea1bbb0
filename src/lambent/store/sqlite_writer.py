"""The one thread that writes the SQLite file, committing in groups. Knows SQLite and plans, nothing of documents.

Commits that arrive while one is being written wait in a queue and share the next transaction, hence one `fsync`. Each
is checked for itself against the state its predecessors leave; one that does not hold is left out and the others go
on. If the shared transaction fails (disk full), each commit is tried alone: a huge one must not fail a small one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from lambent.store.api import ConflictError
from lambent.store.errors import StoreClosedError
from lambent.store.plan import Plan, conflict_text
from lambent.store.sqlite_file import open_writer, translate

logger = logging.getLogger(__name__)

Changed = list[tuple[str, str]]
Outcome = Changed | Exception
Done = asyncio.Future[None]

_GROUP_MAX: Final = 256  # commits in one transaction: bounds how long the first of them waits

_REVISION = "SELECT revision FROM documents WHERE tbl = ? AND key = ?"
_PUT = (
    "INSERT INTO documents (tbl, key, revision, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (tbl, key) DO UPDATE SET revision = excluded.revision, value = excluded.value"
)
_DELETE = "DELETE FROM documents WHERE tbl = ? AND key = ?"


class SqliteWriter:
    """Owns the writing connection and its thread. Its methods are called on the event loop's thread."""

    def __init__(self, path: Path, on_changed: Callable[[Changed], None]) -> None:
        """`on_changed` is called on the loop with what a group changed, before its commits return."""
        self._path = path
        self._on_changed = on_changed
        self._queue: SimpleQueue[tuple[Plan, Done] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._stopped: Done = self._loop.create_future()
        # A daemon: a program that forgets to close still ends, and the file survives that as it survives a crash.
        self._thread = threading.Thread(target=self._run, name="lambent-store-writer", daemon=True)
        self._accepting = True

    async def start(self) -> None:
        """Open the file and start the thread. Raises as `open_writer`."""
        self._connection = await asyncio.to_thread(open_writer, self._path)
        self._thread.start()

    def submit(self, planned: Plan) -> Done:
        """Queue a commit; the future ends when it is durable, or with its error."""
        if not self._accepting:
            raise StoreClosedError("The store is closed")
        done: Done = self._loop.create_future()
        self._queue.put((planned, done))
        return done

    async def stop(self) -> None:
        """Write what is queued, close the file, end the thread."""
        if self._accepting:
            self._accepting = False
            self._queue.put(None)
        await asyncio.shield(self._stopped)
        self._thread.join()

    # Below: the writer's thread.

    def _run(self) -> None:
        group: list[tuple[Plan, Done]] = []
        try:
            while group := self._next_group():
                outcomes = self._write(group)
                self._loop.call_soon_threadsafe(self._report, [done for _, done in group], outcomes)
        except Exception:  # the thread's supervision point: whoever waits is told, later commits are refused
            logger.critical("the store's writer has died", exc_info=True, extra={"path": str(self._path)})
        finally:
            self._connection.close()
            self._loop.call_soon_threadsafe(self._ended, [done for _, done in group])

    def _next_group(self) -> list[tuple[Plan, Done]]:
        """Whatever is queued, waiting for the first; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        group = [first]
        while len(group) < _GROUP_MAX:
            try:
                following = self._queue.get_nowait()
            except Empty:
                break
            if following is None:  # nothing is submitted after it: this group, then the end
                self._queue.put(None)
                break
            group.append(following)
        return group

    def _write(self, group: Sequence[tuple[Plan, Done]]) -> list[Outcome]:
        plans = [planned for planned, _ in group]
        try:
            return self._transaction(plans)
        except sqlite3.Error as error:
            if len(plans) == 1:
                logger.warning("commit failed", extra={"path": str(self._path), "reason": str(error)})
                return [translate(error, self._path)]
        return [outcome for each in group for outcome in self._write([each])]

    def _transaction(self, plans: Sequence[Plan]) -> list[Outcome]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            (revision,) = connection.execute("SELECT revision FROM sequence").fetchone()
            outcomes = [self._apply(planned, revision + place) for place, planned in enumerate(plans, start=1)]
            if any(not isinstance(outcome, Exception) and outcome for outcome in outcomes):
                connection.execute("UPDATE sequence SET revision = ?", (revision + len(plans),))
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:  # an error, or nothing to write
                connection.execute("ROLLBACK")
        return outcomes

    def _apply(self, planned: Plan, revision: int) -> Outcome:
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

    # Back on the event loop's thread.

    def _report(self, waiting: Sequence[Done], outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, Exception):
                self._on_changed(outcome)
        for done, outcome in zip(waiting, outcomes, strict=True):
            if done.done():  # its caller was cancelled
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(None)

    def _ended(self, unfinished: list[Done]) -> None:
        """The thread is over; if by an error of ours, whoever still waits must not wait for ever."""
        self._accepting = False
        while not self._queue.empty():
            left = self._queue.get_nowait()
            if left is not None:
                unfinished.append(left[1])
        for done in unfinished:
            if not done.done():
                done.set_exception(StoreClosedError("The store's writer has died; the server's log says why"))
        self._stopped.set_result(None)
