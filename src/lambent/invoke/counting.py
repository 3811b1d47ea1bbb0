"""Admission: may another invocation run now? From in-memory counters, before any environment is touched.

`Counting` is synchronous and knows no I/O. A `Permit` is held exactly as long as an invocation occupies concurrency;
releasing twice is a programming error. Follows
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html:

- A version with provisioned concurrency uses that first. What is allocated belongs to it, in use or not.
- Beyond that a function with reserved concurrency has what it reserved, less what is provisioned for its versions;
  all others share what is left of the account's, less what is provisioned for versions of theirs.
- Ten requests a second for each unit of concurrency: of what is provisioned, of the reservation, or of the account.
- A function starts at most 1,000 environments at once, and 100 more each second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lambent.invoke.rates import TokenBucket
from lambent.model import limits
from lambent.model.arn import LATEST, FunctionId

Pool = tuple[str, str]  # account, region: what the account limit applies to


class ThrottleReason(StrEnum):
    """The `Reason` of a TooManyRequestsException."""

    CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ConcurrentInvocationLimitExceeded"
    FUNCTION_INVOCATION_RATE_LIMIT_EXCEEDED = "FunctionInvocationRateLimitExceeded"
    RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ReservedFunctionConcurrentInvocationLimitExceeded"
    RESERVED_INVOCATION_RATE_LIMIT_EXCEEDED = "ReservedFunctionInvocationRateLimitExceeded"


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused, and why."""

    reason: ThrottleReason


class _Provisioned:
    """Of one version: `allocated` is claimed for it, `available` of that can take invocations."""

    __slots__ = ("allocated", "available", "in_use", "rate")

    def __init__(self, now: float) -> None:
        self.rate = TokenBucket(0, 0, now)
        self.allocated = 0
        self.available = 0
        self.in_use = 0


class _Function:
    """`in_use` in all, `on_demand` of it outside of provisioned concurrency."""

    __slots__ = ("account", "allocated", "in_use", "on_demand", "provisioned", "rate", "reserved", "starts")

    def __init__(self, account: _Account) -> None:
        self.account = account
        self.in_use = 0
        self.on_demand = 0
        self.reserved: int | None = None
        self.rate: TokenBucket | None = None  # of a reservation's own
        self.provisioned: dict[str, _Provisioned] | None = None
        self.allocated = 0
        self.starts: TokenBucket | None = None

    @property
    def is_forgettable(self) -> bool:
        return not self.in_use and self.reserved is None and self.provisioned is None


class _Account:
    """One account in one region. `unreserved` counts on-demand invocations of functions without a reservation,
    `unreserved_limit` is what those may be at once."""

    __slots__ = ("allocated_unreserved", "in_use", "rate", "reserved_total", "unreserved", "unreserved_limit")

    def __init__(self, limit: int, rate: TokenBucket) -> None:
        self.in_use = 0
        self.unreserved = 0
        self.unreserved_limit = limit
        self.reserved_total = 0
        self.allocated_unreserved = 0
        self.rate = rate


class Permit:
    """One unit of concurrency, held.

    What was in use when it was given, itself included: `function_in_use` by its function, `account_in_use` by all of
    the account in the region, `unreserved_in_use` by those of them without a reservation, on demand.
    `provisioned_in_use` of `provisioned_allocated`, if it is one of provisioned concurrency. `is_spillover`: there is
    some, and it was all in use.
    """

    __slots__ = (
        "_function", "_provisioned", "_released", "account_in_use", "function_in_use", "is_spillover",
        "provisioned_allocated", "provisioned_in_use", "unreserved_in_use",
    )  # fmt: skip

    def __init__(self, function: _Function, provisioned: _Provisioned | None, is_spillover: bool) -> None:
        self._function = function
        self._provisioned = provisioned
        self._released = False
        self.is_spillover = is_spillover
        self.function_in_use = function.in_use
        self.account_in_use = function.account.in_use
        self.unreserved_in_use = function.account.unreserved
        if provisioned is not None:
            self.provisioned_in_use: int | None = provisioned.in_use
            self.provisioned_allocated = provisioned.allocated
        else:
            self.provisioned_in_use = None
            self.provisioned_allocated = 0

    @property
    def is_provisioned(self) -> bool:
        """Whether a provisioned environment is to run it."""
        return self._provisioned is not None

    def release(self) -> None:
        """Give the unit back. Raises RuntimeError the second time."""
        if self._released:
            raise RuntimeError("a concurrency permit was released twice")
        self._released = True
        function = self._function
        function.in_use -= 1
        function.account.in_use -= 1
        if self._provisioned is not None:
            self._provisioned.in_use -= 1
        else:
            function.on_demand -= 1
            if function.reserved is None:
                function.account.unreserved -= 1


