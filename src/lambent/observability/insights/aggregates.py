"""What `stats` computes of the values of a group of rows. Pure.

Percentiles are of the values themselves, interpolated between neighbours (AWS's are approximate for many values).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Final, Protocol

from lambent.observability.insights.functions import number, order, text
from lambent.observability.insights.rows import Timestamp, Value


class Aggregate(Protocol):
    """One figure of one group. `at_ms` is the row's time."""

    def add(self, value: Value, at_ms: int) -> None: ...

    def result(self) -> Value: ...


class Count:
    """Rows, or rows that have the field."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Value, at_ms: int) -> None:
        self._count += value is not None

    def result(self) -> Value:
        return self._count


class CountDistinct:
    """Different values."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, value: Value, at_ms: int) -> None:
        if value is not None:
            self._seen.add(text(value))

    def result(self) -> Value:
        return len(self._seen)


class _Numbers:
    def __init__(self) -> None:
        self.values = array("d")

    def add(self, value: Value, at_ms: int) -> None:
        as_number = number(value)
        if as_number is not None:
            self.values.append(as_number)


class Sum(_Numbers):
    """The sum of the numbers; none if there are none."""

    def result(self) -> Value:
        return math.fsum(self.values) if self.values else None


class Average(_Numbers):
    """Their mean."""

    def result(self) -> Value:
        return math.fsum(self.values) / len(self.values) if self.values else None


class Deviation(_Numbers):
    """Their standard deviation (of the population)."""

    def result(self) -> Value:
        if not self.values:
            return None
        mean = math.fsum(self.values) / len(self.values)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in self.values) / len(self.values))


class Percentile(_Numbers):
    """The value below which `percent` of the numbers are."""

    def __init__(self, percent: float) -> None:
        super().__init__()
        self._percent = percent

    def result(self) -> Value:
        if not self.values:
            return None
        values = sorted(self.values)
        position = (len(values) - 1) * self._percent / 100
        low = math.floor(position)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (position - low)


class Extreme:
    """The least or greatest value."""

    def __init__(self, *, greatest: bool) -> None:
        self._greatest = greatest
        self._best: Value = None
        self._place: tuple[int, float, str] | None = None

    def add(self, value: Value, at_ms: int) -> None:
        if value is None:
            return
        place = order(value)
        if self._place is None or (place > self._place) is self._greatest:
            self._best, self._place = value, place

    def result(self) -> Value:
        found = number(self._best)
        return self._best if found is None or isinstance(self._best, Timestamp) else found


class AtTime:
    """The value of the earliest or latest row that has the field."""

    def __init__(self, *, latest: bool) -> None:
        self._latest = latest
        self._at_ms: int | None = None
        self._value: Value = None

    def add(self, value: Value, at_ms: int) -> None:
        if value is None:
            return
        if self._at_ms is None or (at_ms > self._at_ms if self._latest else at_ms < self._at_ms):
            self._at_ms, self._value = at_ms, value

    def result(self) -> Value:
        return self._value


AGGREGATES: Final[dict[str, Callable[[], Aggregate]]] = {
    "count": Count,
    "count_distinct": CountDistinct,
    "sum": Sum,
    "avg": Average,
    "stddev": Deviation,
    "median": lambda: Percentile(50),
    "min": lambda: Extreme(greatest=False),
    "max": lambda: Extreme(greatest=True),
    "sortsfirst": lambda: Extreme(greatest=False),
    "sortslast": lambda: Extreme(greatest=True),
    "earliest": lambda: AtTime(latest=False),
    "latest": lambda: AtTime(latest=True),
}
PERCENTILES: Final = ("pct", "percentile")
