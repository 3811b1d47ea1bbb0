"""Event patterns: every operator, what is no pattern, and the same answers as another implementation."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from moto.events.models import EventPattern as Oracle

from lambent.model.event_patterns import compile_pattern, parse_pattern
from lambent.model.pattern_operators import InvalidPatternError

Pattern = dict[str, Any]


def matches(pattern: Pattern, event: Pattern) -> bool:
    return compile_pattern(pattern).matches(event)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (["a", 1], ["a", 1, 1.0, ["x", "a"]], ["A", "1", True, None, {"a": 1}, []]),
        ([True], [True, [False, True]], [1, "true", False, None]),
        ([None], [None], ["", 0, False, "null"]),
        ([""], [""], [None, " "]),
        ([300], [300, 300.0, 3.0e2], ["300", 301]),
        ([{"prefix": "ab"}], ["ab", "abc"], ["b", "AB", 1, None, ["x"]]),
        ([{"prefix": {"equals-ignore-case": "aB"}}], ["Abc", "ab"], ["b"]),
        ([{"suffix": ".png"}], [".png", "x.png", ["y", "x.png"]], ["png", "x.PNG"]),
        ([{"suffix": {"equals-ignore-case": ".Png"}}], ["x.pNG"], ["png"]),
        ([{"equals-ignore-case": "aLice"}], ["ALICE", "alice"], ["alic", None]),
        ([{"anything-but": "x"}], ["y", 1, None, True, ["x", "y"]], ["x", ["x", "x"], {"a": 1}]),
        ([{"anything-but": ["x", "y"]}], ["z"], ["x", "y"]),
        ([{"anything-but": 5}], [6, "5"], [5, 5.0]),
        ([{"anything-but": [5, 6]}], [7], [5, 6]),
        ([{"anything-but": {"prefix": "in"}}], ["out", 1], ["init", "in"]),
        ([{"anything-but": {"prefix": ["in", "out"]}}], ["x"], ["init", "outer"]),
        ([{"anything-but": {"suffix": "er"}}], ["x"], ["inner"]),
        ([{"anything-but": {"suffix": ["er", "ed"]}}], ["x"], ["inner", "shed"]),
        ([{"anything-but": {"equals-ignore-case": "X"}}], ["y"], ["x", "X"]),
        ([{"anything-but": {"equals-ignore-case": ["X", "Y"]}}], ["z"], ["x", "y"]),
        ([{"anything-but": {"wildcard": "*/lib/*"}}], ["/bin/x"], ["/a/lib/b"]),
        ([{"anything-but": {"wildcard": ["a*", "*b"]}}], ["cc"], ["ac", "cb"]),
        ([{"numeric": ["=", 5]}], [5, 5.0], [5.1, "5", True, None]),
        ([{"numeric": [">", 0, "<=", 5]}], [1, 5], [0, 5.01, "3"]),
        ([{"numeric": [">=", -1.5]}], [-1.5, 4e9], [-2, 6e9]),
        ([{"numeric": ["<", 3]}], [2.9], [3]),
        ([{"cidr": "10.0.0.0/24"}], ["10.0.0.255"], ["10.0.1.0", "x", 1, "2001:db8::1"]),
        ([{"cidr": "2001:db8::/32"}], ["2001:db8::1"], ["2001:db9::1"]),
        ([{"wildcard": "a*c*e"}], ["ace", "abcde", "a*c*e"], ["ace!", "aec", "ac"]),
        ([{"wildcard": "*"}], ["", "x"], [1, None]),
        ([{"wildcard": "a\\*b\\\\"}], ["a*b\\"], ["axb\\", "a*b"]),
        ([{"wildcard": "ab*ba"}], ["abba", "abxba"], ["aba"]),
        ([{"exists": True}], ["", None, 0, False, ["x"]], [{"a": 1}, []]),
        ([{"exists": False}], [{"a": 1}, []], ["", None, 0]),
        ([{"exists": False}, "x"], ["x"], ["y"]),
        ([{"prefix": "a"}, {"numeric": ["<", 0]}], ["ab", -1], ["b", 1]),
    ],
)  # fmt: skip
def test_operators(rule: list[object], yes: list[object], no: list[object]) -> None:
    for value in yes:
        assert matches({"field": rule}, {"field": value}), value
    for value in no:
        assert not matches({"field": rule}, {"field": value}), value
    assert matches({"field": rule}, {}) == ({"exists": False} in rule)


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({}, {"a": 1}, True),
        ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "y", "c": 1}, True),
        ({"a": ["x"], "b": ["y"]}, {"a": "x"}, False),
        ({"a": {"b": {"c": [1]}}}, {"a": {"b": {"c": 1}}}, True),
        ({"a": {"b": [1]}}, {"a": "b"}, False),
        ({"a": {"b": [1]}}, {"a": None}, False),
        # One element of a list must match all of an object.
        ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 3}, {"b": 1, "c": 2}]}, True),
        ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
        ({"a": {"b": [1]}}, {"a": [[{"b": 0}], [{"b": [3, 1]}]]}, True),
        # What is not to exist exists nowhere.
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": "text"}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": {"b": {"c": 1}}}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
        ({"a": {"b": [{"exists": False}], "c": ["x"]}}, {"a": {"c": "x"}}, True),
        # One of several fields.
        ({"$or": [{"a": ["x"]}, {"b": {"c": [1]}}]}, {"b": {"c": 1}}, True),
        ({"$or": [{"a": ["x"]}, {"b": [1]}]}, {"a": "y", "b": 2}, False),
        ({"k": ["v"], "$or": [{"a": ["x"]}, {"b": [1]}]}, {"a": "x"}, False),
        ({"d": {"$or": [{"a": ["x"]}, {"$or": [{"b": [1]}, {"c": [2]}]}]}}, {"d": {"c": 2}}, True),
        ({"$or": [{"prefix": "x"}]}, {"$or": "xy"}, True),  # a field of that name
    ],
)  # fmt: skip
def test_patterns(pattern: Pattern, event: Pattern, expected: bool) -> None:
    assert matches(pattern, event) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "{",
        "[]",
        '"text"',
        '{"a": "x"}',
        '{"a": null}',
        '{"a": []}',
        '{"a": {}}',
        '{"a": [[1]]}',
        '{"a": [{"like": "x"}]}',
        '{"a": [{}]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"prefix": {"suffix": "x"}}]}',
        '{"a": [{"prefix": "x", "suffix": "y"}]}',
        '{"a": [{"exists": "true"}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": [">", "1"]}]}',
        '{"a": [{"numeric": ["~", 1]}]}',
        '{"a": [{"numeric": [">", 5, "<", 1]}]}',
        '{"a": [{"numeric": ["<", 1, ">", 5]}]}',
        '{"a": [{"numeric": [">", 6000000000]}]}',
        '{"a": [{"numeric": [">", true]}]}',
        '{"a": [{"anything-but": []}]}',
        '{"a": [{"anything-but": ["x", 1]}]}',
        '{"a": [{"anything-but": true}]}',
        '{"a": [{"anything-but": {"numeric": ["=", 1]}}]}',
        '{"a": [{"anything-but": {"prefix": []}}]}',
        '{"a": [{"cidr": "10.0.0.0"}]}',
        '{"a": [{"cidr": "10.0.0.0/33"}]}',
        '{"a": [{"wildcard": "a**"}]}',
        '{"a": [{"wildcard": "a\\\\x"}]}',
        '{"$or": ["x", {}]}',
        '{"$or": [{}]}',
        '{"$or": []}',
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"a":' * 60 + "[1]" + "}" * 60,
    ],
)
def test_what_is_none(pattern: str) -> None:
    with pytest.raises(InvalidPatternError):
        parse_pattern(pattern)


# No truth values: to the other implementation False is 0.
scalars = st.one_of(st.none(), st.integers(-20, 20), st.sampled_from(["", "a", "ab", "b", "10.0.0.1", "1"]))
names = st.sampled_from(["a", "b", "c"])
events = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=6),
    max_size=3,
)
texts = st.sampled_from(["a", "ab", "b", "1"])
rules = st.one_of(
    st.none(),
    st.sampled_from(["a", "ab", "b", ""]),
    st.integers(-20, 20),
    texts.map(lambda text: {"prefix": text}),
    texts.map(lambda text: {"suffix": text}),
    texts.map(lambda text: {"equals-ignore-case": text}),
    st.lists(texts, min_size=1, max_size=2).map(lambda some: {"anything-but": some}),
    texts.map(lambda text: {"anything-but": {"prefix": text}}),
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(-20, 20)).map(lambda one: {"numeric": [*one]}),
    st.sampled_from([{"wildcard": "a*"}, {"wildcard": "*b"}, {"cidr": "10.0.0.0/8"}]),
)
leaves = st.lists(rules, min_size=1, max_size=3)
patterns = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=2), max_leaves=4),
    max_size=3,
)


@given(pattern=patterns, event=events)
@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
def test_another_implementation_says_the_same(pattern: Pattern, event: Pattern) -> None:
    try:
        expected = Oracle.load(json.dumps(pattern)).matches_event(cast("Any", event))
    except (TypeError, AttributeError, KeyError, ValueError):
        reject()  # it fails over events of another shape
    assert matches(pattern, event) == expected


@given(pattern=st.text(max_size=40) | patterns.map(json.dumps))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    with contextlib.suppress(InvalidPatternError):
        parse_pattern(pattern)


@given(pattern=st.lists(st.sampled_from("ab*"), max_size=12).map("".join), value=st.text("ab", max_size=20))
def test_wildcards_are_what_a_regular_expression_says(pattern: str, value: str) -> None:
    assume("**" not in pattern)
    expected = re.fullmatch(pattern.replace("*", ".*"), value) is not None
    assert matches({"a": [{"wildcard": pattern}]}, {"a": value}) == expected
