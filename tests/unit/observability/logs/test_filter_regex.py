"""The regular expressions of filter patterns: what they match, and that no text takes them long."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambent.observability.logs import filter_regex
from lambent.observability.logs.filter_regex import Regex, RegexError, Wildcards

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "0", "[a-c0]", r"\w", r"\x61", "[]a]"])
ITEMS = st.tuples(ATOMS, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?"])).map(
    "".join
)
SEQUENCES = st.tuples(st.sampled_from(["", "", "^"]), st.lists(ITEMS, min_size=1, max_size=4).map("".join),
                      st.sampled_from(["", "", "$"])).map("".join)  # fmt: skip
EXPRESSIONS = st.lists(SEQUENCES, min_size=1, max_size=2).map("|".join)


@settings(max_examples=400)
@example("a|.$", "\n")
@given(EXPRESSIONS, st.text("ab0.c\n", max_size=12))
def test_the_automaton_finds_what_re_finds(expression: str, text: str) -> None:
    data = text.encode()
    expected = re.search(expression.encode(), data, re.DOTALL) is not None
    regex = Regex(expression)
    assert regex.matches(data) == expected
    assert any(automaton.matches(data) for automaton in regex._alternatives) == expected


@pytest.mark.parametrize(
    "expression",
    [".*.*.*.*.*x", "a*a*a*a*a*a*b", r"\d+\d+\d+x", "^.*a.*b.*c.*d.*e$", ".{0,400}.{0,400}.{0,400}x", "[ab]*a{40}c"],
)
def test_long_texts_are_soon_done(expression: str) -> None:
    text = b"a1" * 10_000  # with `re` the first would take years
    assert not Regex(expression).matches(text)
    assert not Wildcards("*" + expression.replace(".", "") + "*x").matches(text.decode())


def test_long_texts_are_found_too() -> None:
    assert Regex("start.*middle.*end$").matches(b"start" + b"x" * 20_000 + b"middle" + b"y" * 20_000 + b"end\n")
    assert Regex("nothing|e.*n.*d").matches(b"-" * 50_000 + b"e n d")


@pytest.mark.parametrize("expression", ["a{9999}{2}", "a{5000}", r"\b", r"a\Z", "a*+", "(a)", "ä", "[", "*a"])
def test_what_is_refused(expression: str) -> None:
    with pytest.raises(RegexError):
        Regex(expression)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_wildcards(pattern: str, text: str) -> None:
    assert Wildcards(pattern).matches(text) == fnmatch.fnmatchcase(text, pattern)


def test_quick_texts_use_re() -> None:
    assert Regex("a.*b")._quick_bytes > 1000
    assert Regex("abc")._quick_bytes > filter_regex._WORK_MAX
