"""What keeps the pools in step with the world: changed functions retire environments and are
prepared for, idle ones end.

Owns its tasks: `start` before use, `close` after. A failure is logged and the next change or turn tries again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.pools import Pools
from lambent.model.arn import LATEST, FunctionId
from lambent.model.clock import Clock
from lambent.model.function import State
from lambent.model.ids import AccountId, Region
from lambent.store.errors import StoreError

logger = logging.getLogger(__name__)


class Upkeep:
    """`retired` is called after environments of a changed function were told to end. Idle ones are looked at when the
    first of them may have been so for long enough, and not more often than every `interval_s` seconds."""

    def __init__(
        self,
        pools: Pools,
        directory: FunctionDirectory,
        clock: Clock,
        interval_s: float,
        retired: Callable[[], None] = lambda: None,
    ) -> None:
        self._pools = pools
        self._directory = directory
        self._clock = clock
        self._interval_s = interval_s
        self._retired = retired
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._directory.on_change(self._note)
        self._tasks = [
            asyncio.create_task(self._retire_changed(), name="retire environments of changed functions"),
            asyncio.create_task(self._stop_idle(), name="stop idle environments"),
        ]
        for task in self._tasks:
            task.add_done_callback(_log_failure)

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, function_key: str) -> None:
        self._changed.add(function_key)
        self._wake.set()

    async def _retire_changed(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, set()
            for function_key in changed:
                try:
                    await self._retire(function_key)
                except StoreError:
                    logger.exception("could not look at a changed function", extra={"function": function_key})
                    self._changed.add(function_key)

    async def _retire(self, function_key: str) -> None:
        stale: set[tuple[str, str]] = set()
        for version in self._pools.versions(function_key):
            stored = await self._directory.read(version.function, version.version)
            if stored is None or stored.environment_revision != version.environment_revision:
                stale.add((version.qualified_arn, version.environment_revision))
        if stale:
            self._pools.retire(stale)
            self._retired()
        latest = await self._directory.read(_function(function_key), LATEST)
        if latest is not None and latest.state is State.ACTIVE:
            self._pools.prepare(latest)

    async def _stop_idle(self) -> None:
        while True:
            await self._clock.sleep(max(self._interval_s, self._pools.next_to_stop_s()))
            self._pools.stop_idle()


def _function(key: str) -> FunctionId:
    account, region, name = key.split("/")
    return FunctionId(AccountId(account), Region(region), name)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task to %s failed", task.get_name(), exc_info=error)
