"""Filter patterns for unstructured log events: terms, optional and excluded terms, phrases. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. Matching is case-sensitive and by
containment. Every term must be there; `-term` must not; of terms marked `?` any one will do, and beside other terms
those are ignored, as AWS says. A term with anything but letters, digits and underscores must be in double quotes.
Regular expressions (`%…%`), columns (`[…]`) and JSON selectors (`{…}`) are refused, never ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))(?=\s|\Z)')
_WORD = re.compile(r"\w+\Z")
_STRUCTURED = {"{": "JSON selectors", "[": "space-delimited columns", "%": "regular expressions"}


class InvalidFilterPatternError(Exception):
    """The pattern is not one, or of a kind that is not supported."""


@dataclass(frozen=True, slots=True)
class FilterPattern:
    """Terms as UTF-8. `required`: all of them; `excluded`: none; `optional`: one of them, if there are any."""

    required: tuple[bytes, ...] = ()
    excluded: tuple[bytes, ...] = ()
    optional: tuple[bytes, ...] = ()

    @property
    def matches_all(self) -> bool:
        """Whether there is nothing to test."""
        return not (self.required or self.excluded or self.optional)

    def matches(self, message: bytes) -> bool:
        """Whether a message (UTF-8) matches."""
        for term in self.required:
            if term not in message:
                return False
        for term in self.excluded:
            if term in message:
                return False
        return not self.optional or any(term in message for term in self.optional)


def parse_filter_pattern(text: str) -> FilterPattern:
    """Read a pattern. Raises InvalidFilterPatternError, whose text is for the client."""
    stripped = text.strip()
    kind = _STRUCTURED.get(stripped[:1])
    if kind is not None:
        raise InvalidFilterPatternError(f"Invalid filter pattern: {kind} are not supported by this version of Lambent")
    terms: dict[str, list[bytes]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(stripped):
        match = _TERM.match(stripped, at)
        if match is None:
            raise InvalidFilterPatternError("Invalid filter pattern")
        word, phrase = match["word"], match["phrase"]
        if word is not None and _WORD.match(word) is None:
            raise InvalidFilterPatternError(f"Invalid character(s) in term '{word}'")
        term = word if word is not None else re.sub(r"\\(.)", r"\1", phrase)
        if term:
            terms[match["sign"]].append(term.encode())
        at = match.end()
    optional = () if terms[""] or terms["-"] else tuple(terms["?"])
    return FilterPattern(tuple(terms[""]), tuple(terms["-"]), optional)
