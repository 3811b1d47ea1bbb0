"""A token bucket on real time: so many at once, refilled continuously. Pure.

`now` is the host's steady time in seconds; AWS's scaling and request rates are real time, whatever the policy clock
does.
"""

from __future__ import annotations


class TokenBucket:
    """`capacity` tokens at most, `per_second` new ones."""

    __slots__ = ("_at", "_tokens", "capacity", "per_second")

    def __init__(self, capacity: float, per_second: float, now: float) -> None:
        self.capacity = capacity
        self.per_second = per_second
        self._tokens = capacity
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        if now > self._at:
            tokens = self._tokens + (now - self._at) * self.per_second
            self._tokens = tokens if tokens < self.capacity else self.capacity
            self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def is_full(self, now: float) -> bool:
        """Whether it is as a new one would be."""
        return self._tokens + (now - self._at) * self.per_second >= self.capacity

    def resize(self, capacity: float, per_second: float) -> None:
        """Another size from now on; what is in it stays, as far as it fits."""
        self._tokens = min(capacity, self._tokens * capacity / self.capacity if self.capacity else capacity)
        self.capacity, self.per_second = capacity, per_second
