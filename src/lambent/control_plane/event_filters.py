"""Is a text a filter pattern? Pure. https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html

A pattern is a JSON object; its leaves are non-empty lists of exact values and comparisons, its branches objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from lambent.model.errors import InvalidParameterValueException

_NUMERIC_OPERATORS: Final = frozenset({"=", "<", "<=", ">", ">="})
_DEPTH_MAX: Final = 50


def check_filter_pattern(pattern: str) -> None:
    """Raises InvalidParameterValueException."""
    try:
        parsed = json.loads(pattern)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not _is_branch(parsed, 0):
        raise InvalidParameterValueException("Invalid filter pattern definition.")


def _is_branch(branch: Mapping[str, Any], depth: int) -> bool:
    return depth < _DEPTH_MAX and all(_is_rule(key, value, depth) for key, value in branch.items())


def _is_rule(key: str, value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return bool(value) and _is_branch(value, depth + 1)
    if not isinstance(value, list) or not value:
        return False
    if key == "$or":
        return all(isinstance(one, dict) and _is_branch(one, depth + 1) for one in value)
    return all(_is_exact(one) or _is_comparison(one) for one in value)


def _is_exact(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _is_comparison(value: object) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((operator, operand),) = value.items()
    check = _COMPARISONS.get(operator)
    return check is not None and check(operand)


def _is_text(operand: object) -> bool:
    return isinstance(operand, str)


def _is_bool(operand: object) -> bool:
    return isinstance(operand, bool)


def _is_excluded(operand: object) -> bool:
    if isinstance(operand, list):
        return bool(operand) and all(isinstance(one, (str, int, float)) for one in operand)
    if isinstance(operand, dict):
        return len(operand) == 1 and all(
            name in ("prefix", "suffix", "equals-ignore-case") and _is_text(text) for name, text in operand.items()
        )
    return isinstance(operand, (str, int, float))


def _is_range(operand: object) -> bool:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return False
    operators, numbers = operand[::2], operand[1::2]
    return all(isinstance(one, str) and one in _NUMERIC_OPERATORS for one in operators) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers
    )


_COMPARISONS: Final[Mapping[str, Callable[[object], bool]]] = {
    "prefix": _is_text,
    "suffix": _is_text,
    "equals-ignore-case": _is_text,
    "exists": _is_bool,
    "anything-but": _is_excluded,
    "numeric": _is_range,
}
