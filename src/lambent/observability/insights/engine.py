"""Queries in progress and those that have ended: reads the log store, runs the pipeline, keeps the answers.

Events are read page by page from the latest on and evaluated in a process of the query's own (`worker`), so that a
query over millions of lines, or one that would never end, holds up nobody. Blocks without the texts that a query's
filters ask for are not decoded at all. The answers of the last `KEPT_MAX` queries stay in memory.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lambent.model.ids import AccountId, Region
from lambent.observability.insights.pipeline import QueryRun
from lambent.observability.insights.rows import SourceFields
from lambent.observability.insights.worker import QueryWorker, QueryWorkerError
from lambent.observability.logs.events import AFTER_ALL, LogGroupId
from lambent.observability.logs.group import LogStream
from lambent.observability.logs.reading import EventQuery, Show
from lambent.observability.logs.segment import Row
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore

logger = logging.getLogger(__name__)

KEPT_MAX: Final = 200
RUNNING_MAX: Final = 30
"""Concurrent Logs Insights queries."""

_TIMESTAMP: Final = 2
_MESSAGE: Final = 4
"""Where a `SourceFields` has them."""

_PAGE_EVENTS: Final = 2000
_PAGE_BYTES: Final = 4 * 1024 * 1024


class QueryStatus(StrEnum):
    """AWS's."""

    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TIMEOUT = "Timeout"


