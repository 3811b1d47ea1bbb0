"""`MovableClock`: the host's time until somebody freezes it or moves it ahead. For development mode.

It runs or it stands. While it runs, one timer of the event loop serves the earliest sleeper; while it stands, sleepers
wake only by `step`, each at its own due time. What it shows never goes back. To be used on one event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_CANCELLED_KEPT = 64  # cancelled sleepers are swept out when there are more than this, and more than living ones


@dataclass(order=True, slots=True)
class _Sleeper:
    """Due in the host's steady time while the clock runs, in the clock's own seconds since the epoch while it stands:
    so that a clock being set disturbs no sleep, and a stepped one shows exactly the due time."""

    due: float
    order: int
    future: asyncio.Future[None] = field(compare=False)


class MovableClock:
    """A `model.clock.Clock`. `wall` and `steady` are the host's."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead = 0.0  # of the host's clock, while it runs
        self._steady_ahead = 0.0
        self._stands_at: float | None = None
        self._steady_at = 0.0
        self._sleepers: list[_Sleeper] = []
        self._order = itertools.count()
        self._cancelled = 0
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._wall() + self._ahead if self._stands_at is None else self._stands_at

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._steady() + self._steady_ahead if self._stands_at is None else self._steady_at

    @property
    def is_frozen(self) -> bool:
        """Whether it stands."""
        return self._stands_at is not None

    @property
    def ahead_s(self) -> float:
        """How far it is ahead of the host's clock (behind: below zero)."""
        return self.now() - self._wall()

    async def sleep(self, seconds: float) -> None:
        """Return once this clock has advanced by `seconds`; zero and less only lets other tasks run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        base = self._steady() if self._stands_at is None else self._stands_at
        sleeper = _Sleeper(base + seconds, next(self._order), asyncio.get_running_loop().create_future())
        heapq.heappush(self._sleepers, sleeper)
        if self._sleepers[0] is sleeper:
            self._set_timer()
        try:
            await sleeper.future
        except asyncio.CancelledError:
            self._sweep()
            raise

    def freeze(self) -> None:
        """Let it stand. Without effect when it does."""
        if self._stands_at is None:
            now, steady = self.now(), self._steady()
            self._steady_at = steady + self._steady_ahead
            self._rebase(now - steady)
            self._stands_at = now
            self._set_timer()

    def run(self) -> None:
        """Let it run on from what it shows, at the pace of real time. Without effect when it runs."""
        if self._stands_at is not None:
            wall, steady = self._wall(), self._steady()
            self._ahead, self._steady_ahead = self._stands_at - wall, self._steady_at - steady
            if abs(self._ahead) < 1e-6:
                self._ahead = 0.0
            self._rebase(steady - self._stands_at)
            self._stands_at = None
            self._set_timer()

    def step(self, end: float) -> bool:
        """Standing, go ahead to the next sleeper due by `end` (seconds since the epoch) and wake it, and those due
        with it; False if there is none: then the clock shows `end`. Raises RuntimeError when it runs."""
        if self._stands_at is None:
            raise RuntimeError("the clock runs")
        due = self._next_due()
        reached = min(end, due) if due is not None else end
        if reached > self._stands_at:
            self._steady_at += reached - self._stands_at
            self._stands_at = reached
        if due is None or due > end:
            return False
        self._wake(self._stands_at)
        return True

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0].future.done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0].due if self._sleepers else None

    def _wake(self, now: float) -> None:
        while (due := self._next_due()) is not None and due <= now:
            heapq.heappop(self._sleepers).future.set_result(None)

    def _rebase(self, difference: float) -> None:
        """Count due times from another zero. The order stays."""
        for sleeper in self._sleepers:
            sleeper.due += difference

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._next_due()
        if self._stands_at is None and due is not None:
            delay = max(0.0, due - self._steady())
            self._timer = asyncio.get_running_loop().call_later(delay, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._wake(self._steady())
        self._set_timer()

    def _sweep(self) -> None:
        self._cancelled += 1
        if self._cancelled > max(_CANCELLED_KEPT, len(self._sleepers) // 2):
            self._cancelled = 0
            self._sleepers = [one for one in self._sleepers if not one.future.done()]
            heapq.heapify(self._sleepers)
