"""The one clock. Policy timers follow `Clock`; durations, timeouts and signature skew follow real time.

A `Clock` is passed in, never imported as a global, so that tests (`lambent.testing.clock.ManualClock`) and development
mode (`model.movable_clock.MovableClock`) can freeze and advance it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for policies."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, for measuring how long something has been so: they never go back, and do not jump
        when the host's clock is set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once this clock has advanced by `seconds`."""
        ...


class SystemClock:
    """The host's real time. Sleeps do not notice when the host's clock is set."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
