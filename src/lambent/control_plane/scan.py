"""Reading whole tables without keeping the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from lambent.store.api import Record, Store

_AT_ONCE = 200  # documents: a scan keeps the loop for as long as it takes


async def each(store: Store, table: str, prefix: str) -> AsyncIterator[Record]:
    """All documents under a prefix, in key order, read in parts: not one moment's state."""
    after = None
    while stored := await store.scan(table, prefix, after=after, limit=_AT_ONCE):
        for one in stored:
            yield one
        after = stored[-1].key
        await asyncio.sleep(0)
