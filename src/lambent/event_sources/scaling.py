"""How many batches of a mapping may be on their way at once. Pure; times in seconds.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five to begin with, up to 300 more a minute
while there are messages, back to five when there are none; less when the function is throttled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

START: Final = 5
LIMIT: Final = 1_250
PER_SECOND: Final = 300 / 60
_BURST: Final = 5.0
_ONE: Final = 0.999  # sums of fractions
_SHORTEST_S: Final = 0.01
_PER_PROVISIONED_POLLER: Final = 10
_PROVISIONED_MAX: Final = 200


@dataclass(slots=True)
class Scaling:
    """`allowed` moves between `start` and `limit`; below `start` only after throttles."""

    start: int
    limit: int
    allowed: int = field(init=False)
    _budget: float = field(default=_BURST, init=False)
    _counted_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.allowed = self.start

    def more_wanted(self, now: float) -> float | None:
        """All are in use. Seconds after which to ask again: 0 if there is one more now, None: there is never more."""
        if self.allowed >= self.limit:
            return None
        elapsed = 0.0 if self._counted_at is None else max(0.0, now - self._counted_at)
        self._counted_at = now
        self._budget = min(_BURST, self._budget + elapsed * PER_SECOND)
        if self._budget < _ONE:
            return max(_SHORTEST_S, (1 - self._budget) / PER_SECOND)
        self._budget -= 1
        self.allowed += 1
        return 0.0

    def found_nothing(self) -> None:
        """The source had nothing to read."""
        if self.allowed > self.start:
            self.allowed -= 1

    def throttled(self) -> None:
        """The function was not let run."""
        self.allowed = max(1, self.allowed // 2)
        self._budget = 0.0


def scaling_of(settings: Mapping[str, Any]) -> Scaling:
    """By a mapping's ScalingConfig or ProvisionedPollerConfig."""
    provisioned = settings.get("ProvisionedPollerConfig") or {}
    if provisioned:
        highest = provisioned.get("MaximumPollers") or max(_PROVISIONED_MAX, provisioned.get("MinimumPollers") or 0)
        lowest = provisioned.get("MinimumPollers") or 2
        return Scaling(max(START, lowest), highest * _PER_PROVISIONED_POLLER)
    limit = (settings.get("ScalingConfig") or {}).get("MaximumConcurrency") or LIMIT
    return Scaling(min(START, limit), limit)
