"""Regular expressions and wildcards of filter patterns, in time that grows with the text and no faster. Pure.

They are matched on the event loop against whatever functions print, and Python's `re` may take time that grows with a
power of the text's length. So `re` is used where that cannot be much; otherwise the expression, which has no groups, is
run as an automaton whose states are the bits of one number.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html, "Supported regular expressions".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_ALPHABET: Final = re.compile(r"(?:[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|*+.\s]|\\.)+\Z", re.ASCII)
_ITEM: Final = re.compile(
    r"(?P<atom>\[\^?\]?(?:[^\]\\]|\\.)*\]|\\x[0-9A-Fa-f]{2}|\\.|[^\\])"
    r"(?P<quantifier>[*+?]|\{\d*,?\d*\})?(?P<lazy>[?+])?",
    re.DOTALL,
)
_NARROW: Final = 8
_CLASS_ESCAPES: Final = "dDsSwW"
_ITEMS_MAX: Final = 2000
_WORK_MAX: Final = 2_000_000  # steps of `re` at worst: some 20 ms
_EVERY_BYTE: Final = [bytes([byte]) for byte in range(256)]


class RegexError(Exception):
    """Not a regular expression of the kind that is allowed."""


class Wildcards:
    """A text in which `*` stands for any text."""

    def __init__(self, text: str) -> None:
        self._first, *rest = re.split(r"\*+", text)
        self._last = rest.pop() if rest else None
        self._middle = rest

    def matches(self, text: str) -> bool:
        """Whether all of `text` is so."""
        if self._last is None:
            return text == self._first
        if not text.startswith(self._first):
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for part in self._middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end and text.endswith(self._last)


@dataclass(frozen=True, slots=True)
class _Item:
    """Bytes that match (`table[byte]`), whether it may be left out, and whether it may come again."""

    table: tuple[bool, ...]
    optional: bool
    loops: bool


class Regex:
    """An expression as it stands between two `%`. Raises RegexError."""

    def __init__(self, text: str) -> None:
        if not _ALPHABET.match(text):
            raise RegexError(f"%{text}% has characters that regular expressions must not have here")
        try:
            self._pattern = re.compile(text.encode(), re.DOTALL)
        except (re.error, OverflowError) as error:
            raise RegexError(f"%{text}% is no regular expression ({error})") from None
        self._alternatives = [_Automaton(part) for part in _split(text)]
        unbounded = max(automaton.unbounded for automaton in self._alternatives)
        self._quick_bytes = int(_WORK_MAX ** (1 / (unbounded + 1))) if unbounded else 1 << 30

    def matches(self, text: bytes) -> bool:
        """Whether it is found in a text (UTF-8)."""
        if len(text) <= self._quick_bytes:
            return self._pattern.search(text) is not None
        return any(automaton.matches(text) for automaton in self._alternatives)


class _Automaton:
    """One alternative. Bit i of the state: item i may come next; the bit behind the last: all were there."""

    def __init__(self, text: str) -> None:
        self._at_start = text.startswith("^")
        self._at_end = text.endswith("$") and not text.endswith("\\$")
        inner = text[self._at_start : len(text) - self._at_end]
        items = _items(inner)
        self.unbounded = sum(map(_is_wide, _ITEM.finditer(inner)))
        self._literal = _longest_literal(inner)
        self._accept = 1 << len(items)
        self._loops = _mask(item.loops for item in items)
        self._optional = _mask(item.optional for item in items)
        self._of_byte = [_mask(item.table[byte] for item in items) for byte in range(256)]
        self._initial = self._closed(1)

    def matches(self, text: bytes) -> bool:
        if self._literal not in text:
            return False
        if self._at_end and text.endswith(b"\n") and self._runs(text[:-1]):
            return True  # `$` is also before a last line feed
        return self._runs(text)

    def _runs(self, text: bytes) -> bool:
        state, initial, accept = self._initial, 0 if self._at_start else self._initial, self._accept
        of_byte, loops, optional, at_end = self._of_byte, self._loops, self._optional, self._at_end
        if state & accept and not at_end:
            return True
        for byte in text:
            matched = state & of_byte[byte]
            state = matched << 1 | matched & loops
            if state & optional:
                state = self._closed(state)
            state |= initial
            if state & accept and not at_end:
                return True
            if not state:
                return False
        return bool(state & accept)

    def _closed(self, state: int) -> int:
        """The state, and what comes behind what may be left out."""
        while (more := state | (state & self._optional) << 1) != state:
            state = more
        return state


def _mask(flags: Iterable[bool]) -> int:
    return sum(1 << number for number, flag in enumerate(flags) if flag)


def _split(text: str) -> list[str]:
    """The alternatives."""
    parts, start = [], 0
    for match in re.finditer(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|\|", text, re.DOTALL):
        if match.group() == "|":
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _items(text: str) -> list[_Item]:
    items: list[_Item] = []
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None or match["lazy"] == "+":
            raise RegexError(f"%{text}% is no regular expression that is supported here")
        at = match.end()
        table = _table(match["atom"])
        least, most = _bounds(match["quantifier"])
        items += [_Item(table, optional=False, loops=False)] * (least if most is not None else least - 1)
        if most is None:
            items.append(_Item(table, optional=not least, loops=True))
        else:
            items += [_Item(table, optional=True, loops=False)] * (most - least)
        if len(items) > _ITEMS_MAX:
            raise RegexError(f"%{text[:80]}% is too large")
    return items


def _bounds(quantifier: str | None) -> tuple[int, int | None]:
    match quantifier:
        case None:
            return 1, 1
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least, comma, most = quantifier[1:-1].partition(",")
    if not comma:
        return int(least), int(least)
    return int(least or 0), int(most) if most else None


def _is_wide(match: re.Match[str]) -> bool:
    """Whether an item may take so many lengths that trying them one after the other takes long."""
    least, most = _bounds(match["quantifier"])
    return most is None or most - least > _NARROW


def _table(atom: str) -> tuple[bool, ...]:
    """Which bytes an atom matches."""
    if atom in ("^", "$"):
        return (False,) * 256  # an end that is not at one
    escaped = len(atom) == 2 and atom.startswith("\\")
    if escaped and atom[1].isalnum() and atom[1] not in _CLASS_ESCAPES:
        raise RegexError(f"{atom} is not supported in regular expressions here")
    compiled = re.compile(atom.encode(), re.DOTALL)
    return tuple(compiled.fullmatch(byte) is not None for byte in _EVERY_BYTE)


def _longest_literal(text: str) -> bytes:
    """A text that every match contains."""
    runs = [""]
    for match in _ITEM.finditer(text):
        atom = match["atom"]
        plain = atom[-1] if len(atom) == 1 and atom not in ".^$" else atom[1] if _is_escaped_mark(atom) else None
        if plain is not None and match["quantifier"] is None:
            runs[-1] += plain
        else:
            runs.append("")
    return max(runs, key=len).encode()


def _is_escaped_mark(atom: str) -> bool:
    return len(atom) == 2 and atom[0] == "\\" and not atom[1].isalnum()
