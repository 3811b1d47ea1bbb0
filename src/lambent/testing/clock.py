"""Two of `lambent.model.clock.Clock`: `ManualClock` stands still until it is told to move, `OffsetClock` runs on, with
what was added to it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Final

DEFAULT_START: Final = 1_700_000_000.0  # 2023-11-14T22:13:20Z: a fixed moment, so that runs are repeatable

_SETTLING_TURNS: Final = 20


class ManualClock:
    """Time that only `advance` and `run_for` move. To be used on one event loop.

    Sleepers wake in the order of their deadlines (equal ones in the order they went to sleep).
    """

    def __init__(self, start: float = DEFAULT_START) -> None:
        """`start` is in seconds since the epoch."""
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock`: the same, as this clock is never set."""
        return self._now

    @property
    def next_deadline(self) -> float | None:
        """When the next sleeper wakes, in seconds since the epoch; None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():  # cancelled
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def sleep(self, seconds: float) -> None:
        """Return once this clock has advanced by `seconds`; zero and less only lets other tasks run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    def advance(self, seconds: float) -> None:
        """Jump ahead at once and wake who is due; they run when the caller next awaits, and all see the new time.

        Use `run_for` where a sleeper's next sleep should begin at its own deadline. ValueError if negative.
        """
        if seconds < 0:
            raise ValueError("Time does not go back")
        self._now += seconds
        self._wake()

    async def run_for(self, seconds: float) -> None:
        """Go ahead from deadline to deadline, letting tasks run at each, as real time would. ValueError if negative.

        At each deadline the event loop gets a number of turns, enough for tasks that go on without waiting for
        sockets, files or threads to reach their next sleep.
        """
        if seconds < 0:
            raise ValueError("Time does not go back")
        end = self._now + seconds
        await _settle()  # who is about to sleep
        while (deadline := self.next_deadline) is not None and deadline <= end:
            self._now = max(self._now, deadline)
            self._wake()
            await _settle()
        self._now = max(self._now, end)

    def _wake(self) -> None:
        while (deadline := self.next_deadline) is not None and deadline <= self._now:
            heapq.heappop(self._sleepers)[2].set_result(None)


async def _settle() -> None:
    for _ in range(_SETTLING_TURNS):
        await asyncio.sleep(0)


class OffsetClock:
    """Real time and `offset_s` seconds, which any thread may add to. Sleeps take real time, whatever is added."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.offset_s

    def monotonic(self) -> float:
        """See `Clock`: what is added is time that has passed."""
        return time.monotonic() + self.offset_s

    async def sleep(self, seconds: float) -> None:
        """Return after so many real seconds."""
        await asyncio.sleep(seconds)