class TooManyQueriesError(Exception):
    """`RUNNING_MAX` queries run already."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """A log group, and the time to look at: epoch ms, `end_ms` exclusive."""

    group: LogGroupId
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class LogQuery:
    """A query that was started. Its rows are there when it is complete."""

    query_id: str
    account: AccountId
    region: Region
    text: str
    ranges: Sequence[LogRange]
    created_ms: int
    limit: int | None
    literals: tuple[bytes, ...]
    status: QueryStatus = QueryStatus.RUNNING
    ended_ms: int = 0
    scanned: int = 0
    scanned_bytes: int = 0
    matched: int = 0
    rows: list[list[tuple[str, str]]] = field(default_factory=list)
    failure: str = ""


class LogQueries:
    """Every query of this server. Close it when the server stops."""

    def __init__(self, log_store: LogStore) -> None:
        self._logs = log_store
        self._queries: dict[str, LogQuery] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(
        self, account: AccountId, region: Region, text: str, ranges: Sequence[LogRange], limit: int | None
    ) -> LogQuery:
        """Begin to run a query. Raises MalformedQueryError, TooManyQueriesError."""
        if len(self._tasks) >= RUNNING_MAX:
            raise TooManyQueriesError
        query_id, now_ms = str(uuid.uuid4()), self._logs.now_ms()
        literals = QueryRun(text, limit).literals
        query = LogQuery(query_id, account, region, text, ranges, now_ms, limit, literals)
        self._queries[query_id] = query
        task = self._tasks[query_id] = asyncio.create_task(self._run(query), name=f"log query {query_id}")
        task.add_done_callback(lambda task: self._ended(query, task))
        for old in list(self._queries)[: len(self._queries) - KEPT_MAX]:
            if old not in self._tasks:
                del self._queries[old]
        return query

    def find(self, account: AccountId, region: Region, query_id: str) -> LogQuery | None:
        """A query of an account in a region."""
        query = self._queries.get(query_id)
        return query if query is not None and (query.account, query.region) == (account, region) else None

    def all(self, account: AccountId, region: Region) -> list[LogQuery]:
        """Those of an account in a region, the latest first."""
        found = [query for query in self._queries.values() if (query.account, query.region) == (account, region)]
        return found[::-1]

    def stop(self, query: LogQuery) -> bool:
        """Stop a query; false if it had ended."""
        task = self._tasks.get(query.query_id)
        return task is not None and task.cancel()

    async def close(self) -> None:
        """Stop all that run."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, query: LogQuery) -> None:
        worker = await QueryWorker.start(query.text, query.limit)
        feeding: asyncio.Task[None] | None = None
        try:
            async for events in self._batches(query):
                await self._fed(query, worker, feeding)
                if worker.done:
                    break
                query.scanned += len(events)
                query.scanned_bytes += sum([len(event[_MESSAGE]) for event in events])
                feeding = asyncio.create_task(worker.feed(events))  # while the next events are read
            await self._fed(query, worker, feeding)
            query.rows = await worker.finish()
            query.matched = worker.matched
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.wait([feeding])
            await worker.close()

    @staticmethod
    async def _fed(query: LogQuery, worker: QueryWorker, feeding: asyncio.Task[None] | None) -> None:
        """Wait until the worker has taken in what it was given. Raises what went wrong."""
        if feeding is not None:
            await feeding
            query.matched = worker.matched

    def _ended(self, query: LogQuery, task: asyncio.Task[None]) -> None:
        """The supervision point of queries: whatever went wrong, the query says so."""
        self._tasks.pop(query.query_id, None)
        query.ended_ms = self._logs.now_ms()
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            query.status = QueryStatus.CANCELLED
        elif error is None:
            query.status = QueryStatus.COMPLETE
        elif isinstance(error, TimeoutError):
            query.status = QueryStatus.TIMEOUT
        else:
            query.status = QueryStatus.FAILED
            query.failure = str(error)
            if not isinstance(error, QueryWorkerError | LogGroupNotFoundError):
                logger.error("a log query failed", exc_info=error, extra={"query": query.text[:500]})

    async def _batches(self, query: LogQuery) -> AsyncIterator[list[SourceFields]]:
        """The events of all groups, the latest first."""
        sources = [self._pages(one, query.literals) for one in query.ranges]
        if len(sources) == 1:
            async for events in sources[0]:
                yield events
            return
        waiting: list[list[SourceFields]] = []
        open_sources = dict(enumerate(sources))
        buffers: dict[int, list[SourceFields]] = {}
        while open_sources or any(buffers.values()):
            for number, source in list(open_sources.items()):
                if not buffers.get(number):
                    page = await anext(source, None)
                    if page is None:
                        del open_sources[number]
                    else:
                        buffers[number] = page
            # What is not older than the end of every page that others may follow can go.
            until = max((buffers[number][-1][_TIMESTAMP] for number in open_sources), default=-1)
            waiting = []
            for number, buffer in buffers.items():
                ready = _ready(buffer, until)
                waiting.append(buffer[:ready])
                buffers[number] = buffer[ready:]
            merged = list(heapq.merge(*waiting, key=lambda event: -event[_TIMESTAMP]))
            for at in range(0, len(merged), _PAGE_EVENTS):
                yield merged[at : at + _PAGE_EVENTS]

    async def _pages(self, one: LogRange, literals: tuple[bytes, ...]) -> AsyncIterator[list[SourceFields]]:
        show = _of_log(f"{one.group.account}:{one.group.name}")
        before = AFTER_ALL
        while True:
            wanted = EventQuery(
                limit=_PAGE_EVENTS,
                max_bytes=_PAGE_BYTES,
                start_ms=one.start_ms,
                end_ms=one.end_ms,
                before=before,
                descending=True,
                required=literals,
                matches=_contains(literals),
            )
            events, resume = await self._logs.events_as(one.group, wanted, show)
            if events:
                yield events
            if resume is None:
                return
            before = resume


def _of_log(log: str) -> Show[SourceFields]:
    def show(streams: Mapping[int, LogStream], rows: Sequence[Row]) -> list[SourceFields]:
        return [
            (log, streams[ordinal].name, timestamp_ms, ingestion_ms, text.decode("utf-8", "replace"), sequence)
            for timestamp_ms, sequence, ordinal, text, ingestion_ms in rows
            if ordinal in streams
        ]

    return show


def _ready(buffer: Sequence[SourceFields], until: int) -> int:
    """How many of the first events are not before a time."""
    low, high = 0, len(buffer)
    while low < high:
        middle = (low + high) // 2
        if buffer[middle][_TIMESTAMP] >= until:
            low = middle + 1
        else:
            high = middle
    return low


def _contains(literals: tuple[bytes, ...]) -> Callable[[bytes], bool] | None:
    if not literals:
        return None
    return lambda message: all(literal in message for literal in literals)
