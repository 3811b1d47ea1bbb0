"""Metric math: what an expression is worth, given the series it names. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax. A value is a
number, a series (time → number) or an array of series. Two series combine where both have a value; a number combines
with every value of a series, an array element by element. Comparisons give 1 and 0; a division by zero gives nothing.
"""

from __future__ import annotations

import itertools
import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lambent.observability.metrics.expressions import (
    Array,
    Call,
    ExpressionError,
    Name,
    Negated,
    Node,
    Number,
    Operation,
    Text,
)


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers by time (epoch seconds). `period_s`: from one value to the next, at least. `label`: as it is shown."""

    points: Mapping[int, float]
    period_s: int
    label: str = ""


Value = float | Series | list[Series]
Binary = Callable[[float, float], float]
Reduce = Callable[[Sequence[float]], float]


def _power(left: float, right: float) -> float:
    result: float | complex = left**right
    if isinstance(result, complex):
        raise ZeroDivisionError  # has no value among real numbers
    return result


_OPERATORS: Final[dict[str, Binary]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": _power,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}
_REDUCERS: Final[dict[str, Reduce]] = {
    "SUM": math.fsum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
}
_ROUNDERS: Final[dict[str, Callable[[float], float]]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": math.log,
    "LOG10": math.log10,
}


class Evaluation:
    """Evaluates expressions over `series` (by id). `metrics` are those METRICS() means, by id; `times` the beginnings
    of the periods that were asked for, for FILL and for numbers that are to be series."""

    def __init__(self, series: Mapping[str, Value], metrics: Mapping[str, Series], times: Sequence[int]) -> None:
        self._series = series
        self._metrics = metrics
        self._times = times

    def value(self, node: Node) -> Value:
        """Raises ExpressionError."""
        match node:
            case Number(value=number):
                return number
            case Name(name=name):
                if name not in self._series:
                    raise ExpressionError(f"there is no query with the id {name!r}")
                return self._series[name]
            case Negated(operand=operand):
                return _combine(operator.mul, -1.0, self.value(operand))
            case Operation(operator=symbol, left=left, right=right):
                return _combine(_OPERATORS[symbol], self.value(left), self.value(right))
            case Array(items=items):
                return [one for item in items for one in _as_list(self.value(item))]
            case Call(function=function, arguments=arguments):
                return self._call(function, arguments)
            case Text():
                raise ExpressionError("a text where a value was expected")

    def _call(self, function: str, arguments: tuple[Node, ...]) -> Value:
        if function == "METRICS":
            return self._named_metrics(arguments)
        if function == "FILL":
            _expect(function, arguments, 2)
            return self._fill(self.value(arguments[0]), arguments[1])
        values = [self.value(argument) for argument in arguments]
        if function in _REDUCERS:
            return _reduce(function, values)
        if function == "IF":
            return self._if(values)
        _expect(function, arguments, 1)
        if function == "TIME_SERIES":
            return self._time_series(values[0])
        if function in _ROUNDERS:
            return _mapped(values[0], lambda series: _each(series, _ROUNDERS[function]))
        if function in _SERIES_FUNCTIONS:
            return _mapped(values[0], _SERIES_FUNCTIONS[function])
        raise ExpressionError(f"the function {function} is not offered")

    def _named_metrics(self, arguments: tuple[Node, ...]) -> list[Series]:
        if not arguments:
            return list(self._metrics.values())
        if len(arguments) > 1 or not isinstance(arguments[0], Text):
            raise ExpressionError("METRICS takes nothing, or one text")
        wanted = arguments[0].value
        return [series for name, series in self._metrics.items() if wanted in name]

    def _fill(self, value: Value, filler: Node) -> Value:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: a number, another
        series, REPEAT (the value before) or LINEAR (between the values around)."""
        if isinstance(filler, Name) and filler.name in ("REPEAT", "LINEAR"):
            fill = _repeated if filler.name == "REPEAT" else _linear
            return _mapped(
                value, lambda series: Series(fill(series.points, self._times), series.period_s, series.label)
            )
        given = self.value(filler)
        if isinstance(given, list):
            raise ExpressionError("FILL fills with a number or one series")

        def filled(series: Series) -> Series:
            points = dict.fromkeys(self._times, given) if isinstance(given, float) else dict(given.points)
            merged = {**points, **series.points}
            return Series({at: merged[at] for at in sorted(merged)}, series.period_s, series.label)

        return _mapped(value, filled)

    def _time_series(self, value: Value) -> Value:
        if not isinstance(value, float):
            raise ExpressionError("TIME_SERIES takes a number")
        period = self._times[1] - self._times[0] if len(self._times) > 1 else 60
        return Series(dict.fromkeys(self._times, value), period)

    def _if(self, values: list[Value]) -> Value:
        """IF(condition, then[, otherwise]): without the last, periods where the condition does not hold drop out."""
        if len(values) not in (2, 3):
            raise ExpressionError("IF takes two or three values")
        for value in values:
            if isinstance(value, list):
                raise ExpressionError("IF takes numbers and single series")
        condition, then = values[0], values[1]
        otherwise = values[2] if len(values) == 3 else None
        if isinstance(condition, float):
            if condition:
                return then
            if otherwise is None:
                return Series({}, 60)
            return otherwise
        if isinstance(condition, list):
            raise ExpressionError("IF takes numbers and single series")
        points: dict[int, float] = {}
        for at, holds in condition.points.items():
            chosen = _at(then if holds else otherwise, at)
            if chosen is not None:
                points[at] = chosen
        return Series(points, condition.period_s)


