"""Percentiles from a sketch against the values themselves, within the error it states."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.metrics.sketch import BUCKETS_MAX, RELATIVE_ERROR, bucket_of, merge, pack, unpack, value_of
from lambent.observability.metrics.statistics import Statistic, StatisticSet, percentile

VALUES = st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=200)


def _set_of(values: list[float]) -> StatisticSet:
    made = StatisticSet()
    for value in values:
        made.add(value)
    return made


def _true_percentile(values: list[float], percent: float) -> float:
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values) - 1e-9 * len(values)) - 1)]


@given(VALUES, st.sampled_from([0.0, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0]))
def test_percentiles_are_within_the_stated_error(values: list[float], percent: float) -> None:
    true = _true_percentile(values, percent)
    assert percentile(_set_of(values), percent) == pytest.approx(true, rel=RELATIVE_ERROR * 1.0001, abs=1e-300)


@given(VALUES, VALUES)
def test_merging_is_counting_together(some: list[float], others: list[float]) -> None:
    merged = _set_of(some)
    merged.merge(_set_of(others))
    together = _set_of(some + others)
    assert merged.buckets == together.buckets
    assert (merged.count, merged.minimum, merged.maximum) == (together.count, together.minimum, together.maximum)
    assert merged.total == pytest.approx(together.total)


@given(st.dictionaries(st.integers(-80_000, 80_000), st.integers(1, 2**50) | st.floats(0.001, 1e12)))
def test_a_sketch_comes_back_as_it_was_packed(buckets: dict[int, float]) -> None:
    assert unpack(pack(buckets)) == buckets


def test_a_packed_sketch_is_small() -> None:
    values = _set_of([1 + number % 500 for number in range(10_000)])
    assert values.buckets is not None
    assert len(pack(values.buckets)) < 1000


@given(st.floats(1e-300, 1e300))
def test_a_bucket_stands_for_its_values(value: float) -> None:
    assert value_of(bucket_of(value)) == pytest.approx(value, rel=RELATIVE_ERROR * 1.0001)


def test_too_many_buckets_become_fewer_from_below() -> None:
    buckets: dict[int, float] = {}
    merge(buckets, dict.fromkeys(range(-10_000, 10_000), 1.0))
    assert len(buckets) == BUCKETS_MAX
    assert sum(buckets.values()) == 20_000
    assert max(buckets) == 9_999


def test_no_percentile_without_a_distribution() -> None:
    assert percentile(StatisticSet(2, 3.0, 1.0, 2.0, None), 50) is None
    assert percentile(StatisticSet(2, 2.0, 1.0, 1.0, None), 50) == 1.0
    assert percentile(_set_of([-1.0, 2.0]), 50) is None


HUNDRED = [float(number) for number in range(1, 101)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 100),
        ("Sum", 5050),
        ("Average", 50.5),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 50),
        ("p99.9", 100),
        ("tm90", 45.5),  # the mean of the 90 smallest
        ("TM(10%:90%)", 50.5),
        ("TM(:50)", 25.5),
        ("IQM", 50.5),
        ("tc90", 90),
        ("TC(10:20)", 10),
        ("ts90", 4095),
        ("TS(90%:)", 955),
        ("PR(:30)", 30),
        ("PR(30:60)", 30),
        ("wm90", 49.95),  # the ten largest count as 90 each
    ],
)
def test_every_kind_of_statistic(name: str, expected: float) -> None:
    # a value near a bound in numbers may fall on its other side: 2 % of the range, besides the relative error
    assert Statistic(name).of(_set_of(HUNDRED)) == pytest.approx(expected, rel=0.02, abs=1)


@pytest.mark.parametrize("name", ["", "sum", "p", "p101", "p-1", "TM", "TM(:)", "TM(5%:10)", "PR(5%:)", "tm150", "x9"])
def test_what_is_no_statistic(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 its text is the name
        Statistic(name)


def test_one_value_makes_every_statistic_exact() -> None:
    values: Any = _set_of([123.456] * 7)
    for name in ("p50", "Average", "Minimum", "Maximum"):
        assert Statistic(name).of(values) == pytest.approx(123.456)
