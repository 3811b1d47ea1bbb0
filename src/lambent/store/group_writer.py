"""A thread that writes one SQLite file, committing in groups. Knows SQLite, nothing of what is written.

Requests that arrive while a transaction is being written wait in a queue and share the next one, hence one `fsync`.
If the shared transaction fails (disk full), each request is tried alone: a huge one must not fail a small one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from lambent.store.errors import StoreClosedError
from lambent.store.sqlite_file import translate

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Outcome = TypeVar("Outcome")

_GROUP_MAX: Final = 256  # requests in one transaction: bounds how long the first of them waits


class GroupWriter(ABC, Generic[Request, Outcome]):
    """Owns the writing connection and its thread. Its public methods are called on the event loop's thread."""

    _connection: sqlite3.Connection

    def __init__(self, path: Path, open_connection: Callable[[], sqlite3.Connection], name: str) -> None:
        self._path = path
        self._open_connection = open_connection
        self._queue: SimpleQueue[tuple[Request, asyncio.Future[Any]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        # A daemon: a program that forgets to close still ends, and the file survives that as it survives a crash.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._accepting = True

    async def start(self) -> None:
        """Open the file and start the thread. Raises as `open_connection`."""
        self._connection = await asyncio.to_thread(self._open_connection)
        self._thread.start()

    def submit(self, request: Request) -> asyncio.Future[Outcome]:
        """Queue a request; the future ends when it is durable, or with its error. Raises StoreClosedError."""
        if not self._accepting:
            raise StoreClosedError("The store is closed")
        done: asyncio.Future[Outcome] = self._loop.create_future()
        self._queue.put((request, done))
        return done

    async def stop(self) -> None:
        """Write what is queued, close the file, end the thread."""
        if self._accepting:
            self._accepting = False
            self._queue.put(None)
        await asyncio.shield(self._stopped)
        self._thread.join()

    @abstractmethod
    def _transaction(self, requests: Sequence[Request]) -> Sequence[Outcome | Exception]:
        """On the writer's thread: do all requests in one transaction and commit; all or none. Raises sqlite3.Error.

        The outcome of each; an exception is one request's own failure, of which nothing may be left in the file.
        """

    @abstractmethod
    def _committed(self, request: Request, outcome: Outcome, abandoned: bool) -> None:
        """On the event loop: a request is durable; called before whoever submitted it hears of it.

        `abandoned`: nobody will, having been cancelled.
        """

    # Below: the writer's thread.

    def _run(self) -> None:
        group: list[tuple[Request, asyncio.Future[Any]]] = []
        try:
            while group := self._next_group():
                outcomes = self._write([request for request, _ in group])
                self._loop.call_soon_threadsafe(self._report, group, outcomes)
        except Exception:  # the thread's supervision point: whoever waits is told, later requests are refused
            logger.critical("the store's writer has died", exc_info=True, extra={"path": str(self._path)})
        finally:
            self._connection.close()
            self._loop.call_soon_threadsafe(self._ended, [done for _, done in group])

    def _next_group(self) -> list[tuple[Request, asyncio.Future[Any]]]:
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

    def _write(self, requests: Sequence[Request]) -> Sequence[Outcome | Exception]:
        try:
            return self._transaction(requests)
        except sqlite3.Error as error:
            if len(requests) == 1:
                logger.warning("commit failed", extra={"path": str(self._path), "reason": str(error)})
                return [translate(error, self._path)]
        return [outcome for each in requests for outcome in self._write([each])]

    # Back on the event loop's thread.

    def _report(
        self, group: Sequence[tuple[Request, asyncio.Future[Any]]], outcomes: Sequence[Outcome | Exception]
    ) -> None:
        for (request, done), outcome in zip(group, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                self._committed(request, outcome, done.done())
        for (_, done), outcome in zip(group, outcomes, strict=True):
            if done.done():  # its caller was cancelled
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    def _ended(self, unfinished: list[asyncio.Future[Any]]) -> None:
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
