"""Metric math: the text of an expression as a tree. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. Numbers, ids, strings, arrays,
function calls, + - * / ^, comparisons, AND OR (&& ||), and unary minus. What a function means is in
`expression_values`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)|"
    r"(?P<text>\"[^\"]*\"|'[^']*')|(?P<operator>&&|\|\||==|!=|<=|>=|[-+*/^<>(),\[\]]))"
)
_BINDING: Final = {
    "OR": 1, "AND": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "^": 8,
}  # fmt: skip
_UNARY: Final = 7
_ALIASES: Final = {"&&": "AND", "||": "OR", "and": "AND", "or": "OR", "And": "AND", "Or": "OR"}
_DEEPEST: Final = 64


class ExpressionError(ValueError):
    """Not an expression, or one that asks for what is not offered; the message says why."""


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """The id of another query, or a word such as REPEAT."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function, its name in upper case, and what it is given."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    operand: Node


@dataclass(frozen=True, slots=True)
class Operation:
    operator: str
    left: Node
    right: Node


Node = Number | Text | Name | Array | Call | Negated | Operation


def parse(text: str) -> Node:
    """Raises ExpressionError."""
    parser = _Parser(_tokens(text))
    node = parser.expression(0, 0)
    parser.expect_end()
    return node


def names_in(node: Node) -> set[str]:
    """Every name in an expression."""
    match node:
        case Name(name=name):
            return {name}
        case Array(items=nodes) | Call(arguments=nodes):
            return set().union(*map(names_in, nodes)) if nodes else set()
        case Negated(operand=operand):
            return names_in(operand)
        case Operation(left=left, right=right):
            return names_in(left) | names_in(right)
        case _:
            return set()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"unexpected {text[position:].strip()[:1]!r}")
        kind = str(match.lastgroup)
        value = _ALIASES.get(match[kind], match[kind])
        tokens.append(("operator" if value in _BINDING else kind, value))
        position = match.end()
    return tokens


class _Parser:
    """Precedence climbing (Pratt, "Top down operator precedence", POPL 1973)."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0

    def expression(self, binding: int, depth: int) -> Node:
        if depth > _DEEPEST:
            raise ExpressionError("nested too deeply")
        left = self._operand(depth)
        while (operator := self._peek()) in _BINDING and _BINDING[operator] > binding:
            self._position += 1
            level = _BINDING[operator]
            left = Operation(operator, left, self.expression(level, depth + 1))
        return left

    def expect_end(self) -> None:
        if self._position < len(self._tokens):
            raise ExpressionError(f"unexpected {self._peek()!r}")

    def _operand(self, depth: int) -> Node:
        kind, value = self._next()
        match kind:
            case "number":
                return Number(float(value))
            case "text":
                return Text(value[1:-1])
            case "name":
                return self._name(value, depth)
        match value:
            case "-":
                return Negated(self.expression(_UNARY, depth + 1))
            case "(":
                inner = self.expression(0, depth + 1)
                self._expect(")")
                return inner
            case "[":
                return Array(self._list("]", depth))
            case _:
                raise ExpressionError(f"unexpected {value!r}")

    def _name(self, name: str, depth: int) -> Node:
        if self._peek() != "(":
            return Name(name)
        self._position += 1
        return Call(name.upper(), self._list(")", depth))

    def _list(self, closing: str, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        if self._peek() == closing:
            self._position += 1
            return ()
        while True:
            items.append(self.expression(0, depth + 1))
            _, separator = self._next()
            if separator == closing:
                return tuple(items)
            if separator != ",":
                raise ExpressionError(f"expected ',' or {closing!r} and not {separator!r}")

    def _peek(self) -> str:
        return self._tokens[self._position][1] if self._position < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._position >= len(self._tokens):
            raise ExpressionError("it ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _expect(self, value: str) -> None:
        if self._next()[1] != value:
            raise ExpressionError(f"expected {value!r}")
