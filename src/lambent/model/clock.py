"""The one clock. Policy timers follow `Clock`; durations, timeouts and signature skew follow real time.

A `Clock` is passed in, never imported as a global, so that tests and development mode can freeze and advance it
(`lambent.testing.clock.ManualClock`).
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

    async def sleep(self, seconds: float) -> None:
        """Return once this clock has advanced by `seconds`."""
        ...


class SystemClock:
    """The host's real time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
