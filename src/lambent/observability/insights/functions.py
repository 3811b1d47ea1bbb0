"""The functions of queries, and how values compare, count and are shown. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html. A function of what
is not there, or of what is no number where one is needed, gives nothing (None).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from lambent.observability.insights.rows import Timestamp, Value

_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*\Z")

PERIODS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}
"""Periods of a fixed length. (Months, quarters and years are not offered.)"""


def number(value: Value) -> float | int | None:
    """A value as a number, if it is one."""
    if value is None or isinstance(value, Timestamp):  # what is asked about most comes first
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if len(value) < 400 and _NUMBER.match(value):
        parsed = float(value)
        return parsed if math.isfinite(parsed) else None
    return None


def text(value: Value) -> str:
    """A value as it is shown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Timestamp):
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=value)
        return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{value % 1000:03d}"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.10g}"
    return str(value)


def truth(value: Value) -> bool:
    """Whether a value counts as true: a number that is not 0, a text that is not empty."""
    return bool(value)


def equal(left: Value, right: Value) -> bool:
    """Whether two values are the same, as numbers if they both are some."""
    a, b = number(left), number(right)
    if a is not None and b is not None:
        return a == b
    return text(left) == text(right)


def order(value: Value) -> tuple[int, float, str]:
    """A key to sort by: numbers, then texts. (None is for the caller to place.)"""
    as_number = number(value)
    return (0, as_number, "") if as_number is not None else (1, 0.0, text(value))


def compare(operator: str, left: Value, right: Value) -> bool:
    """A comparison; false with what is not there."""
    if left is None or right is None:
        return False
    match operator:
        case "=":
            return equal(left, right)
        case "!=":
            return not equal(left, right)
    a, b = order(left), order(right)
    if a[0] != b[0]:  # a number and a text
        a, b = (1, 0.0, text(left)), (1, 0.0, text(right))
    match operator:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case _:
            return a >= b


def calculate(operator: str, left: Value, right: Value) -> Value:
    """An arithmetic operation."""
    a, b = number(left), number(right)
    if a is None or b is None:
        return None
    try:
        match operator:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case "/":
                result = a / b
            case "%":
                result = math.fmod(a, b)
            case _:
                result = math.pow(a, b)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return result if math.isfinite(result) else None


def floor_to(value: Value, period_ms: int) -> Value:
    """A time cut down to a multiple of a period."""
    at = number(value)
    return None if at is None else Timestamp(int(at // period_ms) * period_ms)


def ceil_to(value: Value, period_ms: int) -> Value:
    """A time rounded up to a multiple of a period."""
    at = number(value)
    return None if at is None else Timestamp(math.ceil(at / period_ms) * period_ms)


Function = Callable[[Sequence[Value]], Value]


def _numeric(compute: Callable[..., float]) -> Function:
    def call(arguments: Sequence[Value]) -> Value:
        numbers = [number(argument) for argument in arguments]
        if any(each is None for each in numbers):
            return None
        try:
            result = compute(*numbers)
        except (ValueError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    return call


def _textual(compute: Callable[..., Value]) -> Function:
    def call(arguments: Sequence[Value]) -> Value:
        if any(argument is None for argument in arguments):
            return None
        return compute(*[text(argument) for argument in arguments])

    return call


def _substr(source: str, start: str, length: str | None = None) -> Value:
    first, size = number(start), None if length is None else number(length)
    if first is None or (length is not None and size is None):
        return None
    begin = max(0, int(first))
    return source[begin:] if size is None else source[begin : begin + max(0, int(size))]


def _address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def _in_subnet(value: str, subnet: str) -> bool:
    address = _address(value)
    try:
        network = ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False
    return address is not None and address.version == network.version and address in network


def _is_version(value: str, version: int) -> bool:
    address = _address(value)
    return address is not None and address.version == version


FUNCTIONS: Final[dict[str, tuple[int, int, Function]]] = {
    "abs": (1, 1, _numeric(abs)),
    "ceil": (1, 1, _numeric(math.ceil)),
    "floor": (1, 1, _numeric(math.floor)),
    "greatest": (1, 99, _numeric(max)),
    "least": (1, 99, _numeric(min)),
    "log": (1, 1, _numeric(math.log)),
    "sqrt": (1, 1, _numeric(math.sqrt)),
    "ispresent": (1, 1, lambda a: a[0] is not None),
    "coalesce": (1, 99, lambda a: next((each for each in a if each is not None), None)),
    "if": (3, 3, lambda a: a[1] if truth(a[0]) else a[2]),
    "isempty": (1, 1, lambda a: text(a[0]) == ""),
    "isblank": (1, 1, lambda a: not text(a[0]).strip()),
    "concat": (1, 99, lambda a: "".join(map(text, a))),
    "ltrim": (1, 2, _textual(str.lstrip)),
    "rtrim": (1, 2, _textual(str.rstrip)),
    "trim": (1, 2, _textual(str.strip)),
    "strlen": (1, 1, _textual(len)),
    "toupper": (1, 1, _textual(str.upper)),
    "tolower": (1, 1, _textual(str.lower)),
    "substr": (2, 3, _textual(_substr)),
    "replace": (3, 3, _textual(lambda source, old, new: source.replace(old, new))),
    "strcontains": (2, 2, _textual(lambda source, part: int(part in source))),
    "tomillis": (1, 1, lambda a: None if number(a[0]) is None else int(number(a[0]) or 0)),
    "frommillis": (1, 1, lambda a: None if number(a[0]) is None else Timestamp(int(number(a[0]) or 0))),
    "isvalidip": (1, 1, _textual(lambda value: _address(value) is not None)),
    "isvalidipv4": (1, 1, _textual(lambda value: _is_version(value, 4))),
    "isvalidipv6": (1, 1, _textual(lambda value: _is_version(value, 6))),
    "isipinsubnet": (2, 2, _textual(_in_subnet)),
    "isipv4insubnet": (2, 2, _textual(lambda value, subnet: _is_version(value, 4) and _in_subnet(value, subnet))),
    "isipv6insubnet": (2, 2, _textual(lambda value, subnet: _is_version(value, 6) and _in_subnet(value, subnet))),
}
"""Name in lower case → the least and most arguments, and the function."""
