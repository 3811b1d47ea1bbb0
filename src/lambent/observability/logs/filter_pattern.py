"""Filter patterns, as FilterLogEvents, metric filters and Live Tail take them. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. A pattern in braces selects from
JSON (`filter_json`), one in brackets names columns (`filter_columns`), anything else are terms: matching is
case-sensitive and by containment. Every term must be there; `-term` must not; of terms marked `?` any one will do, and
beside other terms those are ignored, as AWS says. A term with anything but letters, digits and underscores must be in
double quotes; one between `%` is a regular expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from lambent.observability.logs.filter_columns import parse_columns
from lambent.observability.logs.filter_conditions import InvalidFilterPatternError, compile_regex, unescape
from lambent.observability.logs.filter_json import parse_json_pattern
from lambent.observability.logs.filter_regex import Regex

__all__ = ["FilterPattern", "InvalidFilterPatternError", "parse_filter_pattern"]

_TERM: Final = re.compile(
    r"""\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|%(?P<regex>(?:[^%\\]|\\.)+)%|(?P<word>[^\s"]+))(?=\s|\Z)"""
)
_WORD: Final = re.compile(r"\w+\Z")


class FilterPattern(Protocol):
    """A pattern that was read."""

    @property
    def matches_all(self) -> bool:
        """Whether there is nothing to test."""
        ...

    @property
    def required(self) -> tuple[bytes, ...]:
        """Texts that every matching message contains."""
        ...

    def matches(self, message: bytes) -> bool:
        """Whether a message (UTF-8) matches."""
        ...

    def extract(self, message: str) -> dict[str, str]:
        """The values a matching message has for the pattern's columns (`$name`) or selectors (`$.a.b`)."""
        ...


@dataclass(frozen=True, slots=True)
class TermsPattern:
    """Terms as UTF-8. `required`: all of them; `excluded`: none; `optional`: one of them, if there are any.

    The regular expressions likewise.
    """

    required: tuple[bytes, ...] = ()
    excluded: tuple[bytes, ...] = ()
    optional: tuple[bytes, ...] = ()
    required_regexes: tuple[Regex, ...] = ()
    excluded_regexes: tuple[Regex, ...] = ()
    optional_regexes: tuple[Regex, ...] = ()

    @property
    def matches_all(self) -> bool:
        """See `FilterPattern`."""
        return self == TermsPattern()

    def matches(self, message: bytes) -> bool:
        """See `FilterPattern`."""
        for term in self.required:
            if term not in message:
                return False
        for term in self.excluded:
            if term in message:
                return False
        if any(not regex.matches(message) for regex in self.required_regexes):
            return False
        if any(regex.matches(message) for regex in self.excluded_regexes):
            return False
        if not self.optional and not self.optional_regexes:
            return True
        return any(term in message for term in self.optional) or any(
            regex.matches(message) for regex in self.optional_regexes
        )

    def extract(self, message: str) -> dict[str, str]:
        """See `FilterPattern`: terms have no values."""
        return {}


def parse_filter_pattern(text: str) -> FilterPattern:
    """Read a pattern. Raises InvalidFilterPatternError, whose text is for the client."""
    stripped = text.strip()
    if stripped.startswith("{"):
        return parse_json_pattern(stripped)
    if stripped.startswith("["):
        return parse_columns(stripped)
    return _parse_terms(stripped)


def _parse_terms(text: str) -> TermsPattern:
    terms: dict[str, list[bytes]] = {"": [], "-": [], "?": []}
    regexes: dict[str, list[Regex]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidFilterPatternError
        at = match.end()
        sign, word, phrase, regex = match["sign"], match["word"], match["phrase"], match["regex"]
        if regex is not None:
            regexes[sign].append(compile_regex(regex))
            continue
        if word is not None and _WORD.match(word) is None:
            raise InvalidFilterPatternError(f"Invalid character(s) in term '{word}'")
        term = word if word is not None else unescape(phrase)
        if term.strip():  # `" "` is how the console writes the pattern that matches everything
            terms[sign].append(term.encode())
    alone = not (terms[""] or terms["-"] or regexes[""] or regexes["-"])
    return TermsPattern(
        tuple(terms[""]),
        tuple(terms["-"]),
        tuple(terms["?"]) if alone else (),
        tuple(regexes[""]),
        tuple(regexes["-"]),
        tuple(regexes["?"]) if alone else (),
    )
