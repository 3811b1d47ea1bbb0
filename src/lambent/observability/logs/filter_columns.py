"""Filter patterns of columns: `[ip, user, ..., status_code = 4* && status_code != 403, bytes > 1000]`. Pure.

An event is cut at white space; what stands in brackets or double quotes is one field. It matches if it has as many
fields as the pattern has columns (an ellipsis stands for any number of them) and every column's condition holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lambent.observability.logs.filter_conditions import (
    OPERATORS,
    InvalidFilterPatternError,
    Test,
    Tokens,
    compares,
    parse_conditions,
    take_operand,
    take_operator,
)

_FIELD: Final = re.compile(r'\[([^\]]*)\]|"((?:[^"\\]|\\.)*)"|(\S+)')
_ELLIPSIS: Final = ("...", "\N{HORIZONTAL ELLIPSIS}")


@dataclass(frozen=True, slots=True)
class _Column:
    """`name` is empty for one that is not named."""

    name: str
    test: Test[str] | None = None


class ColumnsPattern:
    """A pattern in brackets."""

    matches_all = False
    required: tuple[bytes, ...] = ()

    def __init__(self, before: list[_Column], behind: list[_Column] | None) -> None:
        self._before = before
        self._behind = behind

    def matches(self, message: bytes) -> bool:
        """Whether a message (UTF-8) matches."""
        fields = self._fields(message.decode("utf-8", "replace"))
        return fields is not None and all(
            column.test is None or column.test(value) for column, value in self._named(fields)
        )

    def extract(self, message: str) -> dict[str, str]:
        """The fields by `$name`, those without a name by `$number`."""
        fields = self._fields(message)
        if fields is None:
            return {}
        named = [column.name for column, _ in self._named(fields)]
        skipped = len(fields) - len(named)
        names = [*named[: len(self._before)], *[""] * skipped, *named[len(self._before) :]]
        return {f"${name or number}": value for number, (name, value) in enumerate(zip(names, fields, strict=True), 1)}

    def _fields(self, text: str) -> list[str] | None:
        """The fields, if there are as many as there should be."""
        fields = [match[match.lastindex or 0] for match in _FIELD.finditer(text)]
        columns = len(self._before) + len(self._behind or ())
        fits = len(fields) == columns if self._behind is None else len(fields) >= columns
        return fields if fits else None

    def _named(self, fields: list[str]) -> list[tuple[_Column, str]]:
        behind = self._behind or []
        return [
            *zip(self._before, fields, strict=False),
            *zip(behind, fields[len(fields) - len(behind) :], strict=True),
        ]


def parse_columns(text: str) -> ColumnsPattern:
    """Read a pattern in brackets. Raises InvalidFilterPatternError."""
    if not text.endswith("]"):
        raise InvalidFilterPatternError("the bracket is not closed")
    tokens = Tokens(text[1:-1])
    before: list[_Column] = []
    behind: list[_Column] | None = None
    while True:
        if tokens.next.kind == "word" and tokens.next.text in _ELLIPSIS:
            tokens.take()
            if behind is not None:
                raise InvalidFilterPatternError("more than one ellipsis")
            behind = []
        else:
            (before if behind is None else behind).append(_column(tokens))
        if tokens.next.kind == "end":
            return ColumnsPattern(before, behind)
        if not tokens.take_mark(","):
            raise InvalidFilterPatternError(f"a comma is missing before '{tokens.next.text}'")


def _column(tokens: Tokens) -> _Column:
    if tokens.next.text in ("", ","):
        return _Column("")
    names: set[str] = set()
    bare = False

    def comparison(tokens: Tokens) -> Test[str]:
        nonlocal bare
        name = tokens.take()
        if name.kind != "word":
            raise InvalidFilterPatternError(f"a column's name is missing before '{name.text}'")
        names.add(name.text)
        if not (tokens.next.kind == "mark" and tokens.next.text in OPERATORS):
            bare = True
            return lambda value: True
        operator = take_operator(tokens)
        operand = take_operand(tokens, operator)
        return lambda value: compares(value, operator, operand)

    test = parse_conditions(tokens, comparison)
    if len(names) != 1:
        raise InvalidFilterPatternError("the conditions of a column must all be on that column")
    return _Column(names.pop(), None if bare else test)
