"""Admission: may another invocation run now? From in-memory counters, before any environment is touched.

`Counting` is synchronous and knows no I/O. A `Permit` is held exactly as long as an invocation occupies concurrency;
releasing twice is a programming error. Follows
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html (account concurrency; reserved and provisioned
concurrency are to be added here).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from lambent.model.arn import FunctionId

Pool = tuple[str, str]  # account, region: what the account limit applies to


class ThrottleReason(StrEnum):
    """The `Reason` of a TooManyRequestsException."""

    CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ConcurrentInvocationLimitExceeded"


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
    """The concurrency in use, by account and region and by function."""

    def __init__(self, account_limit: int) -> None:
        self.account_limit = account_limit
        self._by_pool: Counter[Pool] = Counter()
        self._by_function: Counter[FunctionId] = Counter()

    def try_acquire(self, function: FunctionId) -> Permit | Throttled:
        """A permit, or why not."""
        pool = (function.account, function.region)
        if self._by_pool[pool] >= self.account_limit:
            return Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
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
        pool = (function.account, function.region)
        self._by_pool[pool] -= 1
        self._by_function[function] -= 1
        if not self._by_function[function]:
            del self._by_function[function]
