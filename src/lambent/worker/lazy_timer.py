"""A timer for what begins anew with every invocation: one of the event loop's serves many of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable


class LazyTimer:
    """Calls `due` once the seconds of the last `begin` have passed, unless it was put off or stopped since. When the
    event loop's timer fires too early it is set again."""

    __slots__ = ("_at", "_due", "_fires_at", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop = loop
        self._due = due
        self._at = math.inf
        self._fires_at = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Due in so many seconds, whatever was said before."""
        self._at = time.monotonic() + seconds
        if self._handle is not None and self._fires_at > self._at:
            self._handle.cancel()
            self._handle = None
        if self._handle is None:
            self._set(seconds)

    def put_off(self) -> None:
        """Not due until it begins again."""
        self._at = math.inf

    def stop(self) -> None:
        """Let go of it."""
        self._at = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self, seconds: float) -> None:
        self._fires_at = self._at
        self._handle = self._loop.call_later(seconds, self._fired)

    def _fired(self) -> None:
        self._handle = None
        remaining_s = self._at - time.monotonic()
        if remaining_s <= 0:
            self._at = math.inf
            self._due()
        elif remaining_s != math.inf:
            self._set(remaining_s)
