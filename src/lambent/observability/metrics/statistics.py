"""Statistic sets: many values as their count, sum, extremes and a sketch; and the statistics CloudWatch reads in them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html. Pure. Percentiles and
trimmed statistics are estimated from the sketch (`sketch.RELATIVE_ERROR`), and are not to be had where values came in
as a bare statistic set or are negative, as on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lambent.observability.metrics.sketch import Buckets, bucket_of, merge, value_of

SIMPLE: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

_NUMBER = r"\d{1,3}(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(p|tm|tc|ts|wm)({_NUMBER})", re.IGNORECASE)
_RANGE = re.compile(rf"(TM|TC|TS|WM|PR)\(({_NUMBER}%?)?:({_NUMBER}%?)?\)", re.IGNORECASE)


@dataclass(slots=True)
class StatisticSet:
    """`buckets` is None where the distribution of the values is not known."""

    count: float = 0.0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    buckets: Buckets | None = field(default_factory=dict)

    def add(self, value: float, count: float = 1.0) -> None:
        """Count a value so many times."""
        self.count += count
        self.total += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        if value < 0:
            self.buckets = None
        elif self.buckets is not None:
            merge(self.buckets, {bucket_of(value): count})

    def merge(self, other: StatisticSet) -> None:
        """Count all that another one counts."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if self.buckets is None or other.buckets is None:
            self.buckets = None
        else:
            merge(self.buckets, other.buckets)


class Statistic:
    """A statistic by its name: `Sum`, `p99.9`, `tm90`, `TM(10%:90%)`, `PR(:300)`, `IQM`. ValueError if it is none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._kind, self._low, self._high = _parse(name)

    def of(self, values: StatisticSet) -> float | None:
        """Its value; None when it cannot be told. Of at least one value."""
        match self._kind:
            case "SampleCount":
                return values.count
            case "Sum":
                return values.total
            case "Average":
                return values.total / values.count
            case "Minimum":
                return values.minimum
            case "Maximum":
                return values.maximum
            case "p":
                return percentile(values, self._high.number)
            case _:
                return _trimmed(values, self._kind, self._low, self._high)


@dataclass(frozen=True, slots=True)
class _Bound:
    number: float
    is_percentage: bool


_FROM_START: Final = _Bound(0, is_percentage=True)
_TO_END: Final = _Bound(100, is_percentage=True)


def _parse(name: str) -> tuple[str, _Bound, _Bound]:
    if name in SIMPLE:
        return name, _FROM_START, _TO_END
    if name.upper() == "IQM":
        return "tm", _Bound(25, is_percentage=True), _Bound(75, is_percentage=True)
    if match := _SHORT.fullmatch(name):
        bound = _Bound(float(match[2]), is_percentage=True)
        _check(bound, name)
        return match[1].lower(), _FROM_START, bound
    if (match := _RANGE.fullmatch(name)) and (match[2] or match[3]):
        low, high = _bound(match[2], _FROM_START), _bound(match[3], _TO_END)
        for bound in (low, high):
            _check(bound, name)
        if match[2] and match[3] and low.is_percentage != high.is_percentage:
            raise ValueError(name)
        kind = match[1].lower()
        if kind == "pr" and ((match[2] and low.is_percentage) or (match[3] and high.is_percentage)):
            raise ValueError(name)
        return kind, low, high
    raise ValueError(name)


def _bound(text: str | None, missing: _Bound) -> _Bound:
    if text is None:
        return missing
    return _Bound(float(text.rstrip("%")), is_percentage=text.endswith("%"))


def _check(bound: _Bound, name: str) -> None:
    if bound.is_percentage and bound.number > 100:
        raise ValueError(name)


def percentile(values: StatisticSet, percent: float) -> float | None:
    """The smallest value that at least `percent` % of the values do not exceed, within the sketch's error."""
    if values.minimum == values.maximum:
        return values.minimum
    if values.buckets is None:
        return None
    if percent <= 0:
        return values.minimum
    rank = percent / 100 * values.count
    seen = 0.0
    for bucket in sorted(values.buckets):
        seen += values.buckets[bucket]
        if seen >= rank - 1e-9 * values.count:
            return min(max(value_of(bucket), values.minimum), values.maximum)
    return values.maximum


def _trimmed(values: StatisticSet, kind: str, low: _Bound, high: _Bound) -> float | None:
    buckets = values.buckets
    if buckets is None:
        if values.minimum != values.maximum or values.minimum < 0:
            return None
        buckets = {bucket_of(values.minimum): values.count}
    if kind == "wm":
        return _winsorized_mean(values, buckets, low, high)
    count = total = 0.0
    for value, amount in _kept(values, buckets, low, high):
        count += amount
        total += value * amount
    match kind:
        case "tc":
            return count
        case "ts":
            return total
        case "pr":
            return 100 * count / values.count
        case _:
            return total / count if count else None


def _kept(values: StatisticSet, buckets: Buckets, low: _Bound, high: _Bound) -> Iterator[tuple[float, float]]:
    """What is within the bounds, value and how often, the smallest first; bounds may cut a bucket."""
    first = low.number / 100 * values.count if low.is_percentage else 0.0
    last = high.number / 100 * values.count if high.is_percentage else values.count
    seen = 0.0
    for bucket in sorted(buckets):
        count = buckets[bucket]
        value = min(max(value_of(bucket), values.minimum), values.maximum)
        amount = min(seen + count, last) - max(seen, first)
        seen += count
        if not low.is_percentage and value <= low.number:
            continue
        if not high.is_percentage and value > high.number:
            continue
        if amount > 0:
            yield value, amount


def _winsorized_mean(values: StatisticSet, buckets: Buckets, low: _Bound, high: _Bound) -> float | None:
    """What is outside the bounds counts as much as the nearest value within."""
    kept = list(_kept(values, buckets, low, high))
    if not kept:
        return None
    ordered = sorted(buckets)
    below = sum(buckets[bucket] for bucket in ordered if value_of(bucket) < kept[0][0])
    above = sum(buckets[bucket] for bucket in ordered if value_of(bucket) > kept[-1][0])
    if low.is_percentage:
        below = low.number / 100 * values.count
    if high.is_percentage:
        above = values.count - high.number / 100 * values.count
    total = sum(value * amount for value, amount in kept) + below * kept[0][0] + above * kept[-1][0]
    return total / (sum(amount for _, amount in kept) + below + above)