class Counting:
    """The concurrency in use, by account and region (the pool) and by function. `now` is the host's steady time."""

    def __init__(self, account_limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.account_limit = account_limit
        self._now = now
        self._accounts: dict[Pool, _Account] = {}
        self._functions: dict[FunctionId, _Function] = {}

    # Limits

    def reserve(self, pool: Pool, reserved: Mapping[FunctionId, int]) -> None:
        """All that the functions of an account and region reserve from now on, in place of what they did.

        Invocations that run go on, and are counted where their function belongs now.
        """
        for function, state in list(self._functions.items()):
            if (function.account, function.region) == pool and state.reserved is not None and function not in reserved:
                state.reserved = state.rate = None
        for function, executions in reserved.items():
            state = self._function(function)
            state.reserved = executions
            size = executions * limits.REQUESTS_PER_SECOND_PER_CONCURRENCY
            if state.rate is None:
                state.rate = TokenBucket(size, size, self._now())
            else:
                state.rate.resize(size, size)
        account = self._account(pool)
        account.reserved_total = sum(reserved.values())
        self._recount(pool, account)

    def provision(self, function: FunctionId, version: str, allocated: int, available: int) -> None:
        """What a version has of provisioned concurrency from now on. Invocations that run on it go on."""
        state = self._function(function)
        if state.provisioned is None:
            state.provisioned = {}
        provisioned = state.provisioned.get(version)
        if provisioned is None:
            provisioned = state.provisioned[version] = _Provisioned(self._now())
        size = allocated * limits.REQUESTS_PER_SECOND_PER_CONCURRENCY
        provisioned.rate.resize(size, size)
        provisioned.allocated, provisioned.available = allocated, available
        if not allocated and not provisioned.in_use:
            del state.provisioned[version]
        state.allocated = sum(one.allocated for one in state.provisioned.values())
        state.provisioned = state.provisioned or None
        self._recount((function.account, function.region), state.account)

    def _recount(self, pool: Pool, account: _Account) -> None:
        states = [state for function, state in self._functions.items() if (function.account, function.region) == pool]
        unreserved = [state for state in states if state.reserved is None]
        account.allocated_unreserved = sum(state.allocated for state in unreserved)
        account.unreserved = sum(state.on_demand for state in unreserved)
        account.unreserved_limit = self.account_limit - account.reserved_total - account.allocated_unreserved

    # Admission

    def try_acquire(self, function: FunctionId, version: str = LATEST) -> Permit | Throttled:
        """A permit, or why not."""
        state = self._functions.get(function)
        if state is None:
            state = self._function(function)
        if state.provisioned is not None and (provisioned := state.provisioned.get(version)) is not None:
            if provisioned.in_use < provisioned.available and provisioned.rate.take(self._now()):
                state.in_use += 1
                state.account.in_use += 1
                provisioned.in_use += 1
                return Permit(state, provisioned, is_spillover=False)
            return self._on_demand(state, is_spillover=provisioned.allocated > 0)
        return self._on_demand(state, is_spillover=False)

    def _on_demand(self, state: _Function, *, is_spillover: bool) -> Permit | Throttled:
        account, share = state.account, state.reserved
        if share is not None:
            if state.on_demand >= share - state.allocated:
                return _RESERVED_CONCURRENCY
            if state.rate is not None and not state.rate.take(self._now()):
                return _RESERVED_RATE
        else:
            if account.unreserved >= account.unreserved_limit:
                return _CONCURRENCY
            if not account.rate.take(self._now()):
                return _RATE
            account.unreserved += 1
        state.in_use += 1
        state.on_demand += 1
        account.in_use += 1
        return Permit(state, None, is_spillover)

    def may_start(self, function: FunctionId) -> bool:
        """Whether the function may start another environment now, for the rate at which functions scale. Counts it."""
        state = self._function(function)
        if state.starts is None:
            state.starts = TokenBucket(limits.SCALING_BURST, limits.SCALING_PER_SECOND, self._now())
        return state.starts.take(self._now())

    # What is in use

    def reserved(self, function: FunctionId) -> int | None:
        """What a function reserves."""
        state = self._functions.get(function)
        return state.reserved if state is not None else None

    def functions_in_use(self) -> dict[FunctionId, int]:
        """Concurrent invocations of every function that has any. Forgets functions that are not used any more."""
        now = self._now()
        for function, state in list(self._functions.items()):
            if state.is_forgettable and (state.starts is None or state.starts.is_full(now)):
                del self._functions[function]
        return {function: state.in_use for function, state in self._functions.items() if state.in_use}

    def unreserved_in_use(self, account: str, region: str) -> int:
        """Concurrent invocations, on demand, of an account in a region of functions without a reservation."""
        return self._account((account, region)).unreserved

    def claimed_total(self, account: str, region: str) -> int:
        """What the functions of an account and region claim, in use or not: reservations, and what is provisioned for
        functions without one."""
        claimed = self._account((account, region))
        return claimed.reserved_total + claimed.allocated_unreserved

    def in_use(self, function: FunctionId) -> int:
        """Concurrent invocations of one function."""
        state = self._functions.get(function)
        return state.in_use if state is not None else 0

    def in_use_by_account(self, account: str, region: str) -> int:
        """Concurrent invocations of an account in a region."""
        return self._account((account, region)).in_use

    def _function(self, function: FunctionId) -> _Function:
        state = self._functions.get(function)
        if state is None:
            state = self._functions[function] = _Function(self._account((function.account, function.region)))
        return state

    def _account(self, pool: Pool) -> _Account:
        account = self._accounts.get(pool)
        if account is None:
            size = self.account_limit * limits.REQUESTS_PER_SECOND_PER_CONCURRENCY
            account = self._accounts[pool] = _Account(self.account_limit, TokenBucket(size, size, self._now()))
        return account


_CONCURRENCY = Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
_RATE = Throttled(ThrottleReason.FUNCTION_INVOCATION_RATE_LIMIT_EXCEEDED)
_RESERVED_CONCURRENCY = Throttled(ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
_RESERVED_RATE = Throttled(ThrottleReason.RESERVED_INVOCATION_RATE_LIMIT_EXCEEDED)
