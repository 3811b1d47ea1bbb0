"""Filter patterns."""

from __future__ import annotations

import json

import pytest

from lambent.control_plane.event_filters import check_filter_pattern
from lambent.model.errors import InvalidParameterValueException


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"body": ["a", 1, 1.5, True, None]},
        {"body": {"deep": {"er": ["x"]}}},
        {"a": [{"prefix": "x"}, {"suffix": "y"}, {"equals-ignore-case": "z"}]},
        {"a": [{"anything-but": "x"}], "b": [{"anything-but": ["x", 1]}], "c": [{"anything-but": {"prefix": "x"}}]},
        {"a": [{"numeric": [">", 0, "<=", 5]}], "b": [{"numeric": ["=", 1]}], "c": [{"exists": False}]},
        {"$or": [{"a": ["x"]}, {"b": {"c": [1]}}]},
    ],
)
def test_patterns(pattern: object) -> None:
    check_filter_pattern(json.dumps(pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "{",
        "[]",
        '"text"',
        '{"a": "x"}',
        '{"a": []}',
        '{"a": {}}',
        '{"a": [[1]]}',
        '{"a": [{"like": "x"}]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"prefix": "x", "suffix": "y"}]}',
        '{"a": [{"exists": "true"}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": [">", "1"]}]}',
        '{"a": [{"numeric": ["~", 1]}]}',
        '{"a": [{"anything-but": []}]}',
        '{"a": [{"anything-but": {"numeric": ["=", 1]}}]}',
        '{"$or": ["x"]}',
        '{"a":' * 5000 + "1" + "}" * 5000,
    ],
)
def test_what_is_none(pattern: str) -> None:
    with pytest.raises(InvalidParameterValueException, match="Invalid filter pattern definition"):
        check_filter_pattern(pattern)
