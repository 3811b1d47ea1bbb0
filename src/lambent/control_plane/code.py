"""Collecting code that no function, version or environment needs any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Set

from lambent.packaging.code_store import CodeStore

logger = logging.getLogger(__name__)


class CodeCollector:
    """Collects in one task, whenever code may have become unused.

    The store of code spares what was added a moment ago, as the function that needs it is perhaps being written; so
    every collection has a second one after that moment. `in_use` answers the digests that must stay.
    """

    def __init__(self, code_store: CodeStore, in_use: Callable[[], Awaitable[Set[str]]], grace_s: float) -> None:
        self._code_store = code_store
        self._in_use = in_use
        self._grace_s = grace_s
        self._wanted = asyncio.Event()
        self._collecting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Collect now, and whenever `want` is called."""
        self._wanted.set()
        self._task = asyncio.create_task(self._collect_when_wanted(), name="code collector")

    async def close(self) -> None:
        """Stop, after the collection that is under way. Raises what ended the task, if anything did."""
        task, self._task = self._task, None
        if task is None:
            return
        async with self._collecting:
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def want(self) -> None:
        """Code may have become unused."""
        self._wanted.set()

    async def _collect_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._collect()
            try:
                async with asyncio.timeout(self._grace_s):
                    await self._wanted.wait()
            except TimeoutError:
                await self._collect()

    async def _collect(self) -> None:
        async with self._collecting:
            try:
                removed = await self._code_store.collect(await self._in_use())
            except OSError:
                logger.exception("Unused code could not be removed; it is tried again after the next change")
                return
        if removed:
            logger.info("Unused code is removed", extra={"digests": removed})
