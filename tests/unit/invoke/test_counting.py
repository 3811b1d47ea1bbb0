"""Admission."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lambent.invoke.counting import Counting, Permit, Throttled, ThrottleReason
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region


def function(name: str, account: str = "000000000000", region: str = "us-east-1") -> FunctionId:
    return FunctionId(AccountId(account), Region(region), name)


def hours() -> Callable[[], float]:
    """A clock that goes on by an hour whenever it is looked at: no rate is ever exceeded."""
    return itertools.count(0.0, 3600.0).__next__


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
    counting = Counting(limit, hours())
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
    counting = Counting(limit, hours())
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


class Clock:
    """Steady time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ten_requests_a_second_for_each_unit_of_concurrency() -> None:
    clock = Clock()
    counting = Counting(2, clock)
    for _ in range(20):
        acquire(counting, "a").release()
    assert refusal(counting, "a") is ThrottleReason.FUNCTION_INVOCATION_RATE_LIMIT_EXCEEDED
    clock.now += 0.1
    for _ in range(2):
        acquire(counting, "b").release()
    assert refusal(counting, "b") is ThrottleReason.FUNCTION_INVOCATION_RATE_LIMIT_EXCEEDED
    clock.now += 100
    for _ in range(20):  # nothing accrues
        acquire(counting, "a").release()
    assert refusal(counting, "a") is ThrottleReason.FUNCTION_INVOCATION_RATE_LIMIT_EXCEEDED


def test_a_reservation_has_a_rate_of_its_own() -> None:
    counting = Counting(5, Clock())
    counting.reserve(POOL, {function("mine"): 1})
    for _ in range(10):
        acquire(counting, "mine").release()
    assert refusal(counting, "mine") is ThrottleReason.RESERVED_INVOCATION_RATE_LIMIT_EXCEEDED
    acquire(counting, "other")
    counting.reserve(POOL, {function("mine"): 2})
    assert refusal(counting, "mine") is ThrottleReason.RESERVED_INVOCATION_RATE_LIMIT_EXCEEDED


def test_a_function_starts_a_thousand_environments_and_a_hundred_more_each_second() -> None:
    clock = Clock()
    counting = Counting(10_000, clock)
    assert sum(counting.may_start(function("a")) for _ in range(1500)) == 1000
    assert counting.may_start(function("b"))
    clock.now += 0.5
    assert sum(counting.may_start(function("a")) for _ in range(100)) == 50
    clock.now += 10
    assert sum(counting.may_start(function("a")) for _ in range(1500)) == 1000


def test_provisioned_concurrency_is_used_first_and_then_spills_over() -> None:
    counting = Counting(3)
    counting.provision(function("a"), "1", 2, 2)
    first, second = (counting.try_acquire(function("a"), "1") for _ in range(2))
    assert isinstance(first, Permit)
    assert isinstance(second, Permit)
    assert (first.is_provisioned, second.is_provisioned, second.provisioned_in_use) == (True, True, 2)
    spilt = counting.try_acquire(function("a"), "1")
    assert isinstance(spilt, Permit)
    assert (spilt.is_provisioned, spilt.is_spillover) == (False, True)
    assert counting.try_acquire(function("a"), "1") == Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
    first.release()
    assert refusal(counting, "b") is ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED  # it is claimed, in use or not
    again = counting.try_acquire(function("a"), "1")
    assert isinstance(again, Permit)
    assert again.is_provisioned
    assert counting.claimed_total(*POOL) == 2


def test_what_is_provisioned_is_taken_from_the_reservation() -> None:
    counting = Counting(10)
    counting.reserve(POOL, {function("a"): 3})
    counting.provision(function("a"), "1", 3, 3)
    assert refusal(counting, "a") is ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED
    assert isinstance(counting.try_acquire(function("a"), "1"), Permit)
    counting.provision(function("a"), "1", 0, 0)
    acquire(counting, "a")
    assert counting.claimed_total(*POOL) == 3


def test_a_function_that_is_not_used_any_more_is_forgotten() -> None:
    clock = Clock()
    counting = Counting(10, clock)
    acquire(counting, "a").release()
    counting.may_start(function("a"))
    assert counting.functions_in_use() == {}
    assert function("a") in counting._functions  # or it could start more than it may
    clock.now += 60
    assert counting.functions_in_use() == {}
    assert counting._functions == {}


class Admission(RuleBasedStateMachine):
    """Against the rules evaluated from scratch: nothing is ever exceeded, nothing leaks, whatever is changed when."""

    LIMIT = 8
    NAMES = st.sampled_from("abc")
    VERSIONS = st.sampled_from(["$LATEST", "1", "2"])

    def __init__(self) -> None:
        super().__init__()
        self.counting = Counting(self.LIMIT, hours())
        self.reserved: dict[str, int] = {}
        self.allocated: dict[tuple[str, str], int] = {}
        self.available: dict[tuple[str, str], int] = {}
        self.held: list[tuple[str, str, Permit]] = []

    def provisioned_in_use(self, name: str, version: str) -> int:
        return sum(permit.is_provisioned for who, what, permit in self.held if (who, what) == (name, version))

    def on_demand(self, name: str) -> int:
        return sum(who == name and not permit.is_provisioned for who, _, permit in self.held)

    def room(self, name: str) -> int:
        def claimed(who: str) -> int:
            return sum(number for (one, _), number in self.allocated.items() if one == who)

        if name in self.reserved:
            return self.reserved[name] - claimed(name) - self.on_demand(name)
        unreserved = [one for one in "abc" if one not in self.reserved]
        taken = sum(claimed(one) + self.on_demand(one) for one in unreserved)
        return self.LIMIT - sum(self.reserved.values()) - taken

    @rule(name=NAMES, version=VERSIONS)
    def acquire(self, name: str, version: str) -> None:
        provisioned = self.provisioned_in_use(name, version) < self.available.get((name, version), 0)
        allowed = provisioned or self.room(name) > 0
        permit = self.counting.try_acquire(function(name), version)
        assert isinstance(permit, Permit) == allowed
        if isinstance(permit, Permit):
            assert permit.is_provisioned == provisioned
            assert permit.is_spillover == (not provisioned and self.allocated.get((name, version), 0) > 0)
            self.held.append((name, version, permit))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))[2].release()

    @rule(name=NAMES, executions=st.one_of(st.none(), st.integers(0, 4)))
    def reserve(self, name: str, executions: int | None) -> None:
        self.reserved.pop(name, None)
        if executions is not None:
            self.reserved[name] = executions
        self.counting.reserve(POOL, {function(one): number for one, number in self.reserved.items()})

    @rule(name=NAMES, version=st.sampled_from("12"), allocated=st.integers(0, 3), data=st.data())
    def provision(self, name: str, version: str, allocated: int, data: st.DataObject) -> None:
        available = data.draw(st.integers(0, allocated))
        self.allocated[name, version], self.available[name, version] = allocated, available
        self.counting.provision(function(name), version, allocated, available)

    @invariant()
    def counts_are_right(self) -> None:
        assert self.counting.in_use_by_account(*POOL) == len(self.held)
        in_use = {function(one): n for one in "abc" if (n := sum(who == one for who, _, _ in self.held))}
        assert self.counting.functions_in_use() == in_use
        unreserved = sum(self.on_demand(one) for one in "abc" if one not in self.reserved)
        assert self.counting.unreserved_in_use(*POOL) == unreserved


TestAdmission = Admission.TestCase
