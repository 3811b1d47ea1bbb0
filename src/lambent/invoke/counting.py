"""Admission: may another invocation run now? From in-memory counters, before any environment is touched.

`Counting` is synchronous and knows no I/O. A `Permit` is held exactly as long as an invocation occupies concurrency;
releasing twice is a programming error. Follows
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html: a function with reserved concurrency has that much
and no more, all others share what is left of the account's (provisioned concurrency is to be added here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lambent.model.arn import FunctionId

Pool = tuple[str, str]  # account, region: what the account limit applies to


class ThrottleReason(StrEnum):
    """The `Reason` of a TooManyRequestsException."""

    CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ConcurrentInvocationLimitExceeded"
    RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Permit:
    """One unit of concurrency, held."""

    __slots__ = ("_counting", "_function", "_released")

    def __init__(self, counting: Counting, function: FunctionId) -> None:
        self._counting = counting
        self._function = function
        self._released = False

    def release(self) -> None:
        """Give the unit back. Raises RuntimeError the second time."""
        if self._released:
            raise RuntimeError("a concurrency permit was released twice")
        self._released = True
        self._counting._give_back(self._function)  # noqa: SLF001 - the permit is the counter's own handle


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused, and why."""

    reason: ThrottleReason


class Counting:
    """The concurrency in use, by account and region (the pool) and by function."""

    def __init__(self, account_limit: int) -> None:
        self.account_limit = account_limit
        self._by_pool: Counter[Pool] = Counter()
        self._unreserved: Counter[Pool] = Counter()  # of that, by functions without a reservation
        self._by_function: Counter[FunctionId] = Counter()
        self._reserved: dict[Pool, Mapping[FunctionId, int]] = {}
        self._unreserved_limit: dict[Pool, int] = {}

    def reserve(self, pool: Pool, reserved: Mapping[FunctionId, int]) -> None:
        """All that the functions of an account and region reserve from now on, in place of what they did.

        Invocations that run go on, and are counted where their function belongs now.
        """
        self._reserved[pool] = dict(reserved)
        self._unreserved_limit[pool] = self.account_limit - sum(reserved.values())
        self._unreserved[pool] = self._by_pool[pool] - sum(self._by_function[function] for function in reserved)

    def try_acquire(self, function: FunctionId) -> Permit | Throttled:
        """A permit, or why not."""
        pool = _pool(function)
        share = self._reserved.get(pool, _NOTHING).get(function)
        if share is not None:
            if self._by_function[function] >= share:
                return Throttled(ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
        elif self._unreserved[pool] >= self._unreserved_limit.get(pool, self.account_limit):
            return Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
        else:
            self._unreserved[pool] += 1
        self._by_pool[pool] += 1
        self._by_function[function] += 1
        return Permit(self, function)

    def in_use(self, function: FunctionId) -> int:
        """Concurrent invocations of one function."""
        return self._by_function[function]

    def in_use_by_account(self, account: str, region: str) -> int:
        """Concurrent invocations of an account in a region."""
        return self._by_pool[account, region]

    def _give_back(self, function: FunctionId) -> None:
        pool = _pool(function)
        if function not in self._reserved.get(pool, _NOTHING):
            self._unreserved[pool] -= 1
        self._by_pool[pool] -= 1
        self._by_function[function] -= 1
        if not self._by_function[function]:
            del self._by_function[function]


_NOTHING: Mapping[FunctionId, int] = {}


def _pool(function: FunctionId) -> Pool:
    return (function.account, function.region)
