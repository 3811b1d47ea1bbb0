"""JSON by its grammar: held against the standard library's parser, and against Python's lock."""

import json
import sqlite3
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke.json_grammar import DEPTH_SURE, is_json, is_usable

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
_PIECES = st.sampled_from(
    [
        *"[]{},:\"\\u/+-.eE019 \n\t\x01\x0b\x1f\x7f'*x$",
        "d800",
        "null",
        "true",
        "NaN",
        "Infinity",
        "é",
        "€",
        "😀",
        "\ufeff",
    ]
)


@pytest.fixture
def no_switches() -> Iterator[None]:
    """A thread that has Python's lock keeps it until it lets go by itself."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1_000.0)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Whether SQLite can be used is found out anew, in this test and after it."""
    is_usable.cache_clear()
    yield
    is_usable.cache_clear()


def test_the_sqlite_of_this_host_can_be_asked() -> None:
    assert is_usable()


@given(_VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_a_writer_of_json_writes_is_json(value: object, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert is_json(text.encode())


@given(_VALUES, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), _PIECES), min_size=1, max_size=3))
def test_what_was_changed_here_and_there_is_judged_as_by_the_standard_library(
    value: object, changes: list[tuple[float, int, str]]
) -> None:
    text = json.dumps(value, ensure_ascii=False)
    for where, removed, inserted in changes:
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + removed :]
    assert is_json(text.encode()) == _standard_library(text.encode())


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_what_is_made_of_pieces_is_judged_as_by_the_standard_library(text: str) -> None:
    assert is_json(text.encode()) == _standard_library(text.encode())


@given(st.binary(max_size=60))
def test_bytes_in_a_string_are_judged_as_by_the_standard_library(content: bytes) -> None:
    document = b'["' + content + b'"]'
    assert is_json(document) == _standard_library(document)


@pytest.mark.parametrize("at", [131_070, 131_071, 131_072, 262_144])
@pytest.mark.parametrize(
    ("character", "valid"), [("€", True), ("😀", True), (b"\xed\xa0\x80", False), (b"\xe2\x82", False)]
)
def test_a_character_may_lie_across_the_pieces_that_are_looked_at(at: int, character: str | bytes, valid: bool) -> None:
    content = character.encode() if isinstance(character, str) else character
    assert is_json(b'"' + b"x" * (at - 1) + content + b'"') is valid


@pytest.mark.parametrize("document", [b'"a\0"', b"1\0", b"\0", b'{"a":1}\0x'])
def test_a_nul_is_no_end(document: bytes) -> None:
    assert not is_json(document)


def test_what_is_nested_as_deep_as_every_version_takes_is_json() -> None:
    assert is_json(b"[" * DEPTH_SURE + b"]" * DEPTH_SURE)


@pytest.mark.usefixtures("no_switches")
def test_others_run_while_a_document_is_looked_at() -> None:
    document = json.dumps([{"id": number, "tags": ["a", None]} for number in range(10_000)]).encode()
    begun, seen = threading.Event(), threading.Event()
    rounds: list[bool] = []

    def look() -> None:
        begun.set()
        while len(rounds) < 300 and not seen.is_set():
            rounds.append(is_json(document))

    thread = threading.Thread(target=look)
    thread.start()
    begun.wait()  # this thread goes on when the other one lets it
    seen.set()
    thread.join()
    assert all(rounds)
    assert len(rounds) < 300


@pytest.mark.usefixtures("forgotten")
def test_an_sqlite_without_json_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(path: str) -> sqlite3.Connection:
        connection = sqlite3.Connection(path)
        connection.set_authorizer(_no_json)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert not is_usable()
    assert not is_json(b"{}")


def _no_json(action: int, first: str | None, second: str | None, *_: object) -> int:
    is_call = action == sqlite3.SQLITE_FUNCTION and second == "json_valid"
    return sqlite3.SQLITE_DENY if is_call else sqlite3.SQLITE_OK


def _standard_library(document: bytes) -> bool:
    try:
        text = document.decode("utf-8")
        json.loads(text, parse_constant=_no_constants)
    except ValueError:
        return False
    return True


def _no_constants(name: str) -> None:
    raise ValueError(name)
