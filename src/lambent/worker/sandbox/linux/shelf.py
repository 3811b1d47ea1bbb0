"""Things that sandboxes need and that take a moment to make, kept ready: when one is taken, another is made a little
later, when the launch that took it no longer needs the processor. Knows nothing of what they are but that each is a
descriptor.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

READY = 8
_REFILL_AFTER_S = 0.03


class Shelf:
    """`make` makes one, `discard` gets rid of one. `name`: for the log."""

    def __init__(
        self, name: str, make: Callable[[], Awaitable[int]], discard: Callable[[int], Awaitable[None]]
    ) -> None:
        self._name = name
        self._make = make
        self._discard = discard
        self._ready: deque[int] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._making: set[asyncio.Future[int]] = set()
        self._closed = False

    async def take(self) -> int:
        """One of those that are ready, or a new one. Raises `OSError`."""
        taken = self._ready.popleft() if self._ready else await self._made()
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(_REFILL_AFTER_S, self.refill)
        return taken

    async def _made(self) -> int:
        """A new one. It is made to the end whoever waits: given up by its taker, it is the next one's."""
        making = asyncio.ensure_future(self._make())
        self._making.add(making)
        making.add_done_callback(self._making.discard)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._keep)
            raise

    def _keep(self, making: asyncio.Future[int]) -> None:
        if not making.cancelled() and making.exception() is None:
            self._ready.append(making.result())

    def refill(self) -> None:
        """Begin to make what is missing."""
        self._timer = None
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.get_running_loop().create_task(self._fill(), name=f"make {self._name} ahead")
            self._filling.add_done_callback(self._filled)

    async def close(self) -> None:
        """Discard what is ready. What was taken is its taker's."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._filling is not None:
            await asyncio.wait([self._filling])
        while self._making:
            await asyncio.wait(self._making)
        while self._ready:
            await self._discard(self._ready.popleft())

    async def _fill(self) -> None:
        while not self._closed and len(self._ready) < READY:
            self._ready.append(await self._make())

    def _filled(self, task: asyncio.Task[None]) -> None:
        """Where failures to make things ahead show; a launch that needs one tries again, and is told."""
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("no %s made ahead: %s", self._name, error)
