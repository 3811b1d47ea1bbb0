"""The comparisons of event patterns: from the JSON of one to a test of a field's value. Pure.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html. A value is what JSON has at a
leaf: text, number, truth value or null.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

Value = str | int | float | bool | None
Test = Callable[[Value], bool]

NUMBER_MAX: Final = 5e9

_LOWER: Final = (">", ">=")
_UPPER: Final = ("<", "<=")


class InvalidPatternError(Exception):
    """Not an event pattern; the message says why, as EventBridge does."""


def exact(wanted: object) -> Test:
    """An element of a field's list that is no comparison."""
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: value == wanted
    if is_number(wanted):
        return lambda value: is_number(value) and value == wanted
    raise InvalidPatternError("Match value must be String, number, true, false, or null")


def comparison(operator: str, operand: object) -> Test:
    """`{operator: operand}`. Raises InvalidPatternError. (`exists` is the business of the pattern.)"""
    compile_ = _OPERATORS.get(operator)
    if compile_ is None:
        raise InvalidPatternError(f"Unrecognized match type {operator}")
    return compile_(operand)


def is_number(value: object) -> TypeGuard[int | float]:
    """JSON's numbers, of which truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(operand: object, operator: str) -> str:
    if not isinstance(operand, str):
        raise InvalidPatternError(f"{operator} match pattern must be a string")
    return operand


def _prefix(operand: object) -> Test:
    folded, wanted = _maybe_folded(operand, "prefix")
    return lambda value: isinstance(value, str) and (value.lower() if folded else value).startswith(wanted)


def _suffix(operand: object) -> Test:
    folded, wanted = _maybe_folded(operand, "suffix")
    return lambda value: isinstance(value, str) and (value.lower() if folded else value).endswith(wanted)


def _maybe_folded(operand: object, operator: str) -> tuple[bool, str]:
    """`"text"` or `{"equals-ignore-case": "text"}`."""
    if isinstance(operand, dict):
        if list(operand) != ["equals-ignore-case"]:
            raise InvalidPatternError(f"Unsupported {operator} pattern: {', '.join(operand)}")
        return True, _text(operand["equals-ignore-case"], operator).lower()
    return False, _text(operand, operator)


def _equals_ignore_case(operand: object) -> Test:
    wanted = _text(operand, "equals-ignore-case").lower()
    return lambda value: isinstance(value, str) and value.lower() == wanted


def _wildcard(operand: object) -> Test:
    parts = _wildcard_parts(_text(operand, "wildcard"))
    return lambda value: isinstance(value, str) and _matches_parts(value, parts)


def _wildcard_parts(pattern: str) -> list[str]:
    """The texts between the stars; a backslash makes a star or a backslash one of the text."""
    parts, position = [""], 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            following = pattern[position + 1 : position + 2]
            if following not in ("*", "\\"):
                raise InvalidPatternError(f"Invalid escape character at pos {position}")
            parts[-1] += following
            position += 1
        elif character == "*":
            if pattern[position + 1 : position + 2] == "*":
                raise InvalidPatternError(f"Consecutive wildcard characters at pos {position}")
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    return parts


def _matches_parts(value: str, parts: list[str]) -> bool:
    """In time linear to the value for each part: every part where it is found first."""
    if len(parts) == 1:
        return value == parts[0]
    first, *middle, last = parts
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _numeric(operand: object) -> Test:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPatternError("Value of numeric must be an array of one or two comparisons")
    tests = [_bound(operand[at], operand[at + 1]) for at in range(0, len(operand), 2)]
    if len(tests) == 2:
        if operand[0] not in _LOWER or operand[2] not in _UPPER:
            raise InvalidPatternError(f"Bad numeric range operator: {operand[2]}")
        if not operand[1] < operand[3]:
            raise InvalidPatternError("Bottom must be less than top")
    return lambda value: is_number(value) and abs(value) <= NUMBER_MAX and all(test(value) for test in tests)


def _bound(operator: object, number: object) -> Callable[[int | float], bool]:
    if not is_number(number) or not abs(number) <= NUMBER_MAX:
        raise InvalidPatternError("Value must be between -5.0E9 and 5.0E9, inclusive")
    match operator:
        case "=":
            return lambda value: value == number
        case "<":
            return lambda value: value < number
        case "<=":
            return lambda value: value <= number
        case ">":
            return lambda value: value > number
        case ">=":
            return lambda value: value >= number
    raise InvalidPatternError(f"Unrecognized numeric range operator: {operator}")


def _cidr(operand: object) -> Test:
    text = _text(operand, "cidr")
    if "/" not in text:
        raise InvalidPatternError("Malformed CIDR, one '/' required")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidPatternError(f"Malformed CIDR: {error}") from None

    def test(value: Value) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


def _anything_but(operand: object) -> Test:
    if isinstance(operand, dict):
        if len(operand) != 1:
            raise InvalidPatternError("Only one key allowed in match expression")
        ((operator, excluded),) = operand.items()
        compile_ = _EXCLUDABLE.get(operator)
        if compile_ is None:
            raise InvalidPatternError(f"Unsupported anything-but pattern: {operator}")
        tests = [compile_(one) for one in _listed(excluded)]
    else:
        listed = _listed(operand)
        if not (all(isinstance(one, str) for one in listed) or all(is_number(one) for one in listed)):
            raise InvalidPatternError("Inside anything but list, either all values are number or string")
        tests = [exact(one) for one in listed]
    return lambda value: not any(test(value) for test in tests)


def _listed(operand: object) -> list[object]:
    listed = operand if isinstance(operand, list) else [operand]
    if not listed:
        raise InvalidPatternError("Empty arrays are not allowed")
    return listed


_OPERATORS: Final[Mapping[str, Callable[[object], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
_EXCLUDABLE: Final = {
    name: _OPERATORS[name] for name in ("prefix", "suffix", "equals-ignore-case", "wildcard")
}  # with one text, or a list of them
OPERATOR_NAMES: Final = frozenset(_OPERATORS) | {"exists"}
