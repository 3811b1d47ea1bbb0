"""Filter patterns of JSON selectors: `{ $.eventType = "Update*" && ($.n >= 5 || $.user.id NOT EXISTS) }`. Pure.

A selector that leads nowhere, or to an array or object, makes a comparison false whatever its operator; `[*]` and `.*`
stand for any element or member, one of which must compare. An event that is not JSON never matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.observability.logs.filter_conditions import (
    InvalidFilterPatternError,
    Test,
    Tokens,
    compares,
    number_text,
    parse_conditions,
    take_operand,
    take_operator,
)

_STEP: Final = re.compile(
    r"""\.?\[(?:(?P<index>\d+)|(?P<every>\*)|"(?P<double>[^"]*)"|'(?P<single>[^']*)')\]"""
    r"""|\.(?P<any>\*)|\.(?P<name>[\w-]+)"""
)


class _Any:
    """A step to every element or member."""


_ANY: Final = _Any()
_Step = str | int | _Any


@dataclass(frozen=True, slots=True)
class Selector:
    """A way into a JSON document."""

    text: str
    steps: tuple[_Step, ...]

    def values(self, document: Any) -> Iterator[Any]:
        """What it leads to: nothing, one value, or with wildcards several."""
        return _walk(document, self.steps)


def parse_selector(text: str) -> Selector:
    """Read `$.a.b[0]["c d"]`. Raises InvalidFilterPatternError."""
    steps: list[_Step] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise InvalidFilterPatternError(f"'{text}' is no property selector")
        kind, value = next((kind, value) for kind, value in match.groupdict().items() if value is not None)
        steps.append(_ANY if kind in ("every", "any") else int(value) if kind == "index" else value)
        at = match.end()
    if not text.startswith("$") or not steps:
        raise InvalidFilterPatternError(f"'{text}' is no property selector")
    return Selector(text, tuple(steps))


def _walk(value: Any, steps: Sequence[_Step]) -> Iterator[Any]:
    for at, step in enumerate(steps):
        if isinstance(step, _Any):
            children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            for child in children:
                yield from _walk(child, steps[at + 1 :])
            return
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return
        elif not isinstance(value, dict) or step not in value:
            return
        value = value[step]
    yield value


class JsonPattern:
    """A pattern in braces."""

    matches_all = False
    required: tuple[bytes, ...] = ()

    def __init__(self, test: Test[Any], selectors: Sequence[Selector]) -> None:
        self._test = test
        self._selectors = tuple(selectors)

    def matches(self, message: bytes) -> bool:
        """Whether a message (UTF-8) matches."""
        document = load_document(message)
        return document is not None and self._test(document)

    def extract(self, message: str) -> dict[str, str]:
        """What the pattern's selectors lead to, by selector."""
        document = load_document(message.encode("utf-8", "replace"))
        found = {}
        for selector in self._selectors:
            text = next((leaf_text(value) for value in selector.values(document)), None)
            if text is not None:
                found[selector.text] = text
        return found


def load_document(message: bytes) -> Any:
    """The object or array a message is; None if it is neither."""
    if message.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        return None


def leaf_text(value: Any) -> str | None:
    """A string, number or boolean as text; None for everything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return value if isinstance(value, str) else None


def parse_json_pattern(text: str) -> JsonPattern:
    """Read a pattern in braces. Raises InvalidFilterPatternError."""
    if not text.endswith("}"):
        raise InvalidFilterPatternError("the brace is not closed")
    tokens = Tokens(text[1:-1])
    selectors: list[Selector] = []

    def comparison(tokens: Tokens) -> Test[Any]:
        token = tokens.take()
        if token.kind != "selector":
            raise InvalidFilterPatternError(f"a property selector is missing before '{token.text}'")
        selectors.append(selector := parse_selector(token.text))
        return _comparison(tokens, selector)

    test = parse_conditions(tokens, comparison)
    if tokens.next.kind != "end":
        raise InvalidFilterPatternError(f"unexpected text at '{tokens.next.text}'")
    return JsonPattern(test, selectors)


def _comparison(tokens: Tokens, selector: Selector) -> Test[Any]:
    if tokens.take_keyword("IS"):
        for keyword, constant in (("NULL", None), ("TRUE", True), ("FALSE", False)):
            if tokens.take_keyword(keyword):
                return lambda document: any(value is constant for value in selector.values(document))
        raise InvalidFilterPatternError("IS must be followed by NULL, TRUE or FALSE")
    if tokens.take_keyword("NOT"):
        if not tokens.take_keyword("EXISTS"):
            raise InvalidFilterPatternError("NOT must be followed by EXISTS")
        return lambda document: not any(True for _ in selector.values(document))
    operator = take_operator(tokens)
    operand = take_operand(tokens, operator)

    def compare(value: Any) -> bool:
        if isinstance(value, bool):
            value = leaf_text(value)
        if isinstance(value, str) and operator not in ("=", "!="):
            return False
        return isinstance(value, str | int | float) and compares(value, operator, operand)

    return lambda document: any(compare(value) for value in selector.values(document))
