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


POOL = ("000000000000", "us-east-1")


def acquire(counting: Counting, name: str) -> Permit:
    permit = counting.try_acquire(function(name))
    assert isinstance(permit, Permit)
    return permit


def refusal(counting: Counting, name: str) -> ThrottleReason:
    refused = counting.try_acquire(function(name))
    assert isinstance(refused, Throttled)
    return refused.reason


def test_a_reservation_is_kept_free_for_its_function_and_is_all_it_gets() -> None:
    counting = Counting(account_limit=3)
    counting.reserve(POOL, {function("mine"): 2})
    acquire(counting, "other")
    assert refusal(counting, "other") is ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED
    held = [acquire(counting, "mine") for _ in range(2)]
    assert refusal(counting, "mine") is ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED
    held.pop().release()
    assert refusal(counting, "other") is ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED
    acquire(counting, "mine")


def test_a_reservation_of_nothing_stops_the_function() -> None:
    counting = Counting(account_limit=3)
    counting.reserve(POOL, {function("off"): 0})
    assert refusal(counting, "off") is ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED
    for _ in range(3):
        acquire(counting, "other")


def test_reservations_of_another_region_do_not_matter_here() -> None:
    counting = Counting(account_limit=1)
    counting.reserve(("000000000000", "eu-west-1"), {function("a", region="eu-west-1"): 1})
    acquire(counting, "a")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acquire", "acquire", "acquire", "release", "reserve"]),
            st.sampled_from("abc"),
            st.integers(0, 4),
        ),
        max_size=80,
    )
)
def test_reserved_arithmetic_over_changing_reservations(steps: list[tuple[str, str, int]]) -> None:
    """Against the rule itself, evaluated from scratch: who runs belongs where its function belongs now."""
    limit = 6
    counting = Counting(limit)
    reserved: dict[str, int] = {}
    held: list[tuple[str, Permit]] = []
    for action, name, number in steps:
        if action == "release" and held:
            held.pop(number % len(held))[1].release()
        elif action == "reserve":
            reserved = {**reserved, name: number} if number % 2 else {k: v for k, v in reserved.items() if k != name}
            if sum(reserved.values()) > limit:
                reserved = {name: number}
            counting.reserve(POOL, {function(one): share for one, share in reserved.items()})
        elif action == "acquire":
            running = [one for one, _ in held]
            outside = sum(1 for one in running if one not in reserved)
            if name in reserved:
                expected = running.count(name) < reserved[name]
            else:
                expected = outside < limit - sum(reserved.values())
            permit = counting.try_acquire(function(name))
            assert isinstance(permit, Permit) == expected
            if isinstance(permit, Permit):
                held.append((name, permit))
    for _, permit in held:
        permit.release()
    assert counting.in_use_by_account(*POOL) == 0
    counting.reserve(POOL, {})
    for _ in range(limit):
        acquire(counting, "a")
