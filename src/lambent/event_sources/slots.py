"""Slots for batches on their way, as many as `Scaling` allows; who waits for one is woken when there is."""

from __future__ import annotations

import asyncio
import contextlib

from lambent.event_sources.scaling import Scaling
from lambent.model.clock import Clock


class Slots:
    """`acquire` before reading a batch, `release` once it is settled."""

    def __init__(self, scaling: Scaling, clock: Clock) -> None:
        self.in_use = 0
        self.scaling = scaling
        self._clock = clock
        self._freed = asyncio.Event()

    async def acquire(self) -> None:
        """Wait for a slot; cancelled, it takes none."""
        while self.in_use >= self.scaling.allowed:
            wait_s = self.scaling.more_wanted(self._clock.now())
            if wait_s == 0:
                continue
            self._freed.clear()
            if wait_s is None:
                await self._freed.wait()
            else:
                await self._either(wait_s)
        self.in_use += 1

    def release(self) -> None:
        """One is free."""
        self.in_use -= 1
        self._freed.set()

    async def _either(self, wait_s: float) -> None:
        tasks = {asyncio.ensure_future(self._freed.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
