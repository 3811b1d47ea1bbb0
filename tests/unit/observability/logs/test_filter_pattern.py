"""Filter patterns: AWS's documented examples for text, columns and JSON, what is refused, and some laws."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ('" "', ALL),
        ("%AUTHORIZED%", [UNAUTHORIZED]),
        (r"%ERROR 4\d%", [BAD_REQUEST, UNAUTHORIZED, MISSING, INVALID]),
        (r"%4[02]0% -INVALID", [BAD_REQUEST]),
        ("-%ERROR% ARGUMENTS", [WARNING]),
        ("?%MISS|INV% ?WARN", [MISSING, INVALID, WARNING]),
        (r"%^.WARN \d% ARGUMENTS", [WARNING]),
    ],
)
def test_terms(pattern: str, expected: list[str]) -> None:
    parsed = parse_filter_pattern(pattern)
    assert [message for message in ALL if parsed.matches(message.encode())] == expected


def test_escapes_and_unicode() -> None:
    assert parse_filter_pattern(r'"say \"hi\" \\ now"').matches(b'they say "hi" \\ now')
    assert parse_filter_pattern("größe").matches("die größe".encode())


APACHE = [
    '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534',
    '127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324',
    '127.0.0.1 - frank [10/Oct/2000:13:50:35 -0700] "GET /index.html HTTP/1.0" 404 355',
    '10.1.2.3 - anna [10/Oct/2000:13:50:36 -0700] "GET /secret.html HTTP/1.0" 403 999',
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, user, username, timestamp, request, status_code, bytes]", [0, 1, 2, 3]),
        ("[ip, user, username, timestamp, request, status_code]", []),
        ("[..., status_code, bytes]", [0, 1, 2, 3]),
        ("[ip, user, ..., status_code, bytes]", [0, 1, 2, 3]),
        ("[ip, user, ...]", [0, 1, 2, 3]),
        ("[ip, user, username, timestamp, request, status_code, bytes > 1000]", [0, 1]),
        ("[ip, user, username, timestamp, request, status_code = 200, bytes]", [0]),
        ("[ip, user, username, timestamp, request, status_code = 4*, bytes]", [2, 3]),
        ("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", [2, 3]),
        ("[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]", [2]),
        ("[ip, user, username, timestamp, request = *.html*, status_code = 4*,]", [2, 3]),
        ("[..., request = *.html*, status_code = 4*,]", [2, 3]),
        ("[..., status_code = 200 || status_code = 5*, bytes]", [0, 1]),
        ("[..., status_code = %^[45]% && (status_code < 404 || status_code >= 500), bytes]", [1, 3]),
        ("[ip = 10.0.0.0/8, ...]", [3]),
        ("[ip != 10.0.0.0/8, ..., bytes]", [0, 1, 2]),
        ('[..., request = "GET /secret*", status_code, bytes]', [3]),
        ("[ip, user, username, timestamp = *13:50*, ...]", [2, 3]),
    ],
)
def test_columns(pattern: str, expected: list[int]) -> None:
    parsed = parse_filter_pattern(pattern)
    assert [number for number, line in enumerate(APACHE) if parsed.matches(line.encode())] == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[w1=ERROR, w2]", [1]),
        ("[w1=ERROR || w1=WARN, w2]", [1, 2]),
        ("[w1=ERROR || w1=%WARN%, w2]", [1, 2]),
        ("[w1!=ERROR&&w1!=WARN, w2]", []),
        ("[w1, w2, w3]", [0]),
        ("[w1=*, w2]", [1, 2]),
    ],
)
def test_columns_of_words(pattern: str, expected: list[int]) -> None:
    lines = ["ERROR WARN message", "ERROR message\n", "WARN message"]
    parsed = parse_filter_pattern(pattern)
    assert [number for number, line in enumerate(lines) if parsed.matches(line.encode())] == expected


def test_columns_are_extracted_by_name_or_number() -> None:
    parsed = parse_filter_pattern("[..., request=*.html*, status_code=4*,]")
    assert parsed.extract(APACHE[2]) == {
        "$status_code": "404",
        "$request": "GET /index.html HTTP/1.0",
        "$7": "355",
        "$4": "10/Oct/2000:13:50:35 -0700",
        "$3": "frank",
        "$2": "-",
        "$1": "127.0.0.1",
    }


TRAIL = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "ThisFlag": True,
    "That": False,
    "latency": 512.5,
    "errorCode": 400,
    "account": "123456789012",
    "user": {"id": 1, "email": "John.Stiles@example.com"},
    "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
    "actions": ["GET", "PUT", "DELETE"],
    "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
    "with space": {"and.dot": "x"},
}


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType = "UpdateTrail" }',
        "{ $.eventType = UpdateTrail }",
        "{ $.eventType = %Trail% }",
        "{ $.eventType != %^Trail% }",
        '{ $.eventType = "Update*" }',
        "{ $.eventType = *Trail }",
        "{ $.sourceIPAddress != 123.123.* }",
        "{ $.sourceIPAddress = 111.111.* }",
        "{ $.sourceIPAddress = 111.0.0.0/8 }",
        "{ $.sourceIPAddress != 10.0.0.0/8 }",
        '{ $.arrayKey[0] = "value" }',
        "{ $.objectList[1].id = 2 }",
        "{ $.SomeObject IS NULL }",
        "{ $.SomeOtherObject NOT EXISTS }",
        "{ $.ThisFlag IS TRUE }",
        "{ $.That IS FALSE }",
        "{ $.ThisFlag = true }",
        "{ $.latency >= 500 }",
        "{ $.latency < 10e3 }",
        "{ $.latency > 10e-3 }",
        "{ $.latency <= 512.5 }",
        "{ $.latency > +500 }",
        "{ $.latency = * }",
        "{ $.errorCode = 400 }",
        '{ $.errorCode = "400" }',
        "{ $.errorCode = 4* }",
        "{ $.errorCode != 500 }",
        "{ $.account = 123456789012 }",
        '{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }',
        '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }',
        "{ $.coordinates[1][2] = 6 }",
        '{ $.users[*].email = "Jane*" }',
        "{ $.user.* = 1 }",
        "{ $['with space']['and.dot'] = x }",
        '{ $.["with space"]["and.dot"] = x }',
        '{$.eventType="UpdateTrail"&&$.errorCode>=400}',
    ],
)
def test_json_that_matches(pattern: str) -> None:
    assert parse_filter_pattern(pattern).matches(json.dumps(TRAIL, indent=1).encode() + b"\n")


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType = "updatetrail" }',
        "{ $.eventType = Trail }",
        "{ $.sourceIPAddress = 111.0.0.0/16 }",
        '{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }',
        '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }',
        "{ $.users = 1 }",
        "{ $.users != 1 }",  # an array is not compared at all
        "{ $.nothing = 1 }",
        "{ $.nothing != 1 }",
        "{ $.nothing IS NULL }",
        "{ $.SomeObject = * }",
        "{ $.SomeObject NOT EXISTS }",
        "{ $.ThisFlag IS FALSE }",
        "{ $.eventType IS TRUE }",
        "{ $.errorCode > 400 }",
        "{ $.account > 1 }",  # a string is no number
        "{ $.objectList[2].id = 2 }",
        "{ $.user[0] = 1 }",
        "{ $.eventType[0] = U }",
    ],
)
def test_json_that_does_not_match(pattern: str) -> None:
    assert not parse_filter_pattern(pattern).matches(json.dumps(TRAIL).encode())


def test_only_json_matches_selectors() -> None:
    parsed = parse_filter_pattern("{ $.a NOT EXISTS }")
    assert parsed.matches(b'{"b": 1}')
    assert not parsed.matches(b"a b c")
    assert not parsed.matches(b'{"b": 1')
    assert not parsed.matches(b"7")


def test_selected_values_are_extracted() -> None:
    parsed = parse_filter_pattern("{ $.latency > 1 && $.user.id = 1 && $.ThisFlag IS TRUE || $.none = 1 }")
    assert parsed.extract(json.dumps(TRAIL)) == {"$.latency": "512.5", "$.user.id": "1", "$.ThisFlag": "true"}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a-b-c", "Invalid character(s) in term 'a-b-c'"),
        ("$.level", "Invalid character(s) in term '$.level'"),
        ('"unfinished', "Invalid filter pattern"),
        ('"one"two', "Invalid filter pattern"),
        ("-", "Invalid"),
        ("%something!%", "characters that regular expressions must not have"),
        ("%(a)%", "characters that regular expressions must not have"),
        ("%größe%", "characters that regular expressions must not have"),
        ("%[a%", "no regular expression"),
        ("%a{99999999999}%", "no regular expression"),
        ("[ip, user", "not closed"),
        ("[..., a, ...]", "more than one ellipsis"),
        ("[a b]", "comma"),
        ("[a = ]", "a value is missing"),
        ("[a = 1 && b = 2]", "must all be on that column"),
        ("[a > x]", "compares numbers"),
        ("[a = %1% || a = %2% || a = %3%]", "more than 2 regular expressions"),
        ("{ }", "selector is missing"),
        ("{ $.a }", "operator is missing"),
        ("{ $.a = 1", "not closed"),
        ("{ $.a = 1) }", "unexpected"),
        ("{ ($.a = 1 }", "parenthesis is not closed"),
        ("{ $.a IS 1 }", "IS must be followed"),
        ("{ $.a NOT 1 }", "NOT must be followed"),
        ("{ $.a > x }", "compares numbers"),
        ("{ $ = 1 }", "no property selector"),
        ("{ a = 1 }", "selector is missing"),
        ("{ $.a = 999.0.0.0/8 }", "no network"),
        ("{ " + "(" * 500 + "$.a = 1" + ")" * 500 + " }", "nested too deeply"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(InvalidFilterPatternError) as caught:
        parse_filter_pattern(pattern)
    assert words in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for pattern in (text, "{" + text + "}", "[" + text + "]"):
        try:
            parsed = parse_filter_pattern(pattern)
        except InvalidFilterPatternError:
            continue
        assert parsed.matches(b'{"a": 1}') in (True, False)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_phrase_matches_what_contains_it(phrase: str, around: str) -> None:
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", phrase) + '"'
    parsed = parse_filter_pattern(quoted)
    assert parsed.matches((around + phrase + around).encode("utf-8", "replace")) or "\ud800" <= max(phrase) <= "\udfff"
    assert parsed.matches(around.encode("utf-8", "replace")) == (phrase in around or not phrase.strip())


NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)))


@given(NUMBERS, NUMBERS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
def test_numbers_compare_as_numbers_in_json_and_columns(value: float, bound: float, operator: str) -> None:
    compare: dict[str, Any] = {
        "=": value == bound,
        "!=": value != bound,
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
    }
    document = json.dumps({"a": value}).encode()
    assert parse_filter_pattern(f"{{ $.a {operator} {bound} }}").matches(document) == compare[operator]
    assert parse_filter_pattern(f"[a {operator} {bound}]").matches(json.dumps(value).encode()) == compare[operator]


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_and_binds_more_than_or(flags: list[bool]) -> None:
    a, b, c = flags
    document = json.dumps(dict(zip("abc", flags, strict=True))).encode()
    loose = parse_filter_pattern("{ $.a IS TRUE || $.b IS TRUE && $.c IS TRUE }")
    tight = parse_filter_pattern("{ ($.a IS TRUE || $.b IS TRUE) && $.c IS TRUE }")
    assert loose.matches(document) == (a or (b and c))
    assert tight.matches(document) == ((a or b) and c)
