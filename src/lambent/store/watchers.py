"""Who wants to know of changed documents. Shared by the stores; lives on the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from lambent.store.api import TABLES

Callback = Callable[[str], None]


class Watchers:
    """Callbacks by table."""

    def __init__(self) -> None:
        self._callbacks: dict[str, dict[object, Callback]] = {table: {} for table in TABLES}

    def add(self, table: str, callback: Callback) -> Callable[[], None]:
        """Register; the result, called once or more, ends it. ValueError for an undeclared table."""
        if table not in self._callbacks:
            raise ValueError(f"Undeclared table {table!r}")
        token = object()
        self._callbacks[table][token] = callback

        def end() -> None:
            self._callbacks[table].pop(token, None)

        return end

    def notify(self, changed: Iterable[tuple[str, str]]) -> None:
        """Schedule the callbacks for these (table, key) pairs.

        The event loop runs what is scheduled in order, so a caller woken after this sees its callbacks done; and a
        callback that raises is reported by the loop and harms no commit.
        """
        loop = asyncio.get_running_loop()
        for table, key in dict.fromkeys(changed):
            for token in self._callbacks[table]:
                loop.call_soon(self._call, table, token, key)

    def _call(self, table: str, token: object, key: str) -> None:
        callback = self._callbacks[table].get(token)
        if callback is not None:  # ended meanwhile
            callback(key)
