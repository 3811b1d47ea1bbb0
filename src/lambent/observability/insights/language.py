"""The words of a query: tokens, and the place in them. Pure.

A slash begins a regular expression only where one may stand (after `like`, `=~` and `parse FIELD`), which only the
reader knows; so tokens are made as they are asked for.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SPACE: Final = re.compile(r"(?:\s|#[^\n]*|//[^\n]*)*")
_TOKEN: Final = re.compile(
    r"""
        (?P<duration>\d+(?:ms|s|m|h|d|w|mo|q|y)\b)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<quoted>`[^`]+`)
      | (?P<name>@{0,2}[^\W\d][\w.@]*)
      | (?P<mark>!=|<=|>=|=~|[=<>+\-*/^%(),|\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX: Final = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


class MalformedQueryError(Exception):
    """The query is not one. Its text is for the client; `position` is a place in the query."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Token(NamedTuple):
    """A token: `kind` is duration, number, string, quoted, name, mark, or end."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """A name in lower case (commands and operators are written either way); of others nothing."""
        return self.text.lower() if self.kind == "name" else ""


class Reader:
    """The tokens of a query, from the first on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.last_end = 0

    def peek(self) -> Token:
        """What comes, without taking it."""
        start = self._skip()
        if start >= len(self.text):
            return Token("end", "", start, start)
        match = _TOKEN.match(self.text, start)
        if match is None or match.lastgroup is None:
            raise MalformedQueryError(f"unexpected symbol found {self.text[start]}", start)
        return Token(match.lastgroup, match.group(), start, match.end())

    def take(self) -> Token:
        """What comes."""
        token = self.peek()
        self.position = self.last_end = token.end
        return token

    def take_mark(self, mark: str) -> bool:
        """Whether this mark comes; then it is taken."""
        token = self.peek()
        if token.kind == "mark" and token.text == mark:
            self.take()
            return True
        return False

    def take_word(self, *words: str) -> str | None:
        """Which of these words comes, if one does; then it is taken."""
        word = self.peek().word
        if word in words:
            self.take()
            return word
        return None

    def expect_mark(self, mark: str) -> None:
        """Take a mark that must come."""
        if not self.take_mark(mark):
            raise self.unexpected()

    def take_regex(self) -> re.Pattern[str] | None:
        """A regular expression between slashes, if one comes."""
        start = self._skip_space_only()
        match = _REGEX.match(self.text, start)
        if match is None:
            return None
        self.position = self.last_end = match.end()
        return compile_regex(match[1], start)

    def field_name(self) -> str:
        """The name of a field, which must come."""
        token = self.take()
        if token.kind == "quoted":
            return token.text[1:-1]
        if token.kind != "name":
            raise MalformedQueryError(f"a field name is missing before '{token.text}'", token.start)
        return token.text

    def unexpected(self) -> MalformedQueryError:
        """The error that says what comes."""
        token = self.peek()
        what = f"'{token.text}'" if token.text else "the end of the query"
        return MalformedQueryError(f"unexpected symbol found {what}", token.start)

    def since(self, start: int) -> str:
        """The text from a place to the last token taken."""
        return self.text[start : self.last_end].strip()

    def _skip(self) -> int:
        match = _SPACE.match(self.text, self.position)
        return match.end() if match else self.position

    def _skip_space_only(self) -> int:
        """As `_skip`, where two slashes would be an empty expression and no comment."""
        at = self.position
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        return at


def unquote(text: str) -> str:
    """The text of a string token."""
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])


def compile_regex(text: str, position: int) -> re.Pattern[str]:
    """A regular expression as AWS writes it: named groups `(?<name>…)`, and `(?i)` wherever it stands."""
    flags = re.IGNORECASE if "(?i)" in text else 0
    translated = text.replace("(?i)", "").replace(r"\/", "/")
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", translated)
    try:
        return re.compile(translated, flags)
    except (re.error, OverflowError) as error:
        raise MalformedQueryError(f"invalid regular expression /{text}/: {error}", position) from None
