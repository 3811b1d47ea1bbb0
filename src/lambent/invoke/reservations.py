"""Reserved concurrency, from the store into the counters: in force for every invocation after the answer that set it.

The data plane's only view of what the control plane wrote about concurrency: reads, and a watch that says when to read
again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lambent.invoke.counting import Counting
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region
from lambent.store.api import FUNCTION_CONCURRENCY, Store


class Reservations:
    """Keeps `counting` up to date. `close` ends its watch."""

    def __init__(self, store: Store, counting: Counting) -> None:
        self._store = store
        self._counting = counting
        self._changed: set[str] = set()
        self._is_loaded = False
        self._reading = asyncio.Lock()
        self._unwatch = store.watch(FUNCTION_CONCURRENCY, self._changed.add)

    @property
    def are_current(self) -> bool:
        """Is everything that was stored in the counters? If not, `refresh`."""
        return self._is_loaded and not self._changed and not self._reading.locked()

    async def refresh(self) -> None:
        """Bring everything that was stored until now into the counters."""
        async with self._reading:
            if not self._is_loaded:
                for stored in await self._store.scan(FUNCTION_CONCURRENCY, ""):
                    self._apply(stored.key, stored.value)
                self._is_loaded = True
            while self._changed:
                key = self._changed.pop()
                found = await self._store.get(FUNCTION_CONCURRENCY, key)
                self._apply(key, {"reserved": {}} if found is None else found.value)

    def close(self) -> None:
        """End the watch."""
        self._unwatch()

    def _apply(self, key: str, document: dict[str, Any]) -> None:
        account, region = key.split("/")
        reserved = {
            FunctionId(AccountId(account), Region(region), name): executions
            for name, executions in document["reserved"].items()
        }
        self._counting.reserve((account, region), reserved)
