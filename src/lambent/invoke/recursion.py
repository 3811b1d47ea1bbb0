"""Which functions may be part of a loop (PutFunctionRecursionConfig: Allow), from the store into memory.

The data plane's only view of it: a read when first asked, and a watch that says when to read again.
"""

from __future__ import annotations

from typing import Final

from lambent.model.arn import LATEST, FunctionId
from lambent.store.api import RECURSION_CONFIGS, Store

_ALLOW: Final = "Allow"
_KNOWN_MAX: Final = 10_000


class LoopSwitches:
    """Remembers what was asked for. `close` ends its watch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, bool] = {}
        self._changes = 0
        self._unwatch = store.watch(RECURSION_CONFIGS, self._forget)

    async def allows_loops(self, function: FunctionId) -> bool:
        """Is the function to run whatever loop it is in?"""
        key = f"{function.key}/{LATEST}"
        known = self._known.get(key)
        if known is not None:
            return known
        changes = self._changes
        found = await self._store.get(RECURSION_CONFIGS, key)
        allows = found is not None and found.value["recursive_loop"] == _ALLOW
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        if changes == self._changes:  # else it may have changed while it was read
            self._known[key] = allows
        return allows

    def close(self) -> None:
        """End the watch."""
        self._unwatch()

    def _forget(self, key: str) -> None:
        self._changes += 1
        self._known.pop(key, None)
