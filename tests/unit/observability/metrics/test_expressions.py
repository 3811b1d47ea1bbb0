"""Metric math: what is an expression, and what it is worth."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.metrics.expression_values import Evaluation, Series
from lambent.observability.metrics.expressions import ExpressionError, names_in, parse

TIMES = [0, 60, 120, 180]
A = Series({0: 1.0, 60: 2.0, 120: 4.0}, 60, "A")
B = Series({0: 10.0, 120: 30.0, 180: 40.0}, 60, "B")
METRICS = {"requests1": A, "requests2": B, "other": Series({0: 5.0}, 60, "C")}
VALUES = {"a": A, "b": B, **METRICS}


def _worth(expression: str) -> Any:
    value = Evaluation(VALUES, METRICS, TIMES).value(parse(expression))
    if isinstance(value, Series):
        return dict(value.points)
    return [dict(series.points) for series in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("expression", "worth"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("2 ^ 3 * 2", 16),
        ("-2 ^ 2", -4),
        ("8 / 4 / 2", 1),
        ("1.5e2 + .5", 150.5),
        ("1 < 2 AND 2 <= 2", 1),
        ("1 > 2 || 3 != 3", 0),
        ("a + b", {0: 11, 120: 34}),
        ("a * 10", {0: 10, 60: 20, 120: 40}),
        ("-a", {0: -1, 60: -2, 120: -4}),
        ("b / (a - 2)", {0: -10, 120: 15}),
        ("b / (a - 1)", {120: 10}),  # a division by zero gives nothing
        ("a >= 2", {0: 0, 60: 1, 120: 1}),
        ("[a, b] * 2", [{0: 2, 60: 4, 120: 8}, {0: 20, 120: 60, 180: 80}]),
        ("[a, b] - [a, a]", [{0: 0, 60: 0, 120: 0}, {0: 9, 120: 26}]),
        ("SUM(a)", 7),
        ("AVG(b)", 80 / 3),
        ("MIN(a) + MAX(b)", 41),
        ("SUM([a, b])", {0: 11, 60: 2, 120: 34, 180: 40}),
        ("AVG(METRICS())", {0: 16 / 3, 60: 2, 120: 17, 180: 40}),
        ('SUM(METRICS("requests"))', {0: 11, 60: 2, 120: 34, 180: 40}),
        ("MAX([a, b])", {0: 10, 60: 2, 120: 30, 180: 40}),
        ("MIN(3, 1, 2)", 1),
        ("STDDEV(a)", pytest.approx(1.2472191)),
        ("FILL(a, 0)", {0: 1, 60: 2, 120: 4, 180: 0}),
        ("FILL(b, a)", {0: 10, 60: 2, 120: 30, 180: 40}),
        ("FILL(a, REPEAT)", {0: 1, 60: 2, 120: 4, 180: 4}),
        ("FILL(b, LINEAR)", {0: 10, 60: 20, 120: 30, 180: 40}),
        ("RATE(b)", {120: pytest.approx(20 / 120), 180: pytest.approx(10 / 60)}),
        ("DIFF(a)", {60: 1, 120: 2}),
        ("RUNNING_SUM(a)", {0: 1, 60: 3, 120: 7}),
        ("PERIOD(a)", {0: 60, 60: 60, 120: 60}),
        ("a / PERIOD(a) * 60", {0: 1, 60: 2, 120: 4}),
        ("IF(a > 1, a)", {60: 2, 120: 4}),
        ("IF(a > 1, a, -1)", {0: -1, 60: 2, 120: 4}),
        ("IF(a > 1, b, 0)", {0: 0, 120: 30}),
        ("IF(1, a, b)", {0: 1, 60: 2, 120: 4}),
        ("ABS(-3) + CEIL(1.2) + FLOOR(1.8)", 6),
        ("LOG10(b * 10)", {0: 2, 120: pytest.approx(2.4771212), 180: pytest.approx(2.6020599)}),
        ("TIME_SERIES(7)", dict.fromkeys(TIMES, 7)),
        ("sum(a)", 7),
    ],
)
def test_expressions(expression: str, worth: Any) -> None:
    assert _worth(expression) == worth


@pytest.mark.parametrize(
    "expression",
    [
        *("", "1 +", "(1", "[a", "a b", "a,", "FILL(a)", "FILL(a, [a, b])", "IF(a)", "NOSUCH(a)", "unknown", "'text'"),
        *("SUM()", "1 / 0", "METRICS(a)", "METRICS('a', 'b')", "[a, b] + [a]", "IF([a, b], 1)", "IF([a], 1, 2)"),
        *("10 ^ 10 ^ 10 ^ 10", "a $ b", "(" * 100 + "1" + ")" * 100, "LOG(0)", "TIME_SERIES(a)", "[1, 2]"),
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ExpressionError):
        _worth(expression)


def test_the_names_in_an_expression() -> None:
    assert names_in(parse("SUM([a, -b]) / IF(c > 1, d, 2) + FILL(e, REPEAT)")) == {"a", "b", "c", "d", "e", "REPEAT"}


WORDS = st.sampled_from([*"ab1+-*/^()[],<>", "SUM", "FILL", "IF", "RATE", "METRICS", "AND", "'x'", "==", "REPEAT"])


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=30))
def test_no_text_raises_anything_else(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        _worth(expression)
