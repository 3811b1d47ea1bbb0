"""Admission."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke.counting import Counting, Permit, Throttled, ThrottleReason
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region


def function(name: str, account: str = "000000000000", region: str = "us-east-1") -> FunctionId:
    return FunctionId(AccountId(account), Region(region), name)


def test_the_account_limit_holds_over_all_functions() -> None:
    counting = Counting(account_limit=2)
    assert isinstance(counting.try_acquire(function("a")), Permit)
    assert isinstance(counting.try_acquire(function("b")), Permit)
    refused = counting.try_acquire(function("c"))
    assert refused == Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)


def test_accounts_and_regions_do_not_share_a_limit() -> None:
    counting = Counting(account_limit=1)
    assert isinstance(counting.try_acquire(function("a")), Permit)
    assert isinstance(counting.try_acquire(function("a", account="111111111111")), Permit)
    assert isinstance(counting.try_acquire(function("a", region="eu-west-1")), Permit)
    assert isinstance(counting.try_acquire(function("b")), Throttled)


def test_a_permit_is_released_once() -> None:
    counting = Counting(account_limit=1)
    permit = counting.try_acquire(function("a"))
    assert isinstance(permit, Permit)
    permit.release()
    with pytest.raises(RuntimeError, match="twice"):
        permit.release()
    assert counting.in_use(function("a")) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60), st.integers(1, 5))
def test_what_is_in_use_is_what_was_acquired_and_not_released(steps: list[tuple[str, bool]], limit: int) -> None:
    counting = Counting(limit)
    held: list[tuple[str, Permit]] = []
    for name, release in steps:
        if release and held:
            held.pop()[1].release()
        else:
            permit = counting.try_acquire(function(name))
            assert isinstance(permit, Permit) == (len(held) < limit)
            if isinstance(permit, Permit):
                held.append((name, permit))
        assert counting.in_use_by_account("000000000000", "us-east-1") == len(held)
        for each in "ab":
            assert counting.in_use(function(each)) == sum(1 for holder, _ in held if holder == each)
