"""How many events of a function run at once: grows while that helps, shrinks when the function is throttled. Pure.

A function that takes its time gets a place more for each event that ends, so that its concurrency doubles in the time
of one run; and half as many again for each second in which none ends. One that is quick gains little by more
environments, and costs the host for each: it grows slowly. A throttle halves the window, once for all that ran at the
time; the next event is tried when one of those that run ends, or after a pause: longer each time, until one succeeds.
"""

from __future__ import annotations

from typing import Final

START: Final = 16
MAX: Final = 1_000
QUICK_S: Final = 0.05
QUICK_GROWTH: Final = 0.1
SLOW_S: Final = 1.0
SLOW_GROWTH: Final = 1.5
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 10.0


class Window:
    """Of one function."""

    def __init__(self) -> None:
        self._size = float(START)
        self._started = 0
        self._ended = 0
        self._shrunk_at = 0  # as many had been started when it shrank last
        self._throttles_in_a_row = 0

    @property
    def limit(self) -> int:
        """How many may run at once."""
        return int(self._size)

    @property
    def in_flight(self) -> int:
        """How many run."""
        return self._started - self._ended

    @property
    def is_throttled(self) -> bool:
        """Was the last one that was tried refused?"""
        return self._throttles_in_a_row > 0

    @property
    def patience_s(self) -> float:
        """How long to wait for one to end before `waited`."""
        if self._throttles_in_a_row:
            return min(PAUSE_MAX_S, PAUSE_MIN_S * 2.0 ** min(self._throttles_in_a_row - 1, 8))
        return SLOW_S

    def waited(self) -> None:
        """None ended for so long."""
        if not self._throttles_in_a_row:
            self._size = min(MAX, self._size * SLOW_GROWTH)

    def started(self) -> int:
        """One more runs. Returns its number, for `throttled`."""
        self._started += 1
        return self._started

    def ran(self, duration_s: float) -> None:
        """One ended, having run."""
        self._ended += 1
        self._throttles_in_a_row = 0
        self._size = min(MAX, self._size + (1.0 if duration_s >= QUICK_S else QUICK_GROWTH))

    def skipped(self) -> None:
        """One ended without having run, for no want of concurrency."""
        self._ended += 1

    def throttled(self, number: int) -> None:
        """One ended without having run, for want of concurrency."""
        self._ended += 1
        if number <= self._shrunk_at:
            return  # it was started before the window shrank
        self._throttles_in_a_row += 1
        self._shrunk_at = self._started
        self._size = max(1.0, min(self._size, self.in_flight + 1) / 2)
