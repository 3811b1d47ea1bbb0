from __future__ import annotations

import logging

import pytest

from lambent.aws.java_regex import compile_java
from lambent.aws.models import load_service_model


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (r"\d+", ["12"], ["\u0661", "", "1 "]),  # Java's \d is ASCII
        (r"\w+", ["a_1"], ["\u00fc"]),
        (r"\s", [" ", "\t"], ["\u00a0"]),
        (r"\S+", ["\u00fc\u00a0"], ["a b"]),
        (r"a.b", ["axb"], ["a\nb", "a\rb", "a\u2028b"]),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", ["", "\u00fcber 1/2_\u2167"], ["#", "a\nb"]),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", ["e\u0301+1!"], [" ", "\n"]),
        (r"\p{Lu}\p{Ll}*", ["\u00dcber"], ["\u00fcber"]),
        (r"\p{Alpha}[^\p{Digit}]", ["ab"], ["a1", "\u00fcb"]),
        (r"\P{L}", ["1"], ["a"]),
        (r"[\w-_]*", ["a-_"], ["."]),
        (r"[a-zA-Z0-9-_]+", ["a-_"], ["."]),
        (r"[\\w+=,.@-]+\z", ["w\\"], ["a"]),
        (r"[[a-z]", ["["], ["A"]),
        (r"[]a]", ["]", "a"], ["b"]),
        (r"[a&&b||c]+", ["a&|c"], ["d"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]+", ["a\U0001f600"], ["\x00"]),
        (r"(a|b)*+c", ["abc"], ["ab"]),
        (r"^[a-z]+$", ["a"], ["a\n", "A"]),
        (r"x\-\/\:y", ["x-/:y"], ["x-/y"]),
    ],
)
def test_patterns_match_as_javas_do(pattern: str, matching: list[str], others: list[str]) -> None:
    compiled = compile_java(pattern)
    assert compiled is not None
    assert [text for text in matching if not compiled.fullmatch(text)] == []
    assert [text for text in others if compiled.fullmatch(text)] == []


def test_what_cannot_be_translated_is_said_and_not_checked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert compile_java(r"[\P{C}]x") is None
    assert "not checked" in caplog.text


@pytest.mark.parametrize("service", ["lambda", "logs", "iam", "sts", "sqs", "cloudwatch", "events", "s3"])
def test_every_pattern_of_a_service_is_checked(service: str) -> None:
    model = load_service_model(service)
    patterns = {model.shape(name).traits["pattern"] for name in model._shapes if "pattern" in model._shapes[name]}
    assert [pattern for pattern in patterns if compile_java(pattern) is None] == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("service", ["lambda", "logs", "iam", "sts"])
def test_no_pattern_of_a_service_runs_away(service: str) -> None:
    """Strings made to backtrack; a pattern with exponential or cubic cost does not come back within the time limit."""
    model = load_service_model(service)
    patterns = {model.shape(name).traits["pattern"] for name in model._shapes if "pattern" in model._shapes[name]}
    hostile = [
        unit * (4096 // len(unit)) + end for unit in ("a", "a-", "aws:", "1", "a.", "/a", " ", ":") for end in "!\n"
    ]
    hostile += [f"arn:aws:lambda:us-east-1:000000000000:function:{text}" for text in hostile]
    for pattern in patterns:
        compiled = compile_java(pattern)
        assert compiled is not None
        for text in hostile:
            compiled.fullmatch(text)
