"""When waiting a moment for a busy environment is better than running at once in another. Pure; times in seconds.

Short invocations that keep the processor busy gain nothing from more environments than the host can run: what they
share is lost to switching between them. So a pool that has learnt that its invocations are short lets only so many run
at once and has the next wait for one of those to be done. Two things keep apart what waits and what computes: an
invocation that has waited longer than it should runs elsewhere at once, and then nobody waits until the pool has been
seen to be short again; and while the host has processor time to spare the number that may run grows.
"""

from __future__ import annotations

from typing import Final

SHORT_S: Final = 0.002  # an invocation of at most this is short
CHECK_S: Final = 0.004  # how often those who wait are looked after; nobody's patience is shorter
_LESSONS: Final = 16  # invocations after which a pool's typical duration is believed
_WEIGHT: Final = 1 / 8  # of the newest duration
_LONG_FACTOR: Final = 4  # as much longer than expected may a wait be
_PATIENCE_MAX_S: Final = 0.05
_SPARE: Final = 0.1  # share of the host's processor time above which it has some to spare


class Patience:
    """What one pool has learnt. `at_once`: how many may run at once at least."""

    __slots__ = ("_at_once", "_lessons", "_limit", "_typical_s")

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._limit = at_once
        self._typical_s = 0.0
        self._lessons = 0

    def learn(self, duration_s: float) -> None:
        """An environment was busy that long with one invocation."""
        if self._lessons == 0 or duration_s > SHORT_S * _LONG_FACTOR * 4:
            self._typical_s, self._lessons = duration_s, 1
        else:
            self._typical_s += (duration_s - self._typical_s) * _WEIGHT
            self._lessons += 1

    def is_worth_it(self, busy: int) -> bool:
        """Whether the next invocation should wait, with so many running."""
        return busy >= self._limit and self._lessons >= _LESSONS and self._typical_s <= SHORT_S

    def wait_s(self, waiting: int, busy: int) -> float:
        """How long an invocation may wait that so many others wait before."""
        expected_s = (waiting + 1) * self._typical_s / max(1, busy)
        return min(_PATIENCE_MAX_S, max(CHECK_S, expected_s * _LONG_FACTOR))

    def lost(self) -> None:
        """Somebody waited for too long: nobody waits until durations were learnt anew."""
        self._lessons = 0

    def adapt(self, spare_share: float) -> None:
        """Somebody waits, and that share of the host's processor time was spare lately."""
        if spare_share > _SPARE:
            self._limit *= 2
        else:
            self._limit = max(self._at_once, self._limit * 3 // 4)
