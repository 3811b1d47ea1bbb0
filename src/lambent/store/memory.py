"""`MemoryStore`: the store port in a dict, for tests. Nothing survives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from lambent.store.api import TABLES, Change, ConflictError, Record
from lambent.store.errors import StoreClosedError
from lambent.store.plan import Plan, check_address, check_limit, conflict_text, decode, plan
from lambent.store.watchers import Watchers


class MemoryStore:
    """Implements `lambent.store.api.Store`, except that commits are not durable."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, tuple[int, str]]] = {table: {} for table in TABLES}
        self._revision = 0
        self._watchers = Watchers()
        self._closed = False

    async def get(self, table: str, key: str) -> Record | None:
        self._check_open()
        check_address(table, key)
        found = self._tables[table].get(key)
        return None if found is None else Record(key, found[0], decode(found[1]))

    async def scan(
        self, table: str, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[Record]:
        self._check_open()
        check_address(table, prefix)
        check_address(table, after or "")
        check_limit(limit)
        documents = self._tables[table]
        keys = sorted(key for key in documents if key.startswith(prefix) and (after is None or key > after))
        return [Record(key, documents[key][0], decode(documents[key][1])) for key in keys[:limit]]

    async def commit(self, changes: Sequence[Change]) -> None:
        self._check_open()
        self._watchers.notify(self._apply(plan(changes)))
        await asyncio.sleep(0)  # the callbacks run before the caller goes on

    def watch(self, table: str, callback: Callable[[str], None]) -> Callable[[], None]:
        return self._watchers.add(table, callback)

    async def close(self) -> None:
        self._closed = True

    def _apply(self, planned: Plan) -> list[tuple[str, str]]:
        for condition in planned.preconditions:
            actual, _ = self._tables[condition.table].get(condition.key, (0, ""))
            if actual != condition.revision:
                raise ConflictError(conflict_text(condition.table, condition.key, actual, condition.revision))
        changed: list[tuple[str, str]] = []
        self._revision += 1
        for write in planned.writes:
            documents = self._tables[write.table]
            if write.text is not None:
                documents[write.key] = (self._revision, write.text)
            elif documents.pop(write.key, None) is None:
                continue
            changed.append((write.table, write.key))
        return changed

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError("The store is closed")
