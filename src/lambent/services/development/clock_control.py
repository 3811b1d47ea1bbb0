"""Moving a server's clock: from due time to due time, letting everything come to rest at each.

Rest is what `model.idle` calls it: no part of the server is busy. As functions really run and disks really write
meanwhile, it takes real time, and `patience_s` bounds it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from lambent.model.idle import Activities
from lambent.model.movable_clock import MovableClock

RUN_MAX_S: Final = (
    366 * 86_400.0
)  # what run-until-idle goes ahead at most, unless told otherwise: longer than AWS waits

_TURNS: Final = 20  # of the event loop: enough for a woken task to say that it is busy
_REST_POLL_S: Final = (0.0005, 0.02)  # first and longest pause between two looks at what is busy


class NotIdleError(Exception):
    """The server did not come to rest in time, or would have had to go on for longer; the message says what is left."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far the clock went, in seconds, and how many due times it stopped at."""

    seconds: float = 0.0
    stops: int = 0


class ClockControl:
    """Moves one clock; one move at a time, in the order they were asked for."""

    def __init__(self, clock: MovableClock, activities: Activities) -> None:
        self.clock = clock
        self._activities = activities
        self._moving = asyncio.Lock()

    @property
    def busy(self) -> list[str]:
        """The parts of the server that are busy now."""
        return self._activities.busy(self.clock.now())

    @property
    def next_due(self) -> float | None:
        """When something will be done next."""
        return self._activities.next_due()

    async def freeze(self) -> Moved:
        """Let the clock stand."""
        async with self._moving:
            self.clock.freeze()
        return Moved()

    async def real(self, patience_s: float) -> Moved:
        """Let the clock run at the pace of real time: from the host's time, or from its own if that is later."""
        async with self._moving:
            moved = await self._go(max(0.0, -self.clock.ahead_s), patience_s)
            self.clock.run()
        return moved

    async def advance(self, seconds: float, patience_s: float) -> Moved:
        """Go ahead. The clock stands afterwards if it stood before. Raises NotIdleError: it stands where it got to."""
        async with self._moving:
            stood = self.clock.is_frozen
            moved = await self._go(seconds, patience_s)
            if not stood:
                self.clock.run()
        return moved

    async def run_until_idle(self, max_seconds: float, patience_s: float) -> Moved:
        """Go ahead as long as something is due, at most so far. Raises NotIdleError."""
        async with self._moving:
            stood = self.clock.is_frozen
            self.clock.freeze()
            begin, stops = self.clock.now(), 0
            give_up = time.monotonic() + patience_s
            await self._rest(give_up)
            while (due := self._activities.next_due()) is not None:
                if due - begin > max_seconds:
                    raise NotIdleError(f"something is due only in {due - self.clock.now():.0f} s")
                stops += await self._go_to(due, give_up)
            moved = Moved(self.clock.now() - begin, stops)
            if not stood:
                self.clock.run()
        return moved

    async def _go(self, seconds: float, patience_s: float) -> Moved:
        self.clock.freeze()
        begin, give_up = self.clock.now(), time.monotonic() + patience_s
        await self._rest(give_up)
        stops = await self._go_to(begin + seconds, give_up)
        return Moved(self.clock.now() - begin, stops)

    async def _go_to(self, end: float, give_up: float) -> int:
        stops = 0
        while self.clock.step(end):
            stops += 1
            await self._rest(give_up)
        await self._rest(give_up)  # what is due without anybody sleeping for it
        return stops

    async def _rest(self, give_up: float) -> None:
        """Return once no part is busy."""
        pause, longest = _REST_POLL_S
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        while busy := self.busy:
            if time.monotonic() > give_up:
                raise NotIdleError(f"still busy: {', '.join(busy)}")
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)
