"""What accounts use: counted once from the store, then kept up to date by its watch.

Every creation asks for it, so it must not cost a pass over all functions each time.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent.control_plane.scan import each
from lambent.model.ids import AccountId, Region
from lambent.store.api import FUNCTIONS, LAYER_VERSIONS, VERSIONS, Store

_COUNTED = (FUNCTIONS, VERSIONS, LAYER_VERSIONS)

_Place = tuple[str, str]  # table, key


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """What GetAccountSettings counts. Sizes in bytes, unzipped, of `$LATEST`, of every published version and of every
    layer version."""

    function_count: int
    total_code_size: int


class Usage:
    """Counts and sums by account and region. `close` ends its watches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: dict[_Place, int] = {}
        self._totals: Counter[str] = Counter()  # account/region/ → bytes
        self._counts: Counter[str] = Counter()  # account/region/ → functions
        self._changed: set[_Place] = set()
        self._is_loaded = False
        self._loading = asyncio.Lock()
        self._unwatch = [store.watch(table, functools.partial(self._note_change, table)) for table in _COUNTED]

    def close(self) -> None:
        """End the watches."""
        for unwatch in self._unwatch:
            unwatch()

    async def of(self, account: AccountId, region: Region) -> AccountUsage:
        """What the account has in the region, with every change that was answered before."""
        async with self._loading:
            if not self._is_loaded:
                await self._load()
            while self._changed:
                place = self._changed.pop()
                stored = await self._store.get(*place)
                self._set(place, None if stored is None else _size(place[0], stored.value))
        prefix = f"{account}/{region}/"
        return AccountUsage(self._counts[prefix], self._totals[prefix])

    def _note_change(self, table: str, key: str) -> None:
        self._changed.add((table, key))

    async def _load(self) -> None:
        for table in _COUNTED:
            async for stored in each(self._store, table, ""):
                self._set((table, stored.key), _size(table, stored.value))
        self._is_loaded = True

    def _set(self, place: _Place, size: int | None) -> None:
        table, key = place
        account, region, _ = key.split("/", 2)
        prefix = f"{account}/{region}/"
        before = self._sizes.pop(place, None)
        if size is not None:
            self._sizes[place] = size
        self._totals[prefix] += (size or 0) - (before or 0)
        if table == FUNCTIONS:
            self._counts[prefix] += (size is not None) - (before is not None)


def _size(table: str, value: Mapping[str, Any]) -> int:
    if table == LAYER_VERSIONS:
        return int(value["unzipped_size"])
    version = value["latest"] if table == FUNCTIONS else value
    return int(version["code_unzipped_size"])
