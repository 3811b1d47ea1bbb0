"""The code of functions: added for a change, and collected once nothing names it any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager

from lambent.packaging.code_store import CodeStore

logger = logging.getLogger(__name__)


class CodeCollector:
    """Keeps code that is being added apart from collections, which run in one task whenever one was wanted.

    A tree just added is named by nothing until its change is committed; so collections wait until no change is under
    way, and changes wait while one collects. `in_use` answers the digests that must stay.
    """

    def __init__(self, code_store: CodeStore, in_use: Callable[[], Awaitable[Set[str]]]) -> None:
        self._code_store = code_store
        self._in_use = in_use
        self._changes = 0
        self._no_change = asyncio.Event()
        self._no_change.set()
        self._not_collecting = asyncio.Event()
        self._not_collecting.set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin collecting, now and whenever `want` is called."""
        self._wanted.set()
        self._task = asyncio.create_task(self._collect_when_wanted(), name="code collector")

    async def close(self) -> None:
        """Stop. A collection that has begun is finished first."""
        if self._task is None:
            return
        await self._not_collecting.wait()
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error
        self._task = None

    def want(self) -> None:
        """Code may have become unused."""
        self._wanted.set()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[None]:
        """While inside, nothing is collected: from before code is added until what names it is committed."""
        while not self._not_collecting.is_set():
            await self._not_collecting.wait()
        self._changes += 1
        self._no_change.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if self._changes == 0:
                self._no_change.set()

    async def collect(self) -> None:
        """Remove all code that nothing uses."""
        self._not_collecting.clear()
        try:
            await self._no_change.wait()
            in_use = await self._in_use()
            await asyncio.to_thread(self._code_store.collect, in_use)
        finally:
            self._not_collecting.set()

    async def _collect_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.collect()
            except OSError:
                logger.exception("Unused code could not be removed; it is tried again after the next change")