def _at(value: Value | None, at: int) -> float | None:
    return value.points.get(at) if isinstance(value, Series) else value if isinstance(value, float) else None


def _as_list(value: Value) -> list[Series]:
    if isinstance(value, float):
        raise ExpressionError("a number where a series was expected")
    return [value] if isinstance(value, Series) else value


def _expect(function: str, arguments: Sequence[Node], count: int) -> None:
    if len(arguments) != count:
        raise ExpressionError(f"{function} takes {count} value{'s' if count > 1 else ''}")


def _combine(apply: Binary, left: Value, right: Value) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        return _combine_lists(apply, left, right)
    if isinstance(left, float) and isinstance(right, float):
        result = _applied(apply, left, right)
        if result is None:
            raise ExpressionError("a number that is not finite")
        return result
    sides = [side for side in (left, right) if isinstance(side, Series)]
    points: dict[int, float] = {}
    for at in sides[0].points:
        a, b = _at(left, at), _at(right, at)
        if a is not None and b is not None and (result := _applied(apply, a, b)) is not None:
            points[at] = result
    return Series(points, max(side.period_s for side in sides), sides[0].label)


def _combine_lists(apply: Binary, left: Value, right: Value) -> list[Series]:
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise ExpressionError("arrays of different lengths")
        pairs: list[tuple[Value, Value]] = list(zip(left, right, strict=True))
    elif isinstance(left, list):
        pairs = [(one, right) for one in left]
    else:
        pairs = [(left, one) for one in _as_list(right)]
    combined = [_combine(apply, a, b) for a, b in pairs]
    return [one for one in combined if isinstance(one, Series)]


def _applied(apply: Binary, left: float, right: float) -> float | None:
    try:
        result = apply(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def _reduce(function: str, values: list[Value]) -> Value:
    """Of one series a number; of an array, or of several values, a series over time."""
    apply = _REDUCERS[function]
    if len(values) == 1 and isinstance(values[0], Series):
        if not values[0].points:
            return values[0]
        return float(apply(list(values[0].points.values())))
    if len(values) > 1 and all(isinstance(value, float) for value in values):
        return float(apply([value for value in values if isinstance(value, float)]))
    if not values:
        raise ExpressionError(f"{function} takes a series or an array")
    gathered: dict[int, list[float]] = {}
    period = 60
    for series in (one for value in values for one in _as_list(value)):
        period = max(period, series.period_s)
        for at, number in series.points.items():
            gathered.setdefault(at, []).append(number)
    return Series({at: float(apply(gathered[at])) for at in sorted(gathered)}, period)


def _mapped(value: Value, change: Callable[[Series], Series]) -> Value:
    if isinstance(value, float):
        at = change(Series({0: value}, 60)).points.get(0)
        if at is None:
            raise ExpressionError("a number where a series was expected")
        return at
    return change(value) if isinstance(value, Series) else [change(series) for series in value]


def _each(series: Series, apply: Callable[[float], float]) -> Series:
    points: dict[int, float] = {}
    for at, number in series.points.items():
        try:
            points[at] = float(apply(number))
        except ValueError:
            continue  # the logarithm of what has none
    return Series(points, series.period_s, series.label)


def _changes(series: Series, *, per_second: bool) -> Series:
    points: dict[int, float] = {}
    before: tuple[int, float] | None = None
    for at in sorted(series.points):
        number = series.points[at]
        if before is not None:
            points[at] = (number - before[1]) / (at - before[0] if per_second else 1)
        before = at, number
    return Series(points, series.period_s, series.label)


def _running_sum(series: Series) -> Series:
    total = 0.0
    points: dict[int, float] = {}
    for at in sorted(series.points):
        total += series.points[at]
        points[at] = total
    return Series(points, series.period_s, series.label)


_SERIES_FUNCTIONS: Final[dict[str, Callable[[Series], Series]]] = {
    "RATE": lambda series: _changes(series, per_second=True),
    "DIFF": lambda series: _changes(series, per_second=False),
    "PERIOD": lambda series: _each(series, lambda _: series.period_s),
    "RUNNING_SUM": _running_sum,
}


def _repeated(points: Mapping[int, float], times: Sequence[int]) -> dict[int, float]:
    filled: dict[int, float] = {}
    last: float | None = None
    for at in sorted({*points, *times}):
        last = points.get(at, last)
        if last is not None:
            filled[at] = last
    return filled


def _linear(points: Mapping[int, float], times: Sequence[int]) -> dict[int, float]:
    known = sorted(points)
    filled = dict(points)
    for left, right in itertools.pairwise(known):
        for at in times:
            if left < at < right:
                share = (at - left) / (right - left)
                filled[at] = points[left] + share * (points[right] - points[left])
    return {at: filled[at] for at in sorted(filled)}
