"""What a column or a JSON selector is compared with in a filter pattern, and how. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html: strings with `*` for any text,
numbers (also with sign, decimals, exponent), regular expressions between `%`, and networks (10.0.0.0/8, fd00::/8).
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeVar, cast

from lambent.observability.logs.filter_regex import Regex, RegexError, Wildcards

REGEXES_MAX: Final = 2
"""Regular expressions in one pattern of columns or JSON selectors (the quota of FilterLogEvents)."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z")
_NETWORK: Final = re.compile(r"[0-9a-fA-F.:]+/\d{1,3}\Z")
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<regex>%(?:[^%\\]|\\.)*%)
      | (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<selector>\$(?:\.?\[(?:\d+|\*|"[^"]*"|'[^']*')\]|\.(?:[\w-]+|\*))*)
      | (?P<mark>&&|\|\||!=|>=|<=|[=<>(),])
      | (?P<word>[^\s"%$()&|=<>!,]+)
    )""",
    re.VERBOSE,
)

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
OPERATORS: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})
Subject = TypeVar("Subject")
Test = Callable[[Subject], bool]


class InvalidFilterPatternError(Exception):
    """The pattern is not one. Its text is for the client."""

    def __init__(self, reason: str = "") -> None:
        super().__init__("Invalid filter pattern" + (f": {reason}" if reason else ""))


class Token(NamedTuple):
    """A token: `kind` is regex, quoted, selector, mark, word, or end."""

    kind: str
    text: str


class Tokens:
    """The tokens of a pattern's inside, and the place in them."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self.regexes = 0

    @property
    def next(self) -> Token:
        """What comes, without taking it."""
        return self._tokens[self._at]

    def take(self) -> Token:
        """What comes."""
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def take_mark(self, mark: str) -> bool:
        """Whether this mark comes; then it is taken."""
        if self.next == Token("mark", mark):
            self._at += 1
            return True
        return False

    def take_keyword(self, keyword: str) -> bool:
        """Whether this word comes, in either case; then it is taken."""
        if self.next.kind == "word" and self.next.text.upper() == keyword:
            self._at += 1
            return True
        return False


def _tokens(text: str) -> Iterator[Token]:
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise InvalidFilterPatternError(f"unexpected text at '{text[at:].strip()[:40]}'")
        yield Token(match.lastgroup, match[match.lastgroup])
        at = match.end()
    yield Token("end", "")


def parse_conditions(tokens: Tokens, comparison: Callable[[Tokens], Test[Subject]], depth: int = 0) -> Test[Subject]:
    """Comparisons joined by `&&`, `||` (which binds less) and parentheses. Raises InvalidFilterPatternError."""
    if depth > 50:
        raise InvalidFilterPatternError("nested too deeply")

    def atom() -> Test[Subject]:
        if not tokens.take_mark("("):
            return comparison(tokens)
        inner = parse_conditions(tokens, comparison, depth + 1)
        if not tokens.take_mark(")"):
            raise InvalidFilterPatternError("a parenthesis is not closed")
        return inner

    def conjunction() -> Test[Subject]:
        tests = [atom()]
        while tokens.take_mark("&&"):
            tests.append(atom())
        return tests[0] if len(tests) == 1 else lambda subject: all(test(subject) for test in tests)

    alternatives = [conjunction()]
    while tokens.take_mark("||"):
        alternatives.append(conjunction())
    return alternatives[0] if len(alternatives) == 1 else lambda subject: any(test(subject) for test in alternatives)


@dataclass(frozen=True, slots=True)
class Operand:
    """The right side of a comparison; exactly what `text` was written as decides which of the others are there."""

    text: str
    number: float | None = None
    wildcards: Wildcards | None = None
    regex: Regex | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


def take_operator(tokens: Tokens) -> Operator:
    """The operator that must come. Raises InvalidFilterPatternError."""
    token = tokens.take()
    if token.kind != "mark" or token.text not in OPERATORS:
        raise InvalidFilterPatternError(f"an operator is missing before '{token.text}'")
    return cast(Operator, token.text)


def take_operand(tokens: Tokens, operator: Operator) -> Operand:
    """The value that must come. Raises InvalidFilterPatternError, also if the operator does not go with it."""
    token = tokens.take()
    operand = _operand(token)
    if token.kind == "regex":
        tokens.regexes += 1
        if tokens.regexes > REGEXES_MAX:
            raise InvalidFilterPatternError(f"more than {REGEXES_MAX} regular expressions")
    if operator not in ("=", "!=") and operand.number is None:
        raise InvalidFilterPatternError(f"{operator} compares numbers, and '{operand.text}' is none")
    return operand


def _operand(token: Token) -> Operand:
    text = token.text
    if token.kind == "regex":
        return Operand(text, regex=compile_regex(text[1:-1]))
    if token.kind == "quoted":
        text = unescape(text[1:-1])
        return Operand(text, wildcards=Wildcards(text))
    if token.kind != "word":
        raise InvalidFilterPatternError(f"a value is missing before '{text}'")
    if _NUMBER.match(text):
        return Operand(text, number=float(text))
    if _NETWORK.match(text):
        try:
            return Operand(text, network=ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise InvalidFilterPatternError(f"'{text}' is no network") from None
    return Operand(text, wildcards=Wildcards(text))


def compares(value: str | float, operator: Operator, operand: Operand) -> bool:
    """Whether a value (text, or a number where the log has one) compares as asked."""
    if operator in ("=", "!="):
        return equals(value, operand) is (operator == "=")
    number = number_of(value)
    if number is None or operand.number is None:
        return False
    match operator:
        case "<":
            return number < operand.number
        case "<=":
            return number <= operand.number
        case ">":
            return number > operand.number
        case _:
            return number >= operand.number


def equals(value: str | float, operand: Operand) -> bool:
    """Whether a value is what the operand says."""
    text = value if isinstance(value, str) else number_text(value)
    if operand.wildcards is not None:
        return operand.wildcards.matches(text)
    if operand.regex is not None:
        return operand.regex.matches(text.encode("utf-8", "replace"))
    if operand.network is not None:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return address.version == operand.network.version and address in operand.network
    if operand.number is not None and (number := number_of(value)) is not None:
        return number == operand.number
    return text == operand.text


def number_of(value: str | float) -> float | None:
    """A finite number, also from its text."""
    if isinstance(value, str):
        if not _NUMBER.match(value):
            return None
        value = float(value)
    return value if math.isfinite(value) else None


def number_text(value: float) -> str:
    """A number as JSON writes it: whole ones without decimals."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(value)


def compile_regex(text: str) -> Regex:
    """A regular expression of the kind allowed between `%`: ASCII, no groups. Raises InvalidFilterPatternError."""
    try:
        return Regex(text)
    except RegexError as error:
        raise InvalidFilterPatternError(str(error)) from None


def unescape(text: str) -> str:
    """The text of a phrase without its backslashes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
