"""Prices: against the price page's own examples, and properties of the free tier and the tiers."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.metrics.database import Usage, UsageKey
from lambent.observability.metrics.pricing import Charge, Prices, charges

PRICES = Prices.published()
JANUARY = (dt.date(2026, 1, 1) - dt.date(1970, 1, 1)).days
CENT = Decimal("0.01")
Row = tuple[UsageKey, Usage]


def _row(day: int, requests: int, mb_ms: int, *, name: str = "f", arch: str = "x86_64", storage: int = 0) -> Row:
    return ("000000000000", "us-east-1", JANUARY + day, name, arch), Usage(requests, mb_ms, storage)


def _cost(rows: list[Row]) -> Decimal:
    return sum((charge.cost for charge in charges(rows, PRICES)), Decimal(0))


def test_the_first_example_of_the_price_page() -> None:
    """3 million requests of 120 ms with 1536 MB in a month: 2.33 USD for compute, 0.40 for requests."""
    [charge] = charges([_row(0, 3_000_000, 3_000_000 * 120 * 1536)], PRICES)
    assert charge.gb_s == 540_000
    assert charge.duration_cost.quantize(CENT) == Decimal("2.33")
    assert charge.requests_cost.quantize(CENT) == Decimal("0.40")
    assert charge.cost.quantize(CENT) == Decimal("2.73")


def test_storage_beyond_what_is_free_costs() -> None:
    """1.5 million requests of 120 ms with 5120 MB of storage more than is free: 900,000 GB-seconds of it."""
    [charge] = charges([_row(0, 1_500_000, 0, storage=1_500_000 * 120 * 5120)], PRICES)
    assert charge.storage_gb_s == 900_000
    assert charge.storage_cost == Decimal("0.0278100")


def test_the_free_tier_begins_anew_each_month() -> None:
    def rows(days: list[int]) -> list[Row]:
        return [_row(day, 700_000, 300_000 * 1024 * 1000) for day in days]

    within_a_month, over_two = charges(rows([0, 30]), PRICES), charges(rows([0, 31]), PRICES)
    assert [charge.cost > 0 for charge in within_a_month] == [False, True]
    assert [charge.cost > 0 for charge in over_two] == [False, False]
    assert within_a_month[1].requests_cost == Decimal("0.08")


def test_functions_of_a_day_share_the_free_tier_by_their_usage() -> None:
    small, large = charges([_row(0, 1_000_000, 0, name="a"), _row(0, 3_000_000, 0, name="b")], PRICES)
    assert (small.requests_cost, large.requests_cost) == (Decimal("0.15"), Decimal("0.45"))


def test_more_than_a_tier_of_a_month_is_cheaper() -> None:
    billion = 1_000_000_000 * 1024 * 1000
    [first, second] = charges([_row(0, 0, 6 * billion + 400_000 * 1024 * 1000), _row(1, 0, 10 * billion)], PRICES)
    assert first.duration_cost == 6_000_000_000 * Decimal("0.0000166667")
    expected = 9_000_000_000 * Decimal("0.000015") + 1_000_000_000 * Decimal("0.0000133334")
    assert abs(second.duration_cost - expected) < Decimal("1e-9")


def test_arm_has_its_own_price() -> None:
    mb_ms = 1_400_000 * 1024 * 1000
    assert _cost([_row(0, 0, mb_ms, arch="arm64")]) == Decimal("13.3334")
    assert _cost([_row(0, 0, mb_ms)]) == Decimal("16.6667")


ROWS = st.lists(
    st.builds(
        _row,
        st.integers(0, 30),
        st.integers(0, 2_000_000),
        st.integers(0, 10**15),
        name=st.sampled_from("ab"),
        arch=st.sampled_from(["x86_64", "arm64"]),
    ),
    max_size=8,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(ROWS)
def test_a_month_costs_the_same_however_it_is_spread(rows: list[Row]) -> None:
    """As long as the last tiers are not reached: what is free is free once, and no charge is negative."""
    found: list[Charge] = charges(rows, PRICES)
    assert all(0 <= charge.cost <= charge.list_cost + Decimal("1e-15") for charge in found)
    requests = sum(charge.requests for charge in found)
    paid = sum((charge.requests_cost for charge in found), Decimal(0))
    assert abs(paid - max(0, requests - 1_000_000) * PRICES.request) < Decimal("1e-12")
    if all(key[4] == "x86_64" for key, _ in rows):
        gb_s = sum((charge.gb_s for charge in found), Decimal(0))
        duration = sum((charge.duration_cost for charge in found), Decimal(0))
        assert abs(duration - max(Decimal(0), gb_s - 400_000) * Decimal("0.0000166667")) < Decimal("1e-9")
