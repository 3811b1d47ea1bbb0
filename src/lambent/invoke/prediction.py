"""How many spares a function version should have: sandboxes made ahead, in which no code of the function has run yet.
Pure; times in seconds, of any clock.

A cold start while other environments of the version are busy says that more may follow: each raises what is expected by
one, and every half-life without one halves it. A version that was never seen in two environments at once has one spare
for a half-life after its first cold start, or after it was made or changed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

HALF_LIFE_S: Final = 60.0
PER_VERSION_MAX: Final = 8

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Expected:
    level: float
    at: float  # when it was that


class Prediction(Generic[Key]):
    """What is expected of all versions. `spares_max`: how many spares there may be of all together."""

    def __init__(self, spares_max: int) -> None:
        self._spares_max = spares_max
        self._expected: dict[Key, _Expected] = {}  # the one heard of last is the last

    def cold_start(self, key: Key, now: float, others: int) -> None:
        """An environment of the version was made because none was idle, and there were so many others."""
        level = self._level(key, now)
        self._set(key, now, min(level + 1, PER_VERSION_MAX) if others else max(level, 1.0))

    def changed(self, key: Key, now: float) -> None:
        """The version has just been made or changed: somebody may want to see it run."""
        self._set(key, now, max(self._level(key, now), 1.0))

    def forget(self, key: Key) -> None:
        """There is no such version any more."""
        self._expected.pop(key, None)

    def wanted(self, now: float) -> dict[Key, int]:
        """How many spares there should be now, of all versions that are expected to need any. When there may not be so
        many, versions that were heard of lately go before others."""
        left = self._spares_max
        wanted: dict[Key, int] = {}
        for key in reversed(list(self._expected)):
            number = _number(self._level(key, now))
            if number:
                wanted[key] = min(number, left)
                left -= wanted[key]
            else:
                del self._expected[key]
        return wanted

    def next_change_s(self, now: float) -> float:
        """In how many seconds `wanted` may be less, if nothing is heard until then."""
        changes = []
        for key in self._expected:
            level = self._level(key, now)
            number = _number(level)
            if number:
                changes.append(HALF_LIFE_S * math.log2(level / (number - 0.5)))
        return min(changes, default=HALF_LIFE_S)

    def _level(self, key: Key, now: float) -> float:
        expected = self._expected.get(key)
        return 0.0 if expected is None else expected.level * 2 ** ((expected.at - now) / HALF_LIFE_S)

    def _set(self, key: Key, now: float, level: float) -> None:
        self._expected.pop(key, None)
        self._expected[key] = _Expected(level, now)
        if len(self._expected) > self._spares_max:  # each of the others wants one at least
            del self._expected[next(iter(self._expected))]


def _number(level: float) -> int:
    return math.ceil(level - 0.5)
