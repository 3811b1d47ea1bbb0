"""What Lambda publishes about asynchronous events. Implements `async_invoke.ports.AsyncObserver` and
`delivery.outbox.DeliveryObserver`.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html (asynchronous invocation metrics), in the
namespace AWS/Lambda: for the function, for what was named to invoke it, and for all functions. Counted in one tally per
function, qualifier and minute; tallies become metrics when the store collects them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.clock import Clock
from lambent.observability.metrics.database import PointKey
from lambent.observability.metrics.lambda_points import add_point, dimension_sets
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import Batch

RECEIVED: Final = "AsyncEventsReceived"
AGE: Final = "AsyncEventAge"
DROPPED: Final = "AsyncEventsDropped"
DEAD_LETTER_ERRORS: Final = "DeadLetterErrors"
DELIVERY_FAILURES: Final = "DestinationDeliveryFailures"


@dataclass(slots=True)
class Tally:
    """Of one function and qualifier in one minute. `ages` in whole milliseconds → how many."""

    counts: dict[str, int] = field(default_factory=dict)
    ages: dict[int, int] = field(default_factory=dict)


TallyKey = tuple[int, FunctionId, str | None]
"""Minute (since the epoch), function, qualifier."""


class AsynchronousMetrics:
    """`collect` is for the metric store, `totals` for Prometheus."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._tallies: dict[TallyKey, Tally] = {}
        self.totals: dict[FunctionId, dict[str, int]] = {}

    def received(self, reference: FunctionReference) -> None:
        """See `async_invoke.ports.AsyncObserver`."""
        self._count(reference, RECEIVED)

    def aged(self, reference: FunctionReference, age_s: float) -> None:
        """See `async_invoke.ports.AsyncObserver`."""
        ages = self._tally(reference).ages
        age_ms = round(age_s * 1000)
        ages[age_ms] = ages.get(age_ms, 0) + 1

    def dropped(self, reference: FunctionReference) -> None:
        """See `async_invoke.ports.AsyncObserver`."""
        self._count(reference, DROPPED)

    def delivery_failed(self, reference: FunctionReference, *, dead_letter: bool) -> None:
        """See `delivery.outbox.DeliveryObserver`."""
        self._count(reference, DEAD_LETTER_ERRORS if dead_letter else DELIVERY_FAILURES)

    def collect(self) -> Callable[[], Batch]:
        """See `store.Source`."""
        tallies, self._tallies = self._tallies, {}
        return lambda: (_points(tallies), {})

    def _tally(self, reference: FunctionReference) -> Tally:
        key = (int(self._now() // 60), reference.function, reference.qualifier)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        return tally

    def _count(self, reference: FunctionReference, name: str) -> None:
        for counts in (self._tally(reference).counts, self.totals.setdefault(reference.function, {})):
            counts[name] = counts.get(name, 0) + 1


def _points(tallies: Mapping[TallyKey, Tally]) -> dict[PointKey, StatisticSet]:
    points: dict[PointKey, StatisticSet] = {}
    for (minute, function, qualifier), tally in tallies.items():
        ages = StatisticSet()
        for age_ms, count in tally.ages.items():
            ages.add(float(age_ms), count)
        for dimensions in dimension_sets(function, qualifier):
            for name, count in tally.counts.items():
                values = StatisticSet()
                values.add(1.0, count)
                add_point(points, function, name, "Count", dimensions, minute, values)
            if tally.ages:
                add_point(points, function, AGE, "Milliseconds", dimensions, minute, ages)
    return points
