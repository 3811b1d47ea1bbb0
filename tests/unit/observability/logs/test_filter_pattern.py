"""Filter patterns: AWS's documented examples for unstructured events, and what is refused."""

from __future__ import annotations

import pytest

from lambent.observability.logs.filter_pattern import InvalidFilterPatternError, parse_filter_pattern

BAD_REQUEST = "[ERROR 400] BAD REQUEST"
UNAUTHORIZED = "[ERROR 401] UNAUTHORIZED REQUEST"
MISSING = "[ERROR 419] MISSING ARGUMENTS"
INVALID = "[ERROR 420] INVALID ARGUMENTS"
WARNING = "[WARN 1] ARGUMENTS"
ALL = [BAD_REQUEST, UNAUTHORIZED, MISSING, INVALID, WARNING]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ALL),
        ("   ", ALL),
        ("ERROR", [BAD_REQUEST, UNAUTHORIZED, MISSING, INVALID]),
        ("error", []),
        ("ERROR ARGUMENTS", [MISSING, INVALID]),
        ("?WARN ?400", [BAD_REQUEST, WARNING]),
        ("ERROR -ARGUMENTS", [BAD_REQUEST, UNAUTHORIZED]),
        ("-ERROR", [WARNING]),
        ('"INVALID ARGUMENTS"', [INVALID]),
        ('-"INVALID ARGUMENTS" ARGUMENTS', [MISSING, WARNING]),
        ('?"BAD REQUEST" ?WARN', [BAD_REQUEST, WARNING]),
        ("?400 ARGUMENTS", [MISSING, INVALID, WARNING]),  # beside other terms, optional ones are ignored
        ('"[ERROR"', [BAD_REQUEST, UNAUTHORIZED, MISSING, INVALID]),
        ('""', ALL),
    ],
)
def test_terms(pattern: str, expected: list[str]) -> None:
    parsed = parse_filter_pattern(pattern)
    assert [message for message in ALL if parsed.matches(message.encode())] == expected


def test_escapes_and_unicode() -> None:
    assert parse_filter_pattern(r'"say \"hi\" \\ now"').matches(b'they say "hi" \\ now')
    assert parse_filter_pattern("größe").matches("die größe".encode())


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ('{ $.level = "ERROR" }', "JSON selectors"),
        ("[ip, user, ...]", "columns"),
        ("%ERR[0-9]%", "regular expressions"),
        ("a-b-c", "Invalid character(s) in term 'a-b-c'"),
        ("$.level", "Invalid character(s) in term '$.level'"),
        ("ERROR %x%", "Invalid character(s) in term '%x%'"),
        ('"unfinished', "Invalid filter pattern"),
        ('"one"two', "Invalid filter pattern"),
        ("-", "Invalid"),
    ],
)
def test_what_is_not_supported_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(InvalidFilterPatternError) as caught:
        parse_filter_pattern(pattern)
    assert words in str(caught.value)
